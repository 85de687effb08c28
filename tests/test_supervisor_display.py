"""What services write is shown without steering the terminal, and no line of it takes longer than its length."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest
from supervising import Supervising

from procman.control_sequences import plain, tame

RESET = b"\x1b[0m"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"10%\r20%\r100%\n", b"100%\n"),
        (b"windows\r\n", b"windows\n"),
        (b"twice\r\r\nx\n", b"twice\nx\n"),
        (b"\x1b[1;38:5:9mred\n", b"\x1b[1;38:5:9mred\x1b[0m\n"),
        (b"\x1b[2J\x1b[Hclear\x1bc\n", b"clear\n"),
        (b"\x1b]52;c;aGk=\x07clipboard\n", b"clipboard\n"),
        (b"\x1b]52;c;" + b"a" * 600 + b"\x07long\n", b"]52;c;" + b"a" * 600 + b"\x07long\n"),
        (b"cut \x1b]0;\n", b"cut ]0;\n"),
        (b"cut \x1b\n", b"cut \n"),
        (b"\x1b#8fills\n", b"#8fills\n"),
        (b"\xc2\x9b2Jeight bits\n", b"2Jeight bits\n"),
        ("naïve £5 ©\n".encode(), "naïve £5 ©\n".encode()),
    ],
)
def test_a_line_keeps_its_text_and_its_colours_and_steers_nothing(written: bytes, shown: bytes) -> None:
    assert tame(written) == shown


@pytest.mark.parametrize(
    "lines",
    [
        b"10%\r20%\n" + b"a" * 64_000 + b"\n",
        b"\r" + b"a" * 190_000 + b"\n",
        b"\x1b[1mSQL\x1b[0m\n" + b"a" * 120_000 + b"\n",
        b"\x1b]" * 60_000 + b"\n",
        b"\x1b]0;" + b"a" * 120_000 + b"\n",
        b"\x1b[" + b"0" * 120_000 + b"\n",
    ],
    ids=["progress", "return", "colour", "commands", "title", "numbers"],
)
def test_a_long_line_costs_what_its_length_costs(lines: bytes) -> None:
    before = time.process_time()
    tame(lines)
    assert time.process_time() - before < 1


def test_plain_text_has_no_controls_but_tabs_and_newlines() -> None:
    assert plain(b"\x1b[31mred\x1b[0m\ta\x07b\x08c\x7f\r\n") == b"red\tabc\n"


def test_the_last_lines_of_what_failed_do_not_steer_the_terminal_of_who_asks(supervising: Supervising) -> None:
    supervising.service(
        "shop", "web: printf '\\033]52;c;aGk=\\007\\033[31mno database\\033[0m\\n'; exit 1\n", restart="never"
    )
    supervising.supervise()
    assert supervising.refused("start", "shop").message == "shop.web: exit code 1\nno database"
    assert supervising.problem("shop") == "exit code 1\nno database"


def test_stored_lines_do_not_steer_the_terminal_that_shows_them_and_are_whole_in_a_pipe(
    supervising: Supervising,
) -> None:
    supervising.paths.make()
    supervising.service("shop", "web: true\n")
    (supervising.paths.logs / "shop.web.log").write_bytes(b"\x1b[2J\x1b[32mgreen\n")
    assert "\x1b[2J\x1b[32mgreen\n" in supervising.ok("logs", "shop")
    reading, writing = pty.openpty()
    command = [sys.executable, "-P", "-m", "procman.cli", "logs", "shop"]
    subprocess.run(command, cwd=supervising.root, env=supervising.env, stdout=writing, check=True, timeout=60)
    shown = os.read(reading, 4096)
    os.close(reading)
    os.close(writing)
    assert b"| \x1b[32mgreen\x1b[0m\r\n" in shown
