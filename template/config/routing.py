from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from apps.users.consumers import NotificationConsumer

websocket = AllowedHostsOriginValidator(
    AuthMiddlewareStack(
        URLRouter([path("ws/notifications/", NotificationConsumer.as_asgi())])
    )
)
