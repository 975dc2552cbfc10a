import uuid

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

# Imports the client of the layer.
get_channel_layer()


@async_to_sync
async def check_channel_layer():
    layer = get_channel_layer()
    # Not new_channel(): only one event loop can receive from its channels.
    channel = f"health-{uuid.uuid4()}"
    await layer.send(channel, {"type": "health"})
    await layer.receive(channel)
