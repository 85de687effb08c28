"""Kills the broker again and again while it works: whatever it acknowledged is delivered, in order, once it is back."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from events_world import Delivery, Receiver, running
from workbench import ROOT

KILLS = 50
PUBLISHERS = 4


class Killed:
    """A broker process that is killed and started again on the same file. It delivers to the receiver all the while."""

    def __init__(self, file: Path, receiver: int) -> None:
        code = (
            "import asyncio, sys; sys.path.insert(0, sys.argv[3]); from pathlib import Path\n"
            "from events_world import running, subscriber\n"
            "async def main():\n"
            "    async with running(Path(sys.argv[1])) as (broker, client):\n"
            "        await broker.follow([subscriber('shop', int(sys.argv[2]), begin='first', concurrency=8)])\n"
            "        print(client.port, flush=True)\n"
            "        await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        self._command = [sys.executable, "-c", code, str(file), str(receiver), str(ROOT / "tests" / "support")]
        self.port = 0
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def again(self) -> None:
        self.kill()
        self._start()


def publish(broker: Killed, name: str, acknowledged: list[tuple[str, int]], stop: threading.Event) -> None:
    """One publisher: each event until it is acknowledged, as a service with an outbox does; then the next one."""
    for number in itertools.count():
        body = json.dumps({"publisher": name, "number": number})
        headers = {
            "ce-specversion": "1.0",
            "ce-id": f"{name}-{number}",
            "ce-source": "/crash",
            "ce-type": "com.example.crash",
            "ce-partitionkey": name,
        }
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", broker.port, timeout=5)
            try:
                connection.request("POST", "/v1/events", body, headers)
                if connection.getresponse().status == 202:
                    acknowledged.append((name, number))
                    break
            except (OSError, http.client.HTTPException):
                stop.wait(0.005)  # it was killed; who has it running again is another thread
            finally:
                connection.close()
            if stop.is_set():
                return
        if stop.is_set():
            return


def test_what_was_acknowledged_is_delivered_in_order_however_often_the_broker_is_killed(tmp_path: Path) -> None:
    chance = random.Random(3)
    got: dict[str, list[int]] = defaultdict(list)
    lock = threading.Lock()

    def reply(delivery: Delivery) -> int:
        data = json.loads(delivery.body)
        with lock:
            if chance.random() < 0.1:
                return 503  # retries are killed too
            got[data["publisher"]].append(data["number"])
        return 204

    acknowledged: list[tuple[str, int]] = []
    stop = threading.Event()
    file = tmp_path / "e.sqlite3"
    with Receiver(reply) as receiver:
        broker = Killed(file, receiver.port)
        names = [f"p{number}" for number in range(PUBLISHERS)]
        threads = [threading.Thread(target=publish, args=(broker, name, acknowledged, stop)) for name in names]
        for thread in threads:
            thread.start()
        try:
            for _ in range(KILLS):
                before = len(acknowledged)
                deadline = time.monotonic() + 10
                wanted = before + chance.randint(1, 12)
                while len(acknowledged) < wanted and time.monotonic() < deadline:
                    time.sleep(0.001)
                assert len(acknowledged) > before, "it took nothing any more"
                broker.again()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            broker.kill()
        asyncio.run(deliver_the_rest(file, receiver))
    for name in names:
        numbers = [number for publisher, number in acknowledged if publisher == name]
        first_times = list(dict.fromkeys(got[name]))
        assert set(numbers) <= set(first_times), f"{name}: acknowledged and never delivered"
        assert first_times == sorted(first_times), f"{name}: out of order"
    assert len(acknowledged) >= KILLS


async def deliver_the_rest(file: Path, receiver: Receiver) -> None:
    async with running(file) as (broker, _):
        await broker.follow([receiver.as_subscriber(begin="first", concurrency=8)])
        await asyncio.wait_for(broker.subscriptions.lanes["shop"].drained(), 30)
