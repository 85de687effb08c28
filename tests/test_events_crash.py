"""Kills the broker, or the server that keeps its log, again and again while events are published: each acknowledged
event is delivered, in order, whatever the engine."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_servers import EngineServer
from events_world import Delivery, Receiver, running
from workbench import ROOT

PUBLISHERS = 4
PATIENCE = 20.0


class BrokerProcess:
    """A broker that is killed and started again on the same file. It delivers to the receiver all the while."""

    def __init__(self, file: Path, receiver: int, engine: str) -> None:
        code = (
            "import asyncio, sys; sys.path.insert(0, sys.argv[4]); from pathlib import Path\n"
            "from events_world import running, subscriber\n"
            "async def main():\n"
            "    async with running(Path(sys.argv[1]), engine=sys.argv[3]) as (broker, client):\n"
            "        await broker.follow([subscriber('shop', int(sys.argv[2]), begin='first', concurrency=8)])\n"
            "        print(client.port, flush=True)\n"
            "        await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        support = str(ROOT / "tests" / "support")
        self._command = [sys.executable, "-c", code, str(file), str(receiver), engine, support]
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


class Publishers:
    """Threads that send each event until it is acknowledged, as a service with an outbox does; then the next one."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.acknowledged: list[tuple[str, int]] = []
        self.names = [f"p{number}" for number in range(PUBLISHERS)]
        self._broker = broker
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._threads = [threading.Thread(target=self._publish, args=(name,)) for name in self.names]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, count: int) -> None:
        """Returns once so many more are acknowledged."""
        with self._more:
            wanted = len(self.acknowledged) + count
            assert self._more.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE), "it took nothing any more"

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _publish(self, name: str) -> None:
        for number in itertools.count():
            while not self._sent(name, number):
                if self._stop.wait(0.005):  # it was killed; who has it running again is another thread
                    return
            with self._more:
                self.acknowledged.append((name, number))
                self._more.notify()
            if self._stop.is_set():
                return

    def _sent(self, name: str, number: int) -> bool:
        attributes = {"specversion": "1.0", "id": f"{name}-{number}", "source": "/crash", "type": "com.example.crash"}
        headers = {f"ce-{key}": value for key, value in (attributes | {"partitionkey": name}).items()}
        connection = http.client.HTTPConnection("127.0.0.1", self._broker.port, timeout=5)
        try:
            connection.request("POST", "/v1/events", json.dumps({"publisher": name, "number": number}), headers)
            return connection.getresponse().status == 202
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Shop:
    """What the subscriber had, in the order in which it came. It refuses now and then: retries are killed too."""

    def __init__(self, chance: random.Random) -> None:
        self.got: dict[str, list[int]] = defaultdict(list)
        self._chance = chance
        self._lock = threading.Lock()

    def reply(self, delivery: Delivery) -> int:
        data = json.loads(delivery.body)
        with self._lock:
            if self._chance.random() < 0.1:
                return 503
            self.got[data["publisher"]].append(data["number"])
        return 204

    def had_all_in_order(self, name: str, numbers: list[int]) -> None:
        first_times = list(dict.fromkeys(self.got[name]))
        assert set(numbers) <= set(first_times), f"{name}: acknowledged and never delivered"
        assert first_times == sorted(first_times), f"{name}: out of order"


@contextlib.contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[EngineServer | None]:
    server = EngineServer(kind, folder / kind) if kind != "sqlite" else None
    try:
        yield server
    finally:
        if server:
            server.kill()


@pytest.mark.parametrize(
    ("kind", "dies", "times"),
    [
        ("sqlite", "broker", 50),
        ("nats", "broker", 20),
        ("redis", "broker", 12),
        ("nats", "server", 10),
        ("redis", "server", 10),
    ],
)
def test_what_was_acknowledged_is_delivered_in_order_however_often_who_keeps_it_is_killed(
    kind: str, dies: str, times: int, tmp_path: Path
) -> None:
    chance = random.Random(3)
    shop = Shop(chance)
    file = tmp_path / "e.sqlite3"
    with engine_of(kind, tmp_path) as server, Receiver(shop.reply) as receiver:
        url = server.url if server else ""
        broker = BrokerProcess(file, receiver.port, url)
        victim = server if dies == "server" and server else broker
        publishers = Publishers(broker)
        try:
            for _ in range(times):
                publishers.wait_for_more(chance.randint(1, 12))
                victim.kill()
                victim.start()
            publishers.wait_for_more(1)
        finally:
            publishers.close()
            broker.kill()
        asyncio.run(deliver_the_rest(file, receiver, url))
    for name in publishers.names:
        shop.had_all_in_order(name, [number for one, number in publishers.acknowledged if one == name])


async def deliver_the_rest(file: Path, receiver: Receiver, url: str) -> None:
    async with running(file, engine=url) as (broker, _):
        await broker.follow([receiver.as_subscriber(begin="first", concurrency=8)])
        await asyncio.wait_for(broker.subscriptions.lanes["shop"].drained(), 30)
