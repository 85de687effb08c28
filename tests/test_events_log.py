"""The log on the disk: what it refuses to open, what it keeps, what a kill leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from events_world import Client, Receiver, headers_of, running, subscriber, until
from workbench import Running

from procman.errors import StoresError
from proxy_addons.events import progress
from proxy_addons.events.broker import Broker, Limits, Surroundings
from proxy_addons.events.database import MIGRATIONS, Database
from proxy_addons.events.event import Event


def event(number: int, data: bytes = b"") -> Event:
    return Event({"specversion": "1.0", "id": f"{number}", "source": "/s", "type": "t"}, data)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    file.write_bytes(b"my letters, which are no database at all" * 100)
    before = file.read_bytes()
    with pytest.raises(StoresError, match="cannot be used as event log") as caught:
        Database(file)
    assert f"mv {file}* {tmp_path}/broken" in caught.value.hint
    assert file.read_bytes() == before


@pytest.mark.parametrize("left", [None, b""])
def test_a_journal_whose_file_is_gone_or_empty_is_left_as_it_is(tmp_path: Path, left: bytes | None) -> None:
    file = tmp_path / "e.sqlite3"
    process, client = start(file)
    assert client.ask("POST", "/v1/events", b"", headers_of()).status == 202
    process.kill()
    process.communicate()
    journal = tmp_path / "e.sqlite3-wal"
    before, whole = journal.read_bytes(), file.read_bytes()
    file.unlink()
    if left is not None:
        file.write_bytes(left)
    with pytest.raises(StoresError, match="has events of it"):
        Database(file)
    assert journal.read_bytes() == before
    file.write_bytes(whole)  # as the hint says
    process, client = start(file)
    try:
        assert client.ask("GET", "/healthz").json["last"] == 1
    finally:
        process.kill()
        process.communicate()


def test_what_the_hint_says_moves_the_newest_events_too(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    process, client = start(file)
    assert client.ask("POST", "/v1/events", b"", headers_of()).status == 202
    process.kill()
    process.communicate()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA application_id = 1")
        with pytest.raises(StoresError, match="another program's") as caught:
            Database(file)
    subprocess.run(caught.value.hint.rpartition(": ")[2], shell=True, check=True)
    Database(file).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "broken" / "e.sqlite3")) as moved:
        assert moved.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_disk_on_which_nothing_can_be_written_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    file = tmp_path / "e.sqlite3"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "proxy_addons.events", "--file", str(file)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=full,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"{file} cannot be used as event log" in done.stderr
    assert f"df -h {tmp_path}" in done.stderr
    assert "begin anew" not in done.stderr


def test_a_folder_that_cannot_be_made_is_said_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(
        StoresError, match=r"taken/e.sqlite3 cannot be used as event log: (Not a directory|File exists)"
    ):
        Database(tmp_path / "taken" / "e.sqlite3")


def test_another_name_of_the_same_file_is_the_same_file(tmp_path: Path) -> None:
    first = Database(tmp_path / "e.sqlite3")
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "e.sqlite3")
    with pytest.raises(StoresError, match=f"PID {os.getpid()}"):
        Database(tmp_path / "link.sqlite3")
    first.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_file_of_an_older_version_keeps_what_it_has(tmp_path: Path, version: int) -> None:
    file = tmp_path / "e.sqlite3"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as old:
        for step in MIGRATIONS[:version]:
            old.executescript(step)
        old.execute("INSERT INTO broker (id) VALUES ('me')")
        old.execute("INSERT INTO events VALUES (7, x'01', 1.0, '', 't', '{}', x'ff')")
        old.execute("INSERT INTO subscriptions (name, cursor) VALUES ('shop', 5)")
        old.execute("INSERT INTO remotes (name, cursor) VALUES ('there', 3)")
        old.execute(f"PRAGMA application_id = {0x65766E74}")
        old.execute(f"PRAGMA user_version = {version}")
    database = Database(file)
    kept = [
        database.writer.execute(query).fetchone()
        for query in (
            "SELECT seq, data FROM events",
            "SELECT name, cursor FROM subscriptions",
            "SELECT id, log FROM broker",
            "SELECT cursor FROM remotes",
        )
    ]
    database.close()
    assert kept == [(7, b"\xff"), ("shop", 5), ("me", ""), (3,)]


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoresError, match="another program's database"):
        Database(file)
    assert file.read_bytes() == before


async def test_a_damaged_file_is_said_plainly_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    async with running(file) as (broker, _):
        await broker.log.append([event(number, b"x" * 500) for number in range(200)])
    content = bytearray(file.read_bytes())
    content[8192:20000] = os.urandom(20000 - 8192)
    file.write_bytes(content)
    with pytest.raises(StoresError, match="cannot be used as event log"):
        Database(file)
    assert file.read_bytes() == content


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    Database(file).close()
    newer = len(MIGRATIONS) + 1
    code = "import os, sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(f'PRAGMA user_version = {sys.argv[2]}')"
    subprocess.run([sys.executable, "-c", f"{code}; os._exit(0)", str(file), str(newer)], check=True)
    journal = tmp_path / "e.sqlite3-wal"
    before = file.read_bytes(), journal.read_bytes()
    with pytest.raises(StoresError, match=f"newer version of stores: schema {newer}"):
        Database(file)
    assert (file.read_bytes(), journal.read_bytes()) == before, "also what only its journal has stays there"


def test_a_file_whose_making_was_killed_is_made(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    killed = """
import os, sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("PRAGMA cache_spill = 1")
file.execute("PRAGMA cache_size = 1")
file.execute("CREATE TABLE first (x)")
file.execute("DROP TABLE first")
file.execute("BEGIN")
file.execute("CREATE TABLE half (x)")
file.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 900) "
    "INSERT INTO half SELECT randomblob(4000) FROM n")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", killed, str(file)], check=True)
    assert (tmp_path / "e.sqlite3-journal").exists()
    Database(file).close()


def test_only_one_broker_has_the_file(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    first = Database(file)
    with pytest.raises(StoresError, match=f"PID {os.getpid()}"):
        Database(file)
    first.close()
    Database(file).close()


def test_a_file_that_another_program_locks_is_said_plainly(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoresError, match="locked by another program"):
            Database(file)
    connection.close()


def test_an_old_schema_is_brought_up_to_date_and_a_migration_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    sqlite3.connect(file).close()
    Database(file).close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_what_was_taken_under_other_rules_is_still_delivered(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    before = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"noon","data":{"a":1}}'
    with Receiver() as shop:
        async with running(file) as (broker, _):
            await broker.follow([shop.as_subscriber()])
            row = ("shop", 1, 0, 0.0, "", before)
            await broker.writer.submit(lambda one: one.execute("INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?)", row))
        async with running(file) as (broker, _):
            await broker.follow([shop.as_subscriber()])
            (delivery,) = await shop.wait_for(1)
    assert (delivery.headers["ce-time"], delivery.body) == ("noon", b'{"a":1}')


async def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, _):
        synchronous = await broker.writer.submit(lambda one: one.execute("PRAGMA synchronous").fetchone()[0])
        assert synchronous == 2, "FULL"


async def test_what_fails_in_a_shared_commit_fails_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, _):
        hold = threading.Event()
        first = broker.writer.submit(lambda _: hold.wait(10))
        bad = broker.writer.submit(lambda one: one.execute("SELECT * FROM nowhere"))
        good = asyncio.create_task(broker.log.append([event(1)]))
        await asyncio.sleep(0)  # both are in the queue now, behind the first
        hold.set()
        await first
        with pytest.raises(Exception, match="nowhere"):
            await bad
        assert (await good).seq == 1
        assert len(await broker.log.read(0, 10)) == 1


async def test_events_survive_a_restart_and_places_go_on(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    async with running(file) as (broker, _):
        await broker.log.append([event(1, b"\x00\xff"), event(2)])
    async with running(file) as (broker, _):
        assert [stored.event for stored in await broker.log.read(0, 10)] == [event(1, b"\x00\xff"), event(2)]
        assert (await broker.log.append([event(3)])).seq == 3
        assert (await broker.log.append([event(1)])).duplicates == 1


async def test_the_old_goes_by_age_but_never_what_is_undelivered(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3", Limits(max_age=100)) as (broker, _):
        long_ago = time.time() - 1000
        await broker.log.append([event(number) for number in range(1200)], at=long_ago)
        await broker.log.append([event(5000)])
        broker.subscriptions.delivered = lambda: 700
        assert await broker.trim() == 700
        assert (await broker.log.read(0, 1))[0].seq == 701
        broker.subscriptions.delivered = lambda: 1201
        assert await broker.trim() == 500
        assert [stored.seq for stored in await broker.log.read(0, 10)] == [1201]


async def test_who_is_away_for_a_while_finds_what_came_meanwhile(tmp_path: Path) -> None:
    file, old = tmp_path / "e.sqlite3", Limits(max_age=0, most_waiting=3)
    with Receiver() as shop:
        async with running(file, old) as (broker, _):
            await broker.follow([shop.as_subscriber()])
            await broker.follow([])  # its file is on another branch
            await broker.log.append([event(1), event(2)])
            await broker.trim()
        async with running(file, old) as (broker, _):
            await broker.trim()  # nobody has said yet who is there
            await broker.follow([shop.as_subscriber()])
            await shop.wait_for(2)
            await broker.subscriptions.lanes["shop"].drained()
            await broker.follow([])
            await broker.log.append([event(number) for number in range(3, 9)])
            await broker.trim()
            assert (await broker.log.read(0, 1))[0].seq == 6, "no more than may wait for anybody"


async def test_a_file_that_takes_nothing_for_a_while_is_told_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_AGAIN", 0.05)
    file = tmp_path / "e.sqlite3"
    async with running(file) as (broker, client):
        await broker.writer.submit(lambda one: one.execute("PRAGMA busy_timeout = 0").close())
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await broker.follow([subscriber("shop")])
        assert (await client.publish()).status == 503
        health = (await client.call("GET", "/healthz")).json
        assert health["status"] == "degraded"
        assert f"df -h {tmp_path}" in health["hints"]["engine"]
        assert "locked" in health["problems"]["engine"]
        other.execute("ROLLBACK")
        assert (await client.publish()).status == 202
        assert (await client.call("GET", "/healthz")).json["status"] == "ok"
        await until(lambda: other.execute("SELECT * FROM subscriptions").fetchall(), "the place is kept")
        other.close()


async def test_the_old_goes_by_size_and_the_file_stops_growing(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3", Limits(max_bytes=300_000)) as (broker, _):
        sizes = []
        for round_ in range(6):
            await broker.log.append([event(round_ * 1000 + number, b"x" * 400) for number in range(1000)])
            await broker.trim()
            sizes.append((await broker.log.health())["bytes"])
        assert max(sizes) <= 300_000 + 20_000
        assert broker.log.last == 6000


async def test_the_newest_place_is_never_given_twice(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    async with running(file, Limits(max_age=0)) as (broker, _):
        await broker.log.append([event(1), event(2)])
        await broker.trim()
    async with running(file) as (broker, _):
        assert (await broker.log.append([event(3)])).seq == 3


async def test_a_time_leads_to_its_place(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, _):
        for number in range(1, 8):
            await broker.log.append([event(number)], at=1000.0 + number)
        assert [await broker.log.seq_at(when) for when in (0.0, 1001.0, 1004.5, 9999.0)] == [0, 0, 4, 7]


async def test_a_close_writes_what_was_accepted_before_it(tmp_path: Path) -> None:
    file = tmp_path / "e.sqlite3"
    broker = await Broker.open(file, Limits(), Surroundings())
    tasks = [asyncio.create_task(broker.log.append([event(number)])) for number in range(50)]
    await asyncio.sleep(0)
    await broker.close()
    assert [(await task).accepted for task in tasks] == [1] * 50
    async with running(file) as (again, _):
        assert again.log.last == 50


def start(file: Path) -> tuple[subprocess.Popen[bytes], Client]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "proxy_addons.events", "--file", str(file)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = Running(process)
    said.wait_for("/v1/events")
    said._selector.close()
    port = re.search(r":(\d+)/v1", said.text)
    assert port
    return process, Client(int(port[1]))


def test_a_broker_by_itself_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    process, client = start(tmp_path / "e.sqlite3")
    try:
        assert client.ask("POST", "/v1/events", b"", headers_of()).status == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_a_broker_that_cannot_open_its_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "e.sqlite3").write_text("no database, surely, but a text that is long enough to be taken for one" * 20)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "proxy_addons.events", "--file", str(tmp_path / "e.sqlite3")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be used as event log" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_time_leads_to_its_place_while_the_log_is_trimmed(tmp_path: Path) -> None:
    async with running(tmp_path / "e.sqlite3") as (broker, _):
        for begin in range(0, 30_000, 1000):
            await broker.log.append([event(number) for number in range(begin, begin + 1000)], at=1000.0 + begin)
        trimming = asyncio.create_task(broker.log.trim(30_000, 1e9, 0))
        asked = 0
        while not trimming.done():
            await broker.log.seq_at(1000.0 + 200 * asked)
            asked += 1
        assert await trimming == 29_999
        assert asked
