"""A request that meets a service in the moment in which it is put to sleep waits until that is decided."""

import asyncio
import queue
import threading

import pytest
from gateway_world import Answer, one_world, service
from stage import PATIENCE

from procman.state import State

world = pytest.fixture(scope="module")(one_world)


class Question:
    """One that the supervisor is asked, and answers when the test says so."""

    def __init__(self):
        self.asked = queue.Queue()
        self._answers = queue.Queue()

    async def __call__(self, question):
        self.asked.put(question)
        return await asyncio.get_running_loop().run_in_executor(None, self._answers.get, True, PATIENCE)

    def answer(self, value):
        self._answers.put(value)


@pytest.fixture
def sleep(world):
    world.supervisor.on_sleep = Question()
    yield world.supervisor.on_sleep
    world.supervisor.on_sleep = None
    world.tell()


def asking(world, scheme):
    """A request on its way; its answer comes out of the queue."""
    answers = queue.Queue()

    def ask():
        answers.put(world.get("shop.local.example.com", "/cart", scheme=scheme, method="POST", body=b"pen"))

    threading.Thread(target=ask, daemon=True).start()
    return answers


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_is_woken_again_for_a_request_that_came_when_it_fell_asleep(world, sleep, scheme):
    origin, start = world.origin(), Question()
    facts = {"idle": 0.2, "start": "on-request", "remote": None}
    world.supervisor.on_start = start
    world.tell(service("shop", port=origin.port, **facts))
    assert sleep.asked.get(timeout=PATIENCE) == "shop"
    answers = asking(world, scheme)
    world.tell(service("shop", port=origin.port, **facts))  # the gateway goes on, and has the request by now
    assert (answers.empty(), origin.seen.empty()) == (True, True)
    world.tell(service("shop", state=State.STOPPED, **facts))
    sleep.answer("")
    assert start.asked.get(timeout=PATIENCE)["targets"] == ["shop"]
    world.tell(service("shop", port=origin.port, **{**facts, "idle": 0.0}))
    start.answer(None)
    answer = answers.get(timeout=PATIENCE)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.json["length"]) == (200, 3)
    world.supervisor.on_start = None


def test_it_stays_awake_and_the_request_goes_to_it(world, sleep):
    origin = world.origin()
    world.tell(service("shop", port=origin.port, idle=0.2, remote=None))
    assert sleep.asked.get(timeout=PATIENCE) == "shop"
    answers = asking(world, "http")
    sleep.answer("another one needs it")
    answer = answers.get(timeout=PATIENCE)
    assert (answer.status, answer.route, answer.json["length"]) == (200, "local", 3)
