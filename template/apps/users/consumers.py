from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer


def group_of(user):
    return f"user-{user.pk}"


async def notify(user, message):
    """Send a message, a dictionary of JSON values, to each open page of a user."""
    await get_channel_layer().group_send(
        group_of(user), {"type": "notification", "message": message}
    )


class NotificationConsumer(AsyncJsonWebsocketConsumer):
    """Pass notifications on to a signed-in user; refuse everyone else."""

    async def connect(self):
        if not self.scope["user"].is_authenticated:
            await self.close()
            return
        self.groups.append(group_of(self.scope["user"]))
        await self.channel_layer.group_add(self.groups[-1], self.channel_name)
        await self.accept()

    async def notification(self, event):
        await self.send_json(event["message"])


# Yours: an update changes nothing below this line.
