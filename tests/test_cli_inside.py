"""`stores env` prints a service's environment, `stores exec` runs a command in it, whether anything runs or not."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from workbench import Site


@pytest.fixture
def shop(site: Site) -> Site:
    """One service with a folder of its own, an .env file, and a worker."""
    (site.root / "shop").mkdir()
    (site.root / "shop/.env").write_text(
        "FROM_FILE='it''s here'\nQUOTE=\"a 'b' \\\"c\\\" $HOME\nd\"\n".replace("''", "")
    )
    site.service(
        "netshop",
        "web: echo up; exec sleep 600\nworker: sleep 600\n",
        dir="shop",
        ready={"log": "up"},
        env={"OWN": "table"},
    )
    site.service("reserve", "web: echo up; exec sleep 600\n", ready={"log": "up"})
    return site


def test_env_prints_lines_that_a_shell_reads_back_to_the_same_values(shop: Site) -> None:
    printed = shop.ok("env", "netshop")
    back = subprocess.run(
        [
            "sh",
            "-c",
            'eval "$1"; exec python3 -c "import json, os; print(json.dumps(dict(os.environ)))"',
            "sh",
            printed,
        ],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    environ = json.loads(back.stdout)
    assert environ["QUOTE"] == "a 'b' \"c\" $HOME\nd"
    assert environ["OWN"] == "table"
    assert environ["STORES_SERVICE"] == "netshop"
    kept_by_shells = {f"export {name}=" for name in ("PWD", "OLDPWD", "SHLVL", "_")}
    assert not [line for line in printed.splitlines() if line.startswith(tuple(kept_by_shells))]
    assert (
        json.loads(shop.ok("env", "netshop", "--json")).items() >= {"QUOTE": environ["QUOTE"], "OWN": "table"}.items()
    )


def test_env_tells_the_same_port_before_and_after_the_start_and_the_running_ones_urls(shop: Site) -> None:
    before = json.loads(shop.ok("env", "netshop.worker", "--json"))
    shop.ok("up", "-d")
    after = json.loads(shop.ok("env", "netshop.worker", "--json"))
    running = json.loads(shop.ok("env", "netshop.worker", "--running", "--json"))
    assert before["PORT"] == after["PORT"] == running["PORT"] == str(shop.process("netshop.worker")["port"])
    assert after["STORES_PROCESS"] == "worker"
    assert after["STORES_RESERVE_URL"] == running["STORES_RESERVE_URL"]
    assert after["SSL_CERT_FILE"] == running["SSL_CERT_FILE"]


def test_exec_runs_in_the_folder_and_hands_on_the_exit_code(shop: Site) -> None:
    done = shop.stores("exec", "netshop", "--", "sh", "-c", "echo $FROM_FILE $STORES_PROCESS; pwd; exit 7")
    assert done.returncode == 7
    assert done.stdout.splitlines() == ["its here web", str(shop.root / "shop")]


def test_exec_leaves_the_commands_own_options_alone(shop: Site) -> None:
    assert shop.ok("exec", "netshop", "--", "echo", "--help", "-n", "--", "x") == "--help -n -- x\n"
    assert shop.ok("exec", "netshop", "echo", "-w", "x") == "-w x\n"


def test_exec_lets_the_callers_own_variables_win_over_the_files(shop: Site) -> None:
    done = shop.stores("exec", "netshop", "--", "sh", "-c", "echo $FROM_FILE", env={"FROM_FILE": "mine"})
    assert done.stdout == "mine\n"


def test_exec_replaces_this_program_with_default_signals(shop: Site) -> None:
    text = "import os, signal; print(signal.getsignal(signal.SIGPIPE) is not None, os.getppid())"
    done = shop.ok("exec", "netshop", "--", "sh", "-c", f"grep SigIgn /proc/$$/status; {sys.executable} -c '{text}'")
    assert int(done.split()[1], 16) & (1 << 12) == 0


def test_exec_gives_the_command_this_terminal(shop: Site) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "procman.cli",
            "exec",
            "netshop",
            "--",
            "sh",
            "-c",
            "test -t 0 && test -t 1 && tty",
        ],
        cwd=shop.root,
        env=shop.env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    assert process.wait(30) == 0
    assert os.read(leader, 100).decode().strip() == os.ttyname(follower)
    os.close(leader)
    os.close(follower)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("exec", "netshop", "--", "no-such-command"), 127, "cannot be run in"),
        (("exec", "netshop", "--", "/"), 126, "cannot be run in"),
        (("exec", "netshpo", "--", "true"), 4, 'Did you mean "netshop"?'),
        (("exec", "netshop.wroker", "--", "true"), 4, 'Did you mean "worker"?'),
        (("exec", "netshop"), 2, "COMMAND"),
        (("exec", "netshop", "--"), 2, ""),
        (("env", "netshop", "--running"), 3, "Nothing runs"),
    ],
)
def test_what_cannot_be_run_is_said_with_the_shells_exit_codes(
    shop: Site, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = shop.stores(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_exec_in_a_folder_that_is_not_cloned_says_how_to_get_it(site: Site) -> None:
    site.service("netshop", dir="nowhere", repo="https://github.com/example/netshop")
    done = site.stores("exec", "netshop", "--", "true")
    assert done.returncode == 1
    assert "stores clone netshop" in done.stderr
