"""A service that speaks WebSocket."""

from contextlib import contextmanager

from websockets.asyncio.server import serve


@contextmanager
def chatting(stage, handler, **options):
    """The port of a server on a `stage.Stage`, which has `handler` for each connection."""

    async def start():
        return await serve(handler, "127.0.0.1", 0, max_size=None, **options)

    async def stop():
        server.close()
        await server.wait_closed()

    server = stage.do(start())
    try:
        yield next(iter(server.sockets)).getsockname()[1]
    finally:
        stage.do(stop())
