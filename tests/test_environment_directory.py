"""A service gets what mise and direnv make of its directory.

Neither is on every machine, so small real programs with their names stand on PATH, and behave as is documented:
``mise env --json``, ``direnv export json``, exit code 1 and a sentence on stderr for what is not trusted.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from workbench import Running, Site, wait_until

SHOW = "import json, os, time; print('ENV ' + json.dumps(dict(os.environ)), flush=True); time.sleep(600)"

#: direnv: its diff as JSON, null for what goes; DIRENV_WATCHES names the files on which it depends (file_times.go).
DIRENV = """
import base64, json, os, pathlib, sys, time, zlib
assert sys.argv[1:] == ["export", "json"], sys.argv
home = pathlib.Path(os.environ["HOME"])
with open(home / "direnv.calls", "a") as calls:
    calls.write(os.getcwd() + "\\n")
time.sleep(float(os.environ.get("FAKE_SLOW", "0")))
rc = next((d / ".envrc" for d in [pathlib.Path.cwd(), *pathlib.Path.cwd().parents] if (d / ".envrc").is_file()), None)
if rc is None:
    sys.exit()
if not (home / "allowed").exists():
    print(f"direnv: error {rc} is blocked. Run `direnv allow` to approve its content", file=sys.stderr)
    print(json.dumps({"DIRENV_FILE": str(rc)}))
    sys.exit(1)
print(f"direnv: loading {rc}", file=sys.stderr)
text = rc.read_text()
if "fail" in text:
    print("direnv: error exit status 1: no such tool", file=sys.stderr)
    sys.exit(1)
watches = [{"path": str(file), "modtime": 0, "exists": True} for file in (rc, rc.parent / "watched")]
packed = base64.urlsafe_b64encode(zlib.compress(json.dumps(watches).encode())).decode()
diff = dict(line.split("=", 1) for line in text.splitlines())
diff = {name: value or None for name, value in diff.items()}
print(json.dumps({**diff, "DIRENV_WATCHES": packed, "SAW_MISE": os.environ.get("FROM_MISE", "")}))
"""

MISE = """
import json, os, pathlib, sys
assert sys.argv[1:] == ["env", "--json"], sys.argv
home = pathlib.Path(os.environ["HOME"])
with open(home / "mise.calls", "a") as calls:
    calls.write(os.getcwd() + "\\n")
config = pathlib.Path.cwd() / "mise.toml"
if not (home / "trusted").exists():
    print(f"mise ERROR Config files in {config} are not trusted.\\nTrust them with `mise trust`.", file=sys.stderr)
    sys.exit(1)
print(json.dumps({"FROM_MISE": config.read_text().strip(), "PATH": f"{home}/ruby/bin:" + os.environ["PATH"]}))
"""


@pytest.fixture
def tools(site: Site) -> Path:
    """A folder on PATH for the fake programs; the home is theirs, too."""
    folder = site.folder / "bin"
    folder.mkdir()
    site.env["PATH"] = f"{folder}{os.pathsep}{site.env['PATH']}"
    site.program("show.py", SHOW)
    return folder


def install(tools: Path, name: str, text: str) -> None:
    program = tools / name
    program.write_text("#!/usr/bin/env python3" + text)
    program.chmod(0o755)


def seen(site: Site, name: str) -> dict[str, str]:
    lines = [line for line in site.ok("logs", name, "--json").splitlines() if '"ENV ' in line]
    return dict(json.loads(json.loads(lines[-1])["text"].removeprefix("ENV ")))


def register(site: Site, **facts: Any) -> None:
    site.service("netshop", "web: python3 show.py\n", **{"ready": {"log": "^ENV"}, **facts})


def test_a_service_gets_what_direnv_makes_of_its_directory(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.folder / "home/allowed").touch()
    (site.root / ".envrc").write_text("RAILS_ENV=from envrc\nPORT=1\nGONE=\nONE=envrc\nTWO=envrc\n")
    (site.root / ".env").write_text("ONE=env\nTHREE=env\n")
    register(site, env={"TWO": "table"})
    site.ok("up", "-d", env={"GONE": "was here"})
    env = seen(site, "netshop.web")
    assert env["RAILS_ENV"] == "from envrc"
    assert [env[name] for name in ("ONE", "TWO", "THREE")] == ["envrc", "table", "env"]
    assert env["PORT"] == str(site.process("netshop.web")["port"])
    assert "GONE" not in env
    assert "STORES_LAYERS" not in env


def test_mise_comes_first_and_direnv_sees_what_it_made(site: Site, tools: Path) -> None:
    install(tools, "mise", MISE)
    install(tools, "direnv", DIRENV)
    for name in ("allowed", "trusted"):
        (site.folder / "home" / name).touch()
    (site.root / "mise.toml").write_text("ruby 3.4")
    (site.root / ".envrc").write_text("X=1\n")
    register(site)
    site.ok("up", "-d")
    env = seen(site, "netshop.web")
    assert (env["FROM_MISE"], env["SAW_MISE"]) == ("ruby 3.4", "ruby 3.4")
    assert env["PATH"].startswith(f"{site.folder}/home/ruby/bin:")


@pytest.mark.parametrize(
    ("tool", "text", "file", "said"),
    [("direnv", DIRENV, ".envrc", "direnv allow"), ("mise", MISE, "mise.toml", "mise trust")],
)
def test_a_directory_that_is_not_trusted_is_left_alone_and_that_is_said(
    site: Site, tools: Path, tool: str, text: str, file: str, said: str
) -> None:
    install(tools, tool, text)
    (site.root / file).write_text("X=1\n")
    register(site)
    site.ok("up", "-d")
    env = seen(site, "netshop.web")
    assert "X" not in env
    assert "FROM_MISE" not in env
    assert "DIRENV_FILE" not in env
    assert said in site.ok("logs", "netshop")


def test_the_process_stays_the_one_that_was_started_and_no_shell_stays_behind(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.folder / "home/allowed").touch()
    (site.root / ".envrc").write_text("X=1\n")
    register(site)
    site.ok("up", "-d")
    pid = site.process("netshop.web")["pid"]
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1] == b"show.py"
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""


def test_an_answer_is_kept_until_a_file_changes_on_which_it_depends(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.folder / "home/allowed").touch()
    (site.root / ".envrc").write_text("X=1\n")
    register(site)
    calls = site.folder / "home/direnv.calls"

    def count() -> int:
        return len(calls.read_text().splitlines())

    site.ok("up", "-d")
    site.ok("restart", "netshop")
    site.ok("restart", "netshop")
    assert count() == 1
    (site.root / ".envrc").write_text("X=22\n")
    site.ok("restart", "netshop")
    assert (count(), seen(site, "netshop.web")["X"]) == (2, "22")
    (site.root / "watched").write_text("it was not there")
    site.ok("restart", "netshop")
    assert count() == 3
    kept = next((site.folder / "state").rglob("shell/*.json"))
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_tool_that_fails_is_named_with_what_it_said_and_nothing_is_started_half(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.folder / "home/allowed").touch()
    (site.root / ".envrc").write_text("fail=1\n")
    register(site, restart="never")
    assert site.stores("up", "-d").returncode == 1
    assert site.process("netshop.web")["exit"] == "exit code 78"
    told = site.ok("logs", "netshop")
    assert "direnv failed for" in told
    assert "exit status 1: no such tool" in told
    assert "ENV" not in told.replace("RAILS_ENV", "")


def slow(site: Site, tools: Path, time_out: str) -> Running:
    """`stores run` of a service whose directory's tool takes five minutes, and of another one."""
    install(tools, "direnv", DIRENV)
    (site.root / "slow").mkdir()
    (site.root / "slow/.envrc").write_text("X=1\n")
    register(site)
    site.service("reserve", "web: sleep 600\n", dir="slow", restart="never")
    site.env |= {"FAKE_SLOW": "300", "STORES_SHELL_TIMEOUT": time_out}
    return site.begin("run", "reserve", "netshop")


def test_a_slow_tool_blocks_nobody(site: Site, tools: Path) -> None:
    running = slow(site, tools, "200")
    site.wait_for("netshop.web", "ready")
    assert site.process("reserve.web")["state"] == "starting"
    running.signal(signal.SIGINT)
    assert running.wait() == 130
    assert not [one for one in site.ours() if "export" in one.cmdline()]


def test_a_slow_tool_is_ended_at_its_time_out(site: Site, tools: Path) -> None:
    running = slow(site, tools, "1")
    site.wait_for("reserve.web", "failed")
    assert "direnv did not answer within 1 s" in site.ok("logs", "reserve")
    assert not [one for one in site.ours() if "export" in one.cmdline()]
    running.signal(signal.SIGINT)
    assert running.wait() == 130


def test_a_directory_in_which_they_have_no_say_costs_no_process(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    install(tools, "mise", MISE)
    register(site)
    site.ok("up", "-d")
    assert not (site.folder / "home/direnv.calls").exists()
    assert not (site.folder / "home/mise.calls").exists()


def test_they_can_be_switched_off(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.folder / "home/allowed").touch()
    (site.root / ".envrc").write_text("X=1\n")
    (site.root / "stores.toml").write_text('[environment]\nshell = "never"\n')
    register(site)
    site.ok("up", "-d")
    assert "X" not in seen(site, "netshop.web")


def test_a_service_in_such_a_directory_is_ended_while_direnv_is_still_working(site: Site, tools: Path) -> None:
    install(tools, "direnv", DIRENV)
    (site.root / ".envrc").write_text("X=1\n")
    register(site)
    site.env["FAKE_SLOW"] = "300"
    running = site.begin("run", "netshop")
    wait_until((site.folder / "home/direnv.calls").exists, "direnv is asked")
    running.signal(signal.SIGINT)
    running.wait()
    assert not site.ours()
