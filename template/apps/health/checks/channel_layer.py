import uuid

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer


@async_to_sync
async def check_channel_layer():
    layer = get_channel_layer()
    # A plain name: only one event loop may wait for the layer's own, and it is busy.
    channel = f"health-{uuid.uuid4()}"
    await layer.send(channel, {"type": "health"})
    await layer.receive(channel)
