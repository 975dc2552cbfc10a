import json

from django.core.management.base import BaseCommand, CommandError

from apps.health.runner import run_checks


class Command(BaseCommand):
    help = "Run the checks of /readyz; exit 1 if any fails."

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args, **options):
        checks = run_checks()
        failed = [name for name, result in checks.items() if result != "ok"]
        if options["json"]:
            self.stdout.write(json.dumps(checks))
        else:
            for name, result in checks.items():
                self.stdout.write(f"{name}: {result}")
        if failed:
            raise CommandError(f"not ready: {', '.join(failed)}")
