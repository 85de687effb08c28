"""How a remote is reached, and when a service starts and sleeps: the keys, read or refused with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.mistake import MistakesError
from procman.procfile import parse
from procman.service import Service
from procman.settings import PRODUCTION, Remote, read
from procman.table import Table

ROOT = Path("/shop")


def service(line: str) -> Service:
    text = f"# /// stores\n# {line}\n# ///\nweb: make dev\n"
    return parse(text, ROOT / "Procfile.d" / "shop", root=ROOT, repos=ROOT, remote_domain="remote.example.com")


def remote(text: str) -> Remote:
    table = Table.parse(f"[remote]\n{text}\n", "stores.toml")
    settings = read(table, ROOT)
    if table.mistakes:
        raise MistakesError(*table.mistakes)
    return settings.remote


def test_a_service_starts_and_sleeps_and_writes_as_its_file_says() -> None:
    assert (service("").start, service("").idle, service("").writes) == ("manual", 0.0, "allow")
    assert service('start = "on-request"').start == "on-request"
    assert [service(f'idle = "{idle}"').idle for idle in ("30s", "15m", "2h")] == [30.0, 900.0, 7200.0]
    assert service('writes = "deny"').writes == "deny"


@pytest.mark.parametrize("line", ['start = "sometimes"', 'idle = "15"', 'idle = "0m"', "idle = 15", 'writes = "no"'])
def test_another_word_is_a_mistake_with_its_line(line: str) -> None:
    with pytest.raises(MistakesError) as caught:
        service(line)
    assert str(caught.value).startswith("Procfile.d/shop:2: ")


def test_the_guard_stands_unless_the_workspace_says_otherwise() -> None:
    assert remote("").forbid == PRODUCTION
    assert remote("forbid = []").forbid == ()


def test_headers_say_where_their_value_is_and_never_what_it_is() -> None:
    assert remote('headers = { "X-Id" = "env:ID", "X-Key" = "command:pass show gate" }').headers == {
        "X-Id": "env:ID",
        "X-Key": "command:pass show gate",
    }
    with pytest.raises(MistakesError) as caught:
        remote('headers = { "X-Key" = "s3cret" }')
    assert "must say where its value is" in str(caught.value)
    with pytest.raises(MistakesError):
        remote('headers = { "X Key" = "env:KEY" }')
