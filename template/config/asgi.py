"""The ASGI application. It means production unless DJANGO_SETTINGS_MODULE says otherwise."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# First: consumers import models, which exist only once this has loaded the apps.
http = get_asgi_application()

application = ProtocolTypeRouter(
    {"http": http, "websocket": import_string("config.routing.websocket")}
)
