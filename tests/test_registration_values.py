"""Whatever stands where a value belongs is a mistake with its place and its mend, and never a fault of the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from procman.machine.ports import Ports
from procman.process import plans
from procman.process.plans import Circumstances
from procman.workspace import Reading, read

LONG = "1" * 5000
DEEP = "[" * 5000
NESTED = "{ not = " * 40 + "1" + " }" * 40


def reading(root: Path, block: str = "", settings_text: str = "", lines: str = "web: true\n") -> Reading:
    (root / "Procfile.d").mkdir(exist_ok=True)
    commented = "".join(f"# {line}\n" for line in block.split("\n"))
    (root / "Procfile.d/shop").write_text(f"# /// stores\n{commented}# ///\n{lines}")
    (root / "stores.toml").write_text(settings_text)
    return read(root, {})


@pytest.mark.parametrize(
    "block",
    [
        'remote = "https://[::1"',
        'remote = "https://shop.test:99999"',
        'dir = "a\\u0000b"',
        'dir = "~nobody-of-this-name/shop"',
        'env_file = "a\\u0000b"',
        'env_file = ["~nobody-of-this-name/.env"]',
        "ready = { log = '\\u2713 ready' }",
        'ready = { log = "(?u)ready" }',
        'ready = { log = "a{99999999999999}" }',
        "ready_timeout = 1e309",
        "ready_timeout = nan",
        f"grace = {'1' * 400}",
        f"grace = {LONG}",
        f"needs = {DEEP}",
        f"events = {{ filters = [{NESTED}] }}",
        'env = { "" = "x" }',
        'env = { "A=B" = "x" }',
        'env = { A = "x\\u0000" }',
    ],
)
def test_a_services_wrong_value_names_its_line(tmp_path: Path, block: str) -> None:
    (mistake,) = reading(tmp_path, block).mistakes
    assert (mistake.file, mistake.line) == ("Procfile.d/shop", 2)
    assert mistake.mend


@pytest.mark.parametrize(
    "text",
    [
        'repos = "a\\u0000b"',
        'repos = "~nobody-of-this-name"',
        'events = { remote = "https://[" }',
        'events = { engine = "nats://[" }',
        'events = { engine = "sqlite:///a\\u0000b" }',
        f"events = {{ backlog = 1{'0' * 30} }}",
        "events = { max_age_days = 1e308 }",
        'authorizer = { issuer = "https://[" }',
        'authorizer = { url = "http://shop.test:0" }',
        'remote = { connect_to = ["*:443:127.0.0.1:99999"] }',
        'remote = { ca = "~nobody-of-this-name/ca.pem" }',
        "environment = { shell_timeout = inf }",
        f"identity = {{ alice = {{ claims = {NESTED} }} }}",
        f"a{'.a' * 3000} = 1",
        f"domain = {DEEP}",
        f"domain = {LONG}",
    ],
)
def test_a_wrong_setting_names_its_line(tmp_path: Path, text: str) -> None:
    (mistake,) = reading(tmp_path, settings_text=text).mistakes
    assert (mistake.file, mistake.line) == ("stores.toml", 1)
    assert mistake.mend


def test_a_command_with_a_nul_is_a_mistake_and_not_a_failed_start(tmp_path: Path) -> None:
    (mistake,) = reading(tmp_path, 'description = "x"', lines="web: tr\0ue\n").mistakes
    assert (mistake.line, mistake.problem) == (4, "a NUL, which no command can hold")


TEXTS = some.sampled_from(
    ["", "a", "/", "~x/y", "http://[", "https://x:99999", "a\0b", "\\u2713", "(", "é", "*.a", "9s", "{sub}", "nats://["]
) | some.text(max_size=8)
ENDS = TEXTS | some.integers() | some.floats() | some.booleans()
VALUES = some.recursive(
    ENDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SERVICE_KEYS = (
    *("dir", "hosts", "description", "port", "remote", "ready", "ready_timeout", "needs", "grace", "stop_signal"),
    *("restart", "env", "env_file", "setup", "terminal", "start", "idle", "writes", "rewrite_body", "subscribe"),
    *("deliver", "events", "route", "strip_prefix", "auth", "scopes", "repo", "unknown"),
)
SETTINGS = {
    "": ("domain", "repos", "gateway", "dns", "environment", "remote", "groups", "events", "identity", "authorizer"),
    "gateway.": ("http", "https", "redirect_to_https"),
    "environment.": ("proxy", "shell", "shell_timeout"),
    "remote.": ("domain", "connect_to", "ca", "headers", "proxy", "forbid"),
    "events.": ("port", "max_age_days", "max_size_mb", "backlog", "remote", "forward", "receive", "engine"),
    "identity.alice.": ("sub", "scopes", "claims"),
    "authorizer.": ("mode", "default", "issuer", "alg", "ttl", "headers", "preset", "url", "timeout", "remote"),
}
SETTING_KEYS = tuple(f"{table}{key}" for table, keys in SETTINGS.items() for key in keys)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    some.tuples(some.sampled_from(SERVICE_KEYS), VALUES),
    some.tuples(some.sampled_from(SETTING_KEYS), VALUES),
)
def test_no_value_is_a_fault_of_the_program(
    tmp_path: Path, fact: tuple[str, object], setting: tuple[str, object]
) -> None:
    texts = [f"{key} = {toml(value)}" for key, value in (fact, setting)]
    found = reading(tmp_path, *texts)
    for mistake in found.mistakes:
        assert mistake.problem
        assert mistake.mend
        assert str(mistake).startswith(("Procfile.d/shop", "stores.toml"))
    circumstances = Circumstances({}, Ports(tmp_path / "state/here/ports.json"))
    for service in found.workspace.services:  # what is taken for right can be run
        assert plans.plan(service, service.primary, found.workspace, circumstances).definition
        told = plans.told(service, service.primary, found.workspace, 1, circumstances)
        assert all(name and not set("=\0") & set(name) and "\0" not in value for name, value in told.items())
