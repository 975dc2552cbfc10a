from django.conf import settings
from django.http import HttpResponse, JsonResponse

from apps.health.runner import import_checks, run_checks


class HealthMiddleware:
    """Answer the platform's probes before host, TLS and session handling.

    /healthz reports that the process serves requests; it checks nothing, so an outage of
    the database restarts no web process. /readyz reports whether the process should get
    traffic, and which release it is.
    """

    def __init__(self, get_response):
        self.get_response = get_response
        # While the process starts: later, this would slow down the first probe.
        import_checks()

    def __call__(self, request):
        if request.path == "/healthz":
            return HttpResponse("ok", content_type="text/plain")
        if request.path == "/readyz":
            return self.ready()
        return self.get_response(request)

    def ready(self):
        checks = run_checks()
        ready = all(result == "ok" for result in checks.values())
        return JsonResponse(
            {
                "status": "ok" if ready else "failed",
                "release": settings.RELEASE,
                "checks": checks,
            },
            status=200 if ready else 503,
            headers={"Cache-Control": "no-store"},
        )
