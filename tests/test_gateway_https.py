"""Plain HTTP that is sent to HTTPS, and browsers that are told by a file which hosts the gateway answers."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from gateway_world import one_world, service

from procman.state import State
from proxy_addons.proxy_pac import proxy_pac

world = pytest.fixture(scope="module")(one_world)

NETSHOP = "netshop.local.example.com"


def redirecting(world, *services):
    world.tell(*services, gateway=replace(world.snapshot.gateway, redirect=True))


@pytest.fixture(autouse=True)
def as_it_was(world):
    yield
    world.tell(gateway=replace(world.snapshot.gateway, redirect=False))


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_plain_http_is_sent_to_https_with_its_method_path_and_query(world, method):
    redirecting(world, service("netshop", port=world.origin().port))
    answer = world.get(NETSHOP, "/cart?x=1", method=method, body=b"a=1" if method == "POST" else None)
    assert answer.status == 308
    assert answer["location"] == f"https://{NETSHOP}:{world.https}/cart?x=1"
    assert answer["cache-control"] == "no-store"


def test_the_service_behind_it_hears_of_https_alone(world):
    shop = world.origin()
    redirecting(world, service("netshop", port=shop.port))
    followed = world.curl(
        *("--resolve", f"{NETSHOP}:{world.http}:127.0.0.1", "--resolve", f"{NETSHOP}:{world.https}:127.0.0.1"),
        *("-L", "--data", "a=1", f"http://{NETSHOP}:{world.http}/cart"),
    )
    assert '"target": "/cart"' in followed
    seen = shop.last()
    assert (seen.method, seen.body, seen["x-forwarded-proto"]) == ("POST", b"a=1", "https")
    assert shop.seen.empty()


@pytest.mark.parametrize(
    "host", [NETSHOP, "register.local.example.com", "nobody.local.example.com", "local.example.com"]
)
def test_whatever_answers_there_plain_http_is_not_asked(world, host):
    redirecting(world, service("netshop"), service("register", state=State.STOPPED, remote=None))
    assert world.get(host).status == 308
    assert world.get(host, scheme="https").status != 308


def test_below_localhost_plain_http_stays(world):
    redirecting(world, service("netshop", port=world.origin().port))
    assert world.get("netshop.localhost").route == "local"


def test_without_the_setting_plain_http_is_served(world):
    world.tell(service("netshop", port=world.origin().port))
    assert world.get(NETSHOP).route == "local"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_auto_configuration_names_the_gateway_for_our_hosts(world, host):
    answer = world.get(host, "/proxy.pac")
    assert (answer.status, answer["content-type"]) == (200, "application/x-ns-proxy-autoconfig")
    assert f'"PROXY 127.0.0.1:{world.http}"' in answer.text
    assert world.get(host, "/proxy.pac", method="HEAD").body == b""


def test_a_service_keeps_a_file_of_that_name(world):
    world.tell(service("netshop", port=world.origin().port))
    assert world.get(NETSHOP, "/proxy.pac").json["target"] == "/proxy.pac"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed, which runs the file as a browser does")
def test_a_browser_asks_the_gateway_for_our_hosts_and_nobody_for_others():
    hosts = [NETSHOP, "local.example.com", "A.B.LOCAL.example.com.", "evillocal.example.com", "example.com", "local"]
    asks = ", ".join(f"FindProxyForURL('https://{host}/', '{host}')" for host in hosts)
    script = f"{proxy_pac('local.example.com', 8080)}; console.log(JSON.stringify([{asks}]))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip()
        == '["PROXY 127.0.0.1:8080","PROXY 127.0.0.1:8080","PROXY 127.0.0.1:8080","DIRECT","DIRECT","DIRECT"]'
    )


def test_what_the_file_says_works_for_https_too(world):
    world.tell(service("netshop", port=world.origin().port))
    text = world.curl("-x", f"http://127.0.0.1:{world.http}", f"https://{NETSHOP}:{world.https}/cart")
    assert '"target": "/cart"' in text
