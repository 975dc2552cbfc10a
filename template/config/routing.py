from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator, WebsocketDenier
from django.urls import path, re_path

from apps.users.consumers import NotificationConsumer

websocket = AllowedHostsOriginValidator(
    AuthMiddlewareStack(
        URLRouter(
            [
                path("ws/notifications/", NotificationConsumer.as_asgi()),
                # Yours: an update changes nothing here.
                # Last: an unknown path would be an exception with a traceback.
                re_path("", WebsocketDenier.as_asgi()),
            ]
        )
    )
)
