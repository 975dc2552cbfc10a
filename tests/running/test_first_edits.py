"""`make ci` passes after the edits that teams make first."""

import sys

import pytest

from tests.support.gates import ci_key
from tests.support.options import FULL, REDIS_STATES
from tests.support.project import Project
from tests.support.verdicts import code_of, once

pytestmark = [pytest.mark.slow, pytest.mark.seconds(30)]

APP = {
    "apps.py": """
from django.apps import AppConfig


class BlogConfig(AppConfig):
    name = "apps.blog"
""",
    "models.py": """
from django.conf import settings
from django.db import models


class Group(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Post(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    groups = models.ManyToManyField(Group)
    title = models.CharField(max_length=50)

    def __str__(self):
        return self.title


class Draft(Post):
    class Meta:
        proxy = True


class OldPost(models.Model):
    title = models.CharField(max_length=50)

    class Meta:
        managed = False

    def __str__(self):
        return self.title
""",
    "admin.py": """
from django.contrib import admin

from apps.blog import models

admin.site.register([models.Draft, models.OldPost])


@admin.register(models.Group)
class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(models.Post)
class HiddenAdmin(admin.ModelAdmin):
    def has_view_or_change_permission(self, request, obj=None):
        return False
""",
    "tests.py": """
import pytest
from django.contrib.auth import get_user_model

from apps.blog.models import Group, OldPost, Post


@pytest.mark.django_db
def test_models_have_names():
    author = get_user_model().objects.create_user("a")
    post = Post.objects.create(author=author, title="First")
    post.groups.add(Group.objects.create(name="News"))

    names = [str(it) for it in (post, post.groups.get(), OldPost(title="Old"))]
    assert names == ["First", "News", "Old"]
""",
}
USER_ADMIN = """
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from apps.users.models import User


@admin.register(User)
class PersonAdmin(UserAdmin):
    date_hierarchy = "date_joined"
    list_display = ["email", "is_active", "last_login"]
    list_filter = ["groups", "user_permissions", "is_staff", "date_joined"]
"""
MIDDLEWARE = """
def name_team(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Team"] = "first"
        return response

    return middleware
"""
COMMAND = """
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, *args, **options):
        self.stdout.write("hello")
"""
COMMAND_TEST = """
from django.core.management import call_command


def test_command_greets(capsys):
    call_command("greet")

    assert capsys.readouterr().out == "hello\\n"
"""
TASK = """

@shared_task
def add(a, b):
    return a + b
"""
TASK_TEST = """
from apps.users.tasks import add


def test_task_adds():
    assert add.delay(1, 2).get() == 3
"""
CONSUMER = """
from channels.generic.websocket import AsyncJsonWebsocketConsumer


class EchoConsumer(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **options):
        await self.send_json(content)
"""
CONSUMER_TEST = """
import json

from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator

from apps.users.echo import EchoConsumer


@async_to_sync
async def echo(text):
    scope = {"type": "websocket", "path": "/ws/echo/"}
    socket = ApplicationCommunicator(EchoConsumer.as_asgi(), scope)
    await socket.send_input({"type": "websocket.connect"})
    await socket.receive_output()
    await socket.send_input({"type": "websocket.receive", "text": text})
    message = await socket.receive_output()
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait()
    return json.loads(message["text"])


def test_consumer_echoes():
    assert echo("[1]") == [1]
"""
# A place of the team in a list
YOURS = "    # Yours: an update changes nothing here."
PAGE = """\
{% extends "base.html" %}
{% load static %}
{% block content %}<img src="{% static 'team.svg' %}" alt="">{% endblock %}
"""
PAGE_TEST = """
from django.urls import reverse


def test_page_opens(client):
    assert b"team.svg" in client.get(reverse("about")).content
"""


def add(project, name, text):
    """Add a text to a file of the project, which may be new."""
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    with (project / name).open("a") as file:
        file.write(text)


def put_after(project, name, line, text):
    """Put a text after a line of a file."""
    project.edit(name, f"{line}\n", f"{line}\n{text}\n")


def add_fields(project):
    models = "apps/users/models.py"
    imports = "from django.contrib.auth.models import AbstractUser"
    put_after(project, models, imports, "from django.db import models")
    fields = "\n    email = models.EmailField(unique=True)\n    phone = models.CharField(max_length=20, blank=True)\n"
    add(project, models, fields)


def add_app(project):
    for name, text in {"__init__.py": "", "migrations/__init__.py": "", **APP}.items():
        add(project, f"apps/blog/{name}", text)
    base = "config/settings/base.py"
    put_after(project, base, f"INSTALLED_APPS = [\n{YOURS}", '    "apps.blog",')


def add_admin(project):
    (project / "apps/users/admin.py").write_text(USER_ADMIN)


def add_middleware(project):
    add(project, "config/middleware.py", MIDDLEWARE)
    base = "config/settings/base.py"
    session = '    "django.contrib.sessions.middleware.SessionMiddleware",'
    put_after(
        project, base, session, '    "django.middleware.locale.LocaleMiddleware",'
    )
    last = '    "django.middleware.clickjacking.XFrameOptionsMiddleware",'
    put_after(project, base, f"{last}\n{YOURS}", '    "config.middleware.name_team",')


def add_command(project):
    add(project, "apps/users/management/commands/greet.py", COMMAND)
    add(project, "tests/test_greet.py", COMMAND_TEST)


def add_task(project):
    add(project, "apps/users/tasks.py", TASK)
    add(project, "tests/test_add.py", TASK_TEST)


def add_consumer(project):
    add(project, "apps/users/echo.py", CONSUMER)
    add(project, "tests/test_echo.py", CONSUMER_TEST)
    routing = "config/routing.py"
    imports = "from apps.users.consumers import NotificationConsumer"
    put_after(project, routing, imports, "from apps.users.echo import EchoConsumer")
    added = 'path("ws/echo/", EchoConsumer.as_asgi()),'
    put_after(project, routing, f"            {YOURS}", f"                {added}")


def add_page(project):
    add(project, "templates/about.html", PAGE)
    add(project, "static/team.svg", "<svg/>")
    add(project, "static/team.css", "body { color: black; }")
    style = """<link rel="stylesheet" href="{% static 'site.css' %}">"""
    second = style.replace("site", "team")
    project.edit("templates/base.html", style, f"{style}\n    {second}")
    page = 'TemplateView.as_view(template_name="about.html"), name="about"'
    put_after(project, "config/urls.py", YOURS, f'    path("about", {page}),')
    add(project, "tests/test_about.py", PAGE_TEST)


def add_setting(project):
    settings = '\nNEWSLETTER = env.str("NEWSLETTER", default="weekly")\n'
    add(project, "config/settings/base.py", settings)
    add(project, ".env.example", "\nNEWSLETTER=daily\n")


def add_required_setting(project):
    add(project, "config/settings/production.py", '\nAPI_KEY = env.str("API_KEY")\n')
    add(project, ".env.example", "\nAPI_KEY=secret\n")
    add(project, "tests/production.toml", 'API_KEY = "secret"\n')
    add(project, "Makefile", "\nPRODUCTION += API_KEY=secret\n")


def change_settings(project):
    base = "config/settings/base.py"
    project.edit(base, 'LANGUAGE_CODE = "en-us"', 'LANGUAGE_CODE = "de"')
    project.edit(base, 'TIME_ZONE = "UTC"', 'TIME_ZONE = "Europe/Berlin"')
    add(project, "config/settings/production.py", "\nSESSION_COOKIE_AGE = 3600\n")
    add(project, "config/settings/local.py", "\nSESSION_COOKIE_AGE = 7200\n")
    add(project, "config/settings/ci.py", "\nSESSION_COOKIE_AGE = 60\n")


def add_package(project):
    last = '  "whitenoise>=6.12,<7",'
    package = '  "djangorestframework>=3.16",'
    put_after(project, "pyproject.toml", f"{last}\n{YOURS[2:]}", package)
    project.make_ok("lock")
    base = "config/settings/base.py"
    put_after(project, base, f"INSTALLED_APPS = [\n{YOURS}", '    "rest_framework",')


def add_target(project):
    add(project, "Makefile", "\n.PHONY: greet\ngreet: ## Greet\n\t@echo hello\n")


def add_service(project):
    service = "  mail:\n    image: axllent/mailpit:v1.27"
    put_after(project, "compose.yaml", f"\n{YOURS[2:]}", service)


# An edit that needs an answer names a file that the answer brings.
EDITS = {
    "fields of the user": (add_fields, ""),
    "an app": (add_app, ""),
    "an admin class": (add_admin, ""),
    "middleware": (add_middleware, ""),
    "a management command": (add_command, ""),
    "a task": (add_task, "config/celery.py"),
    "a consumer": (add_consumer, "config/routing.py"),
    "a URL, a template and static files": (add_page, ""),
    "a setting": (add_setting, ""),
    "a required setting": (add_required_setting, ""),
    "settings of environments": (change_settings, ""),
    "a package": (add_package, ""),
    "a make target": (add_target, ""),
    "a service in Compose": (add_service, "compose.yaml"),
}


def ci_after(project, edits):
    """Make edits, as a team does; return what `make ci` does then."""
    for edit in edits:
        edit(project)
    project.installed()
    try:
        project.make_ok("format")
        project.make_ok("manage", "ARGS=makemigrations")
        return project.make("ci")
    finally:
        project.make("services-stop")


@pytest.mark.parametrize(
    "answers",
    [REDIS_STATES["none"] | {"django_version": "5.2"}, FULL | {"use_docker": True}],
    ids=["django 5.2", "everything"],
)
def test_make_ci_passes_after_the_first_edits(rendered, tmp_path, answers):
    generated = rendered(**answers)
    edits = {
        name: edit
        for name, (edit, file) in EDITS.items()
        if not file or generated.has(file)
    }

    def judge():
        done = ci_after(generated.copy_to(tmp_path / "all"), edits.values())
        if done.returncode == 0:
            return
        # Which one is it?
        culprits = [
            name
            for number, (name, edit) in enumerate(edits.items())
            if ci_after(generated.copy_to(tmp_path / str(number)), [edit]).returncode
        ]
        pytest.fail(f"{culprits or 'only all together'}:\n{done.stdout}")

    code = code_of(sys.modules[__name__], Project)
    once("first edits", [ci_key(generated), code], judge)
