"""Changing files so that each change can be taken back, byte for byte, and nobody else's is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from procman.system import files as system_file
from procman.system import record as system_record
from procman.system.change import HEADER, Block, Part, Put, Run
from procman.system.files import ForeignFileError
from procman.system.privileged import Changes, CommandError

TEXT = f"# {HEADER}\nDNS=127.0.0.1:15353\n"


@pytest.fixture
def changes(tmp_path: Path) -> Changes:
    return Changes("dina", tmp_path / "record/system.json")


def part(*files: Put | Block, name: str = "names", **runs: tuple[Run, ...]) -> Part:
    return Part(name=name, what="", missing="", files=files, **runs)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_and_its_folders_come_and_go(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "etc/systemd/resolved.conf.d/stores.conf"
    (tmp_path / "etc").mkdir()
    assert changes.apply(part(Put(str(file), TEXT))) == [f"wrote {file}"]
    assert file.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o644
    assert changes.undo("names") == [f"removed {file}"]
    assert list(tmp_path.iterdir()) == [tmp_path / "etc"]
    assert list((tmp_path / "etc").iterdir()) == []


def test_the_same_again_changes_nothing(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "stores.conf"
    changes.apply(part(Put(str(file), TEXT)))
    inode = file.stat().st_ino
    assert changes.apply(part(Put(str(file), TEXT))) == []
    assert file.stat().st_ino == inode


def test_a_changed_part_replaces_the_old_one_whole(changes: Changes, tmp_path: Path) -> None:
    old, new = tmp_path / "old.conf", tmp_path / "new.conf"
    changes.apply(part(Put(str(old), TEXT)))
    changes.apply(part(Put(str(new), TEXT)))
    assert not old.exists()
    changes.undo("names")
    assert not new.exists()


def test_somebody_elses_file_is_refused_and_left(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "local.example.com"
    file.write_text("nameserver 10.0.0.1\n")
    with pytest.raises(ForeignFileError, match="was not made by stores"):
        changes.apply(part(Put(str(file), TEXT)))
    assert file.read_text() == "nameserver 10.0.0.1\n"
    assert not (tmp_path / "record").exists()


def test_a_link_in_the_files_place_is_never_followed(changes: Changes, tmp_path: Path) -> None:
    target = tmp_path / "passwd"
    target.write_text(TEXT)
    (tmp_path / "stores.conf").symlink_to(target)
    with pytest.raises(ForeignFileError):
        changes.apply(part(Put(str(tmp_path / "stores.conf"), TEXT + "more\n")))
    assert target.read_text() == TEXT


def test_our_file_that_somebody_rewrote_is_left_alone_and_said(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "stores.conf"
    changes.apply(part(Put(str(file), TEXT)))
    file.write_text("mine now\n")
    with pytest.raises(ValueError, match="not as stores wrote it"):
        changes.undo("names")
    assert file.read_text() == "mine now\n"
    file.unlink()
    changes.undo("names")
    assert not (tmp_path / "record").exists()


def test_our_file_that_somebody_edited_goes_all_the_same(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "stores.conf"
    changes.apply(part(Put(str(file), TEXT)))
    file.write_text(TEXT + "# a note\n")
    changes.undo("names")
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1 localhost\n",
        "127.0.0.1 localhost",
        "a\r\nb\r\n",
        "a\n\n\n",
        "\udcff\udcfe no UTF-8\n",
        "a\n# >>>",
    ],
    ids=["empty", "usual", "no newline at the end", "CRLF", "blank lines", "not UTF-8", "a marker cut off"],
)
def test_lines_of_ours_go_in_and_out_of_anybodys_file_byte_for_byte(
    changes: Changes, tmp_path: Path, text: str
) -> None:
    hosts = tmp_path / "hosts"
    before = text.encode("utf-8", "surrogateescape")
    hosts.write_bytes(before)
    hosts.chmod(0o664)
    block = Block(str(hosts), "local.example.com", "127.0.0.1\tnetshop.local.example.com\n")
    changes.apply(part(block))
    assert b"netshop" in hosts.read_bytes()
    assert before in hosts.read_bytes()
    assert system_file.is_done(block)
    changes.apply(part(block))
    changes.undo("names")
    assert hosts.read_bytes() == before
    assert hosts.stat().st_mode & 0o777 == 0o664


def test_what_others_added_after_us_stays(changes: Changes, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    changes.apply(part(Block(str(hosts), "local.example.com", "127.0.0.1\tnetshop\n")))
    hosts.write_text(hosts.read_text() + "10.0.0.5 printer\n")
    changes.undo("names")
    assert hosts.read_text() == "127.0.0.1 localhost\n10.0.0.5 printer\n"


def test_two_domains_keep_their_lines_apart(changes: Changes, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    changes.apply(part(Block(str(hosts), "a.example.com", "::1\ta.example.com\n"), name="a"))
    changes.apply(part(Block(str(hosts), "b.example.com", "::1\tb.example.com\n"), name="b"))
    changes.undo("a")
    assert "a.example.com" not in hosts.read_text()
    assert "::1\tb.example.com\n" in hosts.read_text()


def test_a_command_that_fails_takes_its_files_back(changes: Changes, tmp_path: Path) -> None:
    file = tmp_path / "etc/stores.conf"
    with pytest.raises(CommandError, match="ended with 1: no such unit"):
        changes.apply(part(Put(str(file), TEXT), after=(Run(("sh", "-c", "echo no such unit; exit 1")),)))
    assert list(tmp_path.iterdir()) == []


def test_commands_run_around_the_files_in_order(changes: Changes, tmp_path: Path) -> None:
    file, log = tmp_path / "stores.conf", tmp_path / "log"

    def note(word: str) -> Run:
        return Run(("sh", "-c", f'echo {word} $([ -e "$1" ] && echo there) >> "$2"', "sh", str(file), str(log)))

    whole = part(
        Put(str(file), TEXT), after=(note("after"),), before_undo=(note("before"),), after_undo=(note("undone"),)
    )
    changes.apply(whole)
    changes.undo("names")
    assert log.read_text().split("\n") == ["after there", "before there", "undone", ""]


def test_what_was_interrupted_is_written_down_and_can_be_undone(tmp_path: Path) -> None:
    """The record is written first: a kill between it and the files leaves nothing that nobody knows of."""
    record = tmp_path / "system.json"
    file = tmp_path / "stores.conf"
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom procman.system import files as system_file\n"
        "from procman.system.change import Part, Put\nfrom procman.system.privileged import Changes\n"
        "system_file.write = lambda file: os._exit(9)\n"
        f"Changes('dina', Path({str(record)!r})).apply(Part('names', '', '', (Put({str(file)!r}, {TEXT!r}),)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert system_record.read(record)["names"].user == "dina"
    assert Changes("dina", record).undo("names") == []
    assert not record.exists()


def test_parts_survive_the_way_to_root_and_back() -> None:
    whole = part(
        Put("/etc/a", "text é\n", 0o600), Block("/etc/hosts", "a.example.com", "x\n"), after=(Run(("a", "b c"), True),)
    )
    assert Part.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_root_without_a_request_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-m", "procman.system.privileged"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_record_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text('[{"part": 3}]')
    with pytest.raises(ValueError, match="not what stores wrote"):
        system_record.read(tmp_path / "system.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_counts_as_not_done(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text(TEXT)
    file.chmod(0)
    assert not system_file.is_done(Put(str(file), TEXT))
