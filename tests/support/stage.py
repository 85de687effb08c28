"""An event loop beside a plain test, and what a test needs of the machine: free ports, short paths, patience."""

import asyncio
import socket
import tempfile
import threading
import time
from contextlib import contextmanager

PATIENCE = 20


class Stage:
    """An event loop in a thread, on which servers run while the test itself is plain code."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def close(self):
        self.do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()

    @staticmethod
    async def _end():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def listen():
    """127.0.0.1 and ::1, the same number on both."""
    four = socket.create_server(("127.0.0.1", 0), backlog=128)
    try:
        six = socket.create_server(("::1", four.getsockname()[1]), family=socket.AF_INET6, backlog=128)
    except OSError:
        return [four]
    return [four, six]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def short_folder():
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        yield folder


def eventually(condition):
    """For what only another process can make true, and tells nobody about."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return value
