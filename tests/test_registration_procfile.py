"""One file registers a service; what is wrong in it is said with its place and its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from procman.mistake import MistakesError
from procman.procfile import parse
from procman.service import Process, Ready, Service

ROOT = Path("/shop")


def read(text: str, name: str = "netshop") -> Service:
    file = ROOT / "Procfile.d" / name
    return parse(text, file, root=ROOT, repos=Path("/"), remote_domain="remote.example.com")


def mistakes(text: str, name: str = "netshop") -> list[str]:
    with pytest.raises(MistakesError) as caught:
        read(text, name)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize("text", ["", "web: make dev\n", "# only a comment\n", "web: make dev\r\n"])
def test_an_empty_file_is_a_working_registration(text: str) -> None:
    service = read(text)
    assert service.processes[0].command == "make dev"
    assert service.hosts == ("netshop",)
    assert service.dir == Path("/netshop")
    assert service.remote == "https://netshop.remote.example.com"
    assert service.port is None


def test_the_block_says_everything_that_the_sample_says() -> None:
    service = read(
        """# A comment before it.
# /// stores
# description = "Online shop"
# repo = "https://github.com/example/netshop"
# dir = "../netshop"
# hosts = ["netshop", "*.netshop"]
# port = 3000
# remote = "https://shop.remote.example.com/"
# ready = "/healthz"
# needs = ["account"]
# grace = 2
# env = { RAILS_ENV = "development" }
# ///
web: make dev
worker: bundle exec sidekiq
"""
    )
    assert service.description == "Online shop"
    assert service.repo == "https://github.com/example/netshop"
    assert service.hosts == ("netshop", "*.netshop")
    assert service.port == 3000
    assert service.remote == "https://shop.remote.example.com"
    assert service.ready == Ready(path="/healthz")
    assert service.needs == ("account",)
    assert service.grace == 2.0
    assert service.env == {"RAILS_ENV": "development"}
    assert service.processes == (Process("web", "make dev", 14), Process("worker", "bundle exec sidekiq", 15))
    assert service.primary.name == "web"


def test_a_byte_order_mark_does_not_cost_the_first_line() -> None:
    assert [process.name for process in read("\ufeffweb: a\nworker: b\n").processes] == ["web", "worker"]


def test_the_first_process_is_the_primary_one_where_none_is_called_web() -> None:
    assert read("api: a\nworker: b\n").primary.name == "api"


def test_false_means_that_nothing_remote_answers() -> None:
    assert read("# /// stores\n# remote = false\n# ///\n").remote is None


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("web : make dev\n", "Procfile.d/netshop:1", "Write it as: web: make dev"),
        ("  web: make dev\n", "Procfile.d/netshop:1", "Write it as: web: make dev"),
        ("web: a\nweb: b\n", "Procfile.d/netshop:2", "(first on line 1)"),
        ("web:\n", "Procfile.d/netshop:1", "Write a command after the colon: web: make dev"),
        ("make dev\n", "Procfile.d/netshop:1", "Write it as  name: command"),
        ("my.web: x\n", "Procfile.d/netshop:1", "letters, digits, - and _"),
        ("# /// stores\nweb: x\n", "Procfile.d/netshop:2", "End the block with a line: # ///"),
        ("# /// stores\n# port = 1\n", "Procfile.d/netshop:1", "End it with a line: # ///"),
        ('# /// stores\n# host = ["a"]\n# ///\n', "Procfile.d/netshop:2", 'Did you mean "hosts"?'),
        ("# /// stores\n#\n# port = 70000\n# ///\n", "Procfile.d/netshop:3", "70000 is not a port"),
        ('# /// stores\n# port = "3000"\n# ///\n', "Procfile.d/netshop:2", "port must be a whole number"),
        ("# /// stores\n# port = true\n# ///\n", "Procfile.d/netshop:2", "port must be a whole number"),
        ("# /// stores\n# hosts = [1]\n# ///\n", "Procfile.d/netshop:2", "hosts must be a list of texts"),
        ('# /// stores\n# hosts = ["a b"]\n# ///\n', "Procfile.d/netshop:2", '"a b" is not a host'),
        ('# /// stores\n# hosts = ["*"]\n# ///\n', "Procfile.d/netshop:2", '"*" is not a host'),
        ('# /// stores\n# hosts = ["stores"]\n# ///\n', "Procfile.d/netshop:2", "the tool itself uses"),
        ("# /// stores\n# ready = 5\n# ///\n", "Procfile.d/netshop:2", 'Write ready = "/healthz"'),
        ('# /// stores\n# ready = { log = "(" }\n# ///\n', "Procfile.d/netshop:2", "not a regular expression"),
        ('# /// stores\n# remote = "shop"\n# ///\n', "Procfile.d/netshop:2", "remote must be an origin, or false"),
        ('# /// stores\n# stop_signal = "SIGFOO"\n# ///\n', "Procfile.d/netshop:2", '"SIGFOO" is not a signal'),
        ('# /// stores\n# restart = "often"\n# ///\n', "Procfile.d/netshop:2", "always, on-failure, never"),
        ("# /// stores\n# grace = 0\n# ///\n", "Procfile.d/netshop:2", "not a time to wait"),
        ("# /// stores\n# env = { A = 1 }\n# ///\n", "Procfile.d/netshop:2", 'Write it as: A = "1"'),
    ],
)
def test_a_mistake_names_file_line_text_and_mend(text: str, place: str, said: str) -> None:
    (only,) = mistakes(text)
    assert only.startswith(f"{place}: ")
    assert said in only


def test_toml_that_is_none_names_line_and_column_of_the_file() -> None:
    (only,) = mistakes('# first\n# /// stores\n# port = 3000\n# dir = "x\n# ///\nweb: x\n')
    assert only.startswith("Procfile.d/netshop:4:")
    assert 'dir = "x' in only


def test_all_mistakes_of_a_file_are_said_at_once_in_the_order_of_its_lines() -> None:
    found = mistakes("# /// stores\n# port = 0\n# nonsense = 1\n# ///\nweb : x\nworker: y\nworker: z\n")
    assert [int(mistake.split(":")[1]) for mistake in found] == [2, 3, 5, 7]


@pytest.mark.parametrize("name", ["Net_Shop", "-x", "a.b", "x" * 64])
def test_a_name_that_cannot_be_a_host_is_refused(name: str) -> None:
    (only,) = mistakes("", name)
    assert "cannot be a host name" in only


def test_a_name_of_the_tool_itself_is_refused() -> None:
    assert "the tool itself uses" in mistakes("", "gateway")[0]
