"""The till and the organizations."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from trial import Service, Visitor


@pytest.fixture(scope="module")
def organization(tmp_path_factory):
    with Service("organization", tmp_path_factory.mktemp("organization")) as service:
        yield service.listening()


def test_the_till_sums_up_takes_payment_and_counts_the_day(tmp_path):
    with Service("register", tmp_path) as service:
        till = Visitor(service.listening())
        for item in ("coffee", "coffee", "loaf", "milk"):
            till.post("/items", item=item)
        till.post("/remove", item="milk")
        assert "¥20 are missing" in till.post("/pay", tendered="1000").body
        reply = till.post("/pay", tendered="2000")
        assert reply.headers["Location"] == "/receipts/1"
        receipt = till.get("/receipts/1").body
        for amount in ("¥600", "¥420", "¥1,020", "¥75", "¥2,000", "¥980"):
            assert amount in receipt
        assert "Milk" not in receipt
        till.post("/items", item="milk")
        assert till.post("/pay", method="card").headers["Location"] == "/receipts/2"
        today = till.get("/api/today").json
        assert (today["sales"], today["total"]) == (2, 1200)


def test_an_organization_is_made_and_found(organization):
    program = Visitor(organization)
    facts = {"id": "west-garden", "name": "West Garden", "members": [{"login": "alice", "role": "owner"}]}
    made = program.post_json("/api/organizations", facts)
    assert made.status == 201
    assert program.get(made.headers["Location"]).json["name"] == "West Garden"
    assert program.get(made.json["members"]).json["members"] == [{"login": "alice", "role": "owner"}]
    assert program.post_json("/api/organizations", facts).status == 409


def test_all_that_is_wrong_with_an_organization_is_said_at_once(organization):
    facts = {"id": "No Spaces", "plan": "gold", "members": [{"login": "a"}, {"login": "a"}, 7], "colour": "red"}
    reply = Visitor(organization).post_json("/api/organizations", facts)
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")
    pointers = {error["pointer"] for error in reply.json["errors"]}
    assert pointers == {"/id", "/name", "/plan", "/members/1/login", "/members/2/login", "/colour"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/organizations/nobody", 404), ("PUT", "/api/organizations", 405), ("GET", "/nothing", 404)],
)
def test_errors_of_the_api_are_problem_documents(organization, method, path, status):
    reply = Visitor(organization).ask(method, path, Accept="text/html")
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert reply.json["status"] == status
