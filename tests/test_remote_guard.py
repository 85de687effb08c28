"""What must not reach a remote, what opens its gate, and at which hop the way to it ended."""

import json
import os
import ssl
from dataclasses import replace

import pytest
from gateway_world import DOMAIN, REMOTE_DOMAIN, World, service
from stage import free_port

from procman.settings import PRODUCTION
from procman.state import State

JSON = {"Accept": "application/json"}
SECRET, PRINTED = "s3cret-of-the-variable", "s3cret-of-the-command"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    os.environ["REMOTE_GATE_SECRET"] = SECRET
    made = World(tmp_path_factory.mktemp("gateway"), arguments=("--log-level", "DEBUG"))
    try:
        yield made
    finally:
        del os.environ["REMOTE_GATE_SECRET"]
        made.close()


@pytest.fixture
def remote(world):
    """Sets what the workspace says of its remote, for one test."""
    yield lambda **changes: world.tell(
        service("account"), service("netshop"), remote=replace(world.first.remote, **changes)
    )
    world.tell(remote=world.first.remote)


@pytest.mark.parametrize(
    "host",
    ["account.prod.example.com", "prod.example.com", "eu-prod.example.com", "prod-2.example.com", "a.production.test"],
)
def test_names_that_look_like_production_are_refused_without_any_setting(world, host):
    world.tell(service("account", remote=f"https://{host}"), remote=replace(world.first.remote, forbid=PRODUCTION))
    answer = world.get("account.localhost", headers=JSON)
    assert (answer.status, answer.route, answer.json["code"]) == (403, "fallback", "remote-forbidden")
    assert host in answer.json["title"]
    world.tell(remote=world.first.remote)


@pytest.mark.parametrize("host", [f"account.{REMOTE_DOMAIN}", "products.example.com", "reproduction.example.com"])
def test_other_names_are_not(world, host):
    world.tell(service("account", remote=f"https://{host}"), remote=replace(world.first.remote, forbid=PRODUCTION))
    assert world.get("account.localhost", headers=JSON).status != 403
    world.tell(remote=world.first.remote)


def test_a_workspace_names_others_and_the_page_names_the_rule(world, remote):
    remote(forbid=(f"account.{REMOTE_DOMAIN}",))
    page = world.get("account.localhost", headers={"Accept": "text/html"})
    assert page.status == 403
    assert f"[remote] forbid = [&#34;account.{REMOTE_DOMAIN}&#34;]" in page.text
    assert world.get("netshop.localhost").route == "remote"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_remote_that_is_only_read_is_not_written_to(world, method):
    world.tell(service("account", writes="deny"))
    answer = world.get("account.localhost", "/pay", method=method, headers=JSON, body=b"x")
    assert (answer.status, answer.json["code"]) == (403, "writes-denied")
    assert 'writes = "deny"' in answer.json["detail"]
    assert "Procfile.d/account" in answer.json["detail"]
    assert world.get("account.localhost").route == "remote"


def test_the_override_is_named_and_a_local_service_is_written_to(world):
    world.tell(service("account", writes="deny"))
    page = world.get("account.localhost", method="POST", headers={"Accept": "text/html"}, body=b"").text
    assert "writes = &#34;allow&#34;" in page
    here = world.origin()
    world.tell(service("account", port=here.port, writes="deny"))
    assert world.get("account.localhost", method="POST", body=b"x").status == 200


def test_the_gates_headers_are_sent_to_the_remote_alone_and_said_nowhere(world, remote):
    remote(headers={"X-Gate-Id": "env:REMOTE_GATE_SECRET", "X-Gate-Key": f"command:printf %s {PRINTED}"})
    assert world.get("account.localhost", headers={"X-Gate-Id": "forged"}).route == "remote"
    seen = world.remote_last_named("X-Gate-Id")
    assert (seen["X-Gate-Id"], seen["X-Gate-Key"]) == (SECRET, PRINTED)
    here = world.origin()
    world.tell(service("account", port=here.port))
    world.get("account.localhost")
    assert here.last().all("X-Gate-Id") == []
    other = replace(world.snapshot.remote, connect_to=(f"::127.0.0.1:{here.port}",))
    world.tell(service("account", remote="http://elsewhere.example"), remote=other)
    assert world.get("account.localhost").route == "remote"
    assert here.last().all("X-Gate-Id") == []
    assert SECRET not in world.stderr()
    assert SECRET not in json.dumps(world.snapshot.to_json())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("env:NO_SUCH_VARIABLE", "X-Gate: the variable NO_SUCH_VARIABLE is not set where stores was started"),
        ("command:echo unsaid; exit 3", "X-Gate: its command printed nothing, or failed (exit code 3)"),
    ],
)
def test_without_its_secret_nothing_is_sent(world, remote, source, said):
    remote(headers={"X-Gate": source})
    page = world.get("account.localhost", "/never", headers={"Accept": "text/html"})
    assert page.status == 502
    assert said in page.text
    assert "unsaid" not in page.text
    assert all(request.target != "/never" for request in list(world.remote.seen.queue))


def fact(page, label):
    return page.text.partition(f"<dt>{label}</dt><dd>")[2].partition("</dd>")[0]


def test_the_page_names_the_hop_at_which_the_way_ended(world, remote):
    html = {"Accept": "text/html"}
    remote(connect_to=())
    world.tell(service("account", remote="https://nowhere.invalid"))
    assert fact(world.get("account.localhost", headers=html), "The way ended at").startswith("DNS")
    remote(connect_to=(f"::127.0.0.1:{free_port()}",))
    page = world.get("account.localhost", headers=html)
    assert fact(page, "The way ended at").startswith("Connection")
    assert "remote-refused" in page.text
    remote()
    world.tell(service("account", remote="https://account.elsewhere.example"))
    assert fact(world.get("account.localhost", headers=html), "The way ended at").startswith("TLS")
    remote()
    assert fact(world.get("account.localhost", "/hang-up", headers=html), "The way ended at").startswith("HTTP")


def test_a_button_starts_here_what_the_remote_does_not_answer(world, remote):
    remote(connect_to=(f"::127.0.0.1:{free_port()}",))
    assert "<button>Start account</button>" in world.get("account.localhost", headers={"Accept": "text/html"}).text


CSP = [
    ("default-src 'self' https://account.remote.example.com", "default-src 'self' https://account.{local}"),
    ("connect-src wss://netshop.remote.example.com/live", "connect-src wss://netshop.{local}/live"),
    ("img-src account.remote.example.com data:; script-src 'nonce-a.b.c'", None),
    ("frame-src *.remote.example.com", "frame-src *.{local}"),
    ("script-src https://cdn.example.net 'sha256-x.y/z='", "script-src https://cdn.example.net 'sha256-x.y/z='"),
    ("report-uri https://account.remote.example.com/csp", "report-uri https://account.{local}/csp"),
]


@pytest.mark.parametrize(("given", "kept"), CSP)
@pytest.mark.parametrize("name", ["Content-Security-Policy", "Content-Security-Policy-Report-Only"])
def test_hosts_in_the_remotes_policy_are_ours(world, remote, name, given, kept):
    remote()
    kept = kept or "img-src account.{local} data:; script-src 'nonce-a.b.c'"
    headers = {"X-Give": json.dumps([[name, given]])}
    answer = world.get("account.local.example.com", "/headers", scheme="https", headers=headers)
    assert answer[name] == kept.format(local=f"{DOMAIN}:{world.https}")


def test_stopped_means_remote_with_the_next_request_and_ready_means_local(world, remote):
    here = world.origin()
    for _ in range(2):
        world.tell(service("account", port=here.port))
        assert world.get("account.localhost").route == "local"
        world.tell(service("account", state=State.STOPPED))
        assert world.get("account.localhost").route == "remote"


def test_the_remote_is_told_its_own_name_in_tls(world):
    """SNI: a server behind a shared address has nothing else to choose its certificate by."""
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.remote_ca.issue_cert(f"*.{REMOTE_DOMAIN}").configure_cert(context)
    context.sni_callback = lambda _, name, __: names.append(name)
    shared = world.origin(context=context)
    world.tell(service("account"), remote=replace(world.first.remote, connect_to=(f"::127.0.0.1:{shared.port}",)))
    assert world.get("account.localhost").route == "remote"
    assert names == [f"account.{REMOTE_DOMAIN}"]
    world.tell(remote=world.first.remote)
