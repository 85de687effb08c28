"""`stores events …`: one system for all tests of this file, driven as people do."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from workbench import Site, wait_until

SINK = """
    import http.server, os

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            bad = self.headers["ce-subject"] == "bad"
            self.send_response(400 if bad else 204)
            self.end_headers()
            self.wfile.write(b'{"error": "no such customer"}' if bad else b"")

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("events"))
    try:
        made.program("sink.py", SINK)
        made.service("desk", "web: exec python3 sink.py\n", setup="", subscribe=["com.example.**"])
        made.ok("up", "-d", "gateway", "desk")
        yield made
    finally:
        made.end()


def test_what_is_sent_is_seen_and_delivered(system: Site) -> None:
    told = json.loads(
        system.ok("events", "send", "com.example.a", "-d", '{"n": 1}', "--subject", "s", "--id", "one", "--json")
    )
    assert told["accepted"] == 1
    assert "known already" in system.ok("events", "send", "com.example.a", "--id", "one")
    assert re.search(r'\d+ com\.example\.a /stores/cli s \{"n": 1\}', system.ok("events", "tail"))
    shown = json.loads(system.ok("events", "show", str(told["seq"])))
    assert shown["event"]["data"] == {"n": 1}
    assert "desk: idle, 0 waiting" in system.ok("events", "drain", "desk")


def test_data_comes_from_a_file_too_and_must_be_json(system: Site) -> None:
    (system.root / "order.json").write_text('{"from": "file"}')
    system.ok("events", "send", "com.example.file", "-d", "@order.json")
    assert '{"from": "file"}' in system.ok("events", "tail", "--type", "com.example.file")
    for data in ("{n: 1}", "@nowhere.json"):
        done = system.stores("events", "send", "com.example.a", "-d", data)
        assert done.returncode == 2
        assert done.stderr.startswith("stores: ")


def test_a_refused_event_is_exit_2_with_the_attribute(system: Site) -> None:
    done = system.stores("events", "send", "com.example.a", "--source", "not a uri")
    assert done.returncode == 2
    assert "source" in done.stderr


def test_following_shows_new_events_as_they_come(system: Site) -> None:
    tail = system.begin("events", "tail", "-f", "-n", "0", "--json", "--type", "com.example.live")

    def seen() -> bool:
        system.ok("events", "send", "com.example.live", "-d", "1")
        tail.read(0.2)
        return "com.example.live" in tail.text

    wait_until(seen, "it is shown")
    assert json.loads(tail.text.splitlines()[0])["event"]["data"] == 1


def test_following_survives_a_restart_of_the_gateway_and_ctrl_c_ends_it(system: Site) -> None:
    tail = system.begin("events", "tail", "-f", "-n", "1", "--type", "com.example.through")
    system.ok("events", "send", "com.example.through", "--subject", "before")
    tail.wait_for("before")
    system.ok("restart", "gateway")
    system.ok("events", "send", "com.example.through", "--subject", "after")
    shown = tail.wait_for("after")
    assert len(re.findall("com.example.through", shown)) == 2
    tail.signal(signal.SIGINT)
    assert tail.wait() == 130
    assert "Traceback" not in tail.text


def test_events_are_found_by_source_and_subject_and_shown_by_id(system: Site) -> None:
    for number in range(3):
        system.ok("events", "send", "com.example.found", "--source", f"/shop/{number}", "--id", f"found-{number}")
    system.ok("events", "send", "com.example.found", "--source", "/shop/1", "--subject", "東京", "--id", "found-3")

    def found(*words: str) -> list[str]:
        lines = system.ok("events", "tail", "--json", *words).splitlines()
        return [json.loads(line)["event"]["id"] for line in lines]

    assert found("--source", "/shop/1") == ["found-1", "found-3"]
    assert found("--source", "/shop/1", "--subject", "東京") == ["found-3"]
    assert found("--type", "com.example.found", "-n", "1") == ["found-3"]
    assert found("-n", "0") == []
    assert json.loads(system.ok("events", "show", "found-2"))["event"]["source"] == "/shop/2"


def test_data_is_sent_as_it_was_written(system: Site) -> None:
    told = json.loads(
        system.ok("events", "send", "com.example.digits", "-d", '{"b": 1.00000000000000000001, "a": 1e400}', "--json")
    )
    port = system.status()["events"]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/events?after={told['seq'] - 1}&limit=1") as answer:
        assert b'"data":{"b": 1.00000000000000000001, "a": 1e400}' in answer.read()


def test_a_place_may_be_a_span_back_or_a_time_of_this_machine(system: Site) -> None:
    for place in ("10m", "1h30m", "2026-01-01", "2026-01-01T09:00"):
        assert "desk" in system.ok("events", "seek", "desk", place)
    system.ok("events", "drain", "desk")
    assert json.loads(system.ok("events", "replay", "desk", "--from", "0s", "--json"))["replayed"] == 0
    system.ok("events", "drain", "desk")
    system.ok("events", "dead", "desk", "--drop")


def test_one_dead_letter_is_shown_whole_and_dropped_alone(system: Site) -> None:
    for number in range(2):
        system.ok("events", "send", "com.example.a", "--subject", "bad", "--id", f"whole-{number}")
    system.ok("events", "drain", "desk")
    first, second = (one["number"] for one in json.loads(system.ok("events", "dead", "desk", "--json")))
    shown = system.ok("events", "dead", str(first))
    assert f"{first}: event" in shown
    assert "for desk" in shown
    assert '400 {"error": "no such customer"}' in shown
    assert '"id": "whole-0"' in shown
    assert json.loads(system.ok("events", "dead", str(first), "--json"))["event"]["id"] == "whole-0"
    assert "1 forgotten" in system.ok("events", "dead", str(first), "--drop")
    assert [one["number"] for one in json.loads(system.ok("events", "dead", "--json"))] == [second]
    system.ok("events", "dead", "desk", "--drop")


def test_completion_offers_who_subscribes(system: Site) -> None:
    system.service("mute", "web: exec sleep 1000\n", setup="")
    try:
        words = "stores events pause "
        env = {"_STORES_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
        assert system.ok(env=env).split() == ["desk"]
    finally:
        (system.root / "Procfile.d" / "mute").unlink()


def test_a_dead_letter_is_shown_tried_again_and_dropped(system: Site) -> None:
    system.ok("events", "send", "com.example.a", "--subject", "bad", "--id", "dead-1")
    system.ok("events", "drain", "desk")
    (letter,) = json.loads(system.ok("events", "dead", "desk", "--json"))
    assert (letter["status"], letter["event"]["id"]) == (400, "dead-1")
    assert "400" in system.ok("events", "dead")
    assert "1 on the way" in system.ok("events", "retry", str(letter["number"]))
    system.ok("events", "drain", "desk")
    assert "1 forgotten" in system.ok("events", "dead", "desk", "--drop")
    assert system.ok("events", "dead") == "None.\n"


def test_pause_seek_replay_resume(system: Site) -> None:
    assert "paused" in system.ok("events", "pause", "desk")
    system.ok("events", "send", "com.example.a")
    done = system.stores("events", "drain", "desk", "--timeout", "0.1")
    assert done.returncode == 1
    assert "still wait for desk (paused)" in done.stderr
    assert re.search(r"desk +paused", system.ok("events", "show"))
    assert "0 waiting" in system.ok("events", "seek", "desk", "last")
    assert "replayed" in system.ok("events", "replay", "desk", "--from", "0", "--to", "1")
    system.ok("events", "resume", "desk")
    assert "idle" in system.ok("events", "drain", "desk")


@pytest.mark.parametrize(
    "words",
    [
        *(("pause", "dexk"), ("resume", "dexk"), ("drain", "dexk"), ("replay", "dexk"), ("seek", "dexk", "last")),
        *(("dead", "dexk"), ("dead", "dexk", "--drop"), ("retry", "--all", "dexk"), ("pause", "no such name")),
    ],
    ids=" ".join,
)
def test_an_unknown_name_is_exit_4_with_the_known_ones(system: Site, words: tuple[str, ...]) -> None:
    done = system.stores("events", *words)
    assert done.returncode == 4
    assert "There is: desk" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("tail", "-n", "-1"), 2, "--lines"),
        (("send", "com.example.a", "-a", "partitionkey"), 2, "-a partitionkey=tokyo"),
        (("send", "com.example.a", "-a", "my_key=1"), 2, "my_key"),
        (("send", "com.example.a", "-d", "text"), 2, "A text needs its quotes"),
        (("send", "com.example.a", "-d", "@nowhere.json"), 2, "-d @order.json"),
        (("send",), 2, "TYPE"),
        (("show", "999999"), 4, "stores events tail"),
        (("show", "no-such-id"), 4, "stores events tail"),
        (("dead", "--drop"), 2, "stores events dead NUMBER|NAME --drop"),
        (("dead", "999999"), 4, "There is no dead letter 999999"),
        (("dead", "999999", "--drop"), 4, "There is no dead letter 999999"),
        (("retry", "9" * 30), 4, "There is no dead letter"),
        (("send", "com.example.a", "-d", '{"n": NaN}'), 2, "NaN"),
        (("retry",), 2, "stores events retry 3 4"),
        (("retry", "1", "--all", "desk"), 2, "stores events retry 3 4"),
        (("retry", "999999"), 4, "There is no dead letter 999999"),
        (("seek", "desk", "yesterday"), 2, "a place (17), a time"),
        (("seek", "desk", "5x"), 2, "a place (17), a time"),
        (("seek", "desk"), 2, "PLACE"),
        (("replay", "desk", "--from", "noon"), 2, "a place (17), a time"),
        (("drain", "desk", "--timeout", "-1"), 2, "--timeout"),
        (("drain", "desk", "--timeout", "4000"), 2, "--timeout"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input_is_told_what_to_type(system: Site, words: tuple[str, ...], code: int, told: str) -> None:
    done = system.stores("events", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_every_verb_has_an_answer_for_programs(system: Site) -> None:
    def told(*words: str) -> Any:
        return json.loads(system.ok("events", *words, "--json"))

    sent = told("send", "com.example.json", "--subject", "bad")
    assert (sent["accepted"], sent["duplicates"]) == (1, 0)
    assert told("drain", "desk")["waiting"] == 0
    (line,) = system.ok("events", "tail", "-n", "1", "--json").splitlines()
    assert json.loads(line)["event"]["type"] == "com.example.json"
    assert told("show", str(sent["seq"]))["event"]["subject"] == "bad"
    (letter,) = told("dead", "desk")
    assert told("retry", str(letter["number"])) == {"retried": 1}
    told("drain", "desk")
    assert told("dead", "desk", "--drop") == {"dropped": 1}
    assert told("pause", "desk")["state"] == "paused"
    assert told("seek", "desk", "last")["waiting"] == 0
    assert told("replay", "desk", "--from", "0", "--to", "1")["replayed"] in {0, 1}
    assert told("resume", "desk")["state"] in {"delivering", "idle", "retrying"}
    shown = told("show")
    assert (shown["status"], shown["engine"], shown["remote"]) == ("ok", "sqlite", None)
    assert shown["where"].endswith("events.sqlite3")
    assert [one["name"] for one in shown["subscriptions"]] == ["desk"]


@pytest.mark.parametrize(
    "verb", ["tail", "send", "show", "replay", "dead", "retry", "pause", "resume", "seek", "drain"]
)
def test_each_verb_has_help_with_examples(verb: str, site: Site) -> None:
    told = site.ok("events", verb, "--help")
    assert "For example:" in told
    assert f"stores events {verb}" in told


@pytest.mark.parametrize("words", [("events", "show"), ("events", "tail", "--json"), ("status",)], ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_a_verb_quietly(system: Site, words: tuple[str, ...]) -> None:
    for _ in range(3):
        system.ok("events", "send", "com.example.long", "-d", json.dumps("x" * 50_000))  # more than a pipe holds
    command = shlex.join([sys.executable, "-P", "-m", "procman.cli", *words])
    script = f"{command} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=system.root, env=system.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_without_a_running_system_it_is_exit_3(site: Site) -> None:
    done = site.stores("events", "tail")
    assert done.returncode == 3
    assert "stores up -d" in done.stderr
