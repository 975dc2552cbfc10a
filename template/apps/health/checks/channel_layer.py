from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer


@async_to_sync
async def check():
    layer = get_channel_layer()
    channel = await layer.new_channel("health")
    await layer.send(channel, {"type": "health"})
    await layer.receive(channel)
