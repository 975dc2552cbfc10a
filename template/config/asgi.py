"""The ASGI application. DJANGO_SETTINGS_MODULE defaults to production."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# First, because consumers import models, which need the apps that this loads.
http = get_asgi_application()

application = ProtocolTypeRouter(
    {"http": http, "websocket": import_string("config.routing.websocket")}
)
