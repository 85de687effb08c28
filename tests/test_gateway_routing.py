"""Where a request goes: to the local service, to the remote, or to the page."""

from tests.gateway_world import service

pytest_plugins = "tests.gateway_world"


def test_a_running_service_answers_and_the_answer_says_so(world):
    shop = world.origin()
    world.tell(service("netshop", port=shop.port))
    answer = world.get("netshop.local.example.com", "/cart?x=1")
    assert (answer.status, answer.route, answer.json["target"]) == (200, "local", "/cart?x=1")
    answer = world.get("netshop.local.example.com", "/cart", scheme="https")
    assert (answer.status, answer.route) == (200, "local")


def test_what_does_not_run_here_is_answered_by_the_remote(world):
    world.tell(service("netshop"))
    answer = world.get("netshop.local.example.com", "/cart?x=1", scheme="https")
    assert (answer.status, answer.route) == (200, "remote")
    assert world.remote.last()["Host"] == "netshop.remote.example.com"


def test_what_runs_nowhere_is_answered_by_the_page(world):
    world.tell(service("register", remote=None))
    answer = world.get("register.local.example.com", scheme="https")
    assert (answer.status, answer.route) == (503, "fallback")
    assert "stores start register" in answer.text
