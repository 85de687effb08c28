"""Start at login: the file that systemd and launchd read, the shell's environment, and what comes back."""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from workbench import Running, Site, wait_until

from procman.system import autostart, autostart_linux, autostart_macos
from procman.system.change import HEADER

SERVICE = "web: python3 -m http.server $PORT --bind 127.0.0.1\n"

linux = pytest.mark.skipif(sys.platform != "linux", reason="a unit of systemd's")


def login(site: Site, command: list[str]) -> Running:
    """What a user manager does at login: starts the command with next to no environment."""
    kept = (
        "HOME",
        "XDG_STATE_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "STORES_HTTP_PORT",
        "STORES_HTTPS_PORT",
        "STORES_DNS_PORT",
    )
    env = {name: site.env[name] for name in kept} | {"PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        command, cwd=site.root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    running = Running(process)
    site.commands.append(running)
    return running


def ended(site: Site, number: signal.Signals) -> None:
    """The supervisor, when the machine is shut down (SIGTERM) or loses its power (SIGKILL, and all else with it)."""
    pid = site.status()["pid"]
    members = site.ours()
    os.kill(pid, number)
    if number is signal.SIGKILL:
        for member in members:
            member.kill()
    psutil.wait_procs(members, timeout=30)
    wait_until(lambda: not site.ours(), "nothing lives")


def power_was_lost(site: Site) -> None:
    """What the ledger of an earlier boot looks like."""
    (ledger,) = (site.folder / "state").glob("stores/workspaces/*/ledger.json")
    value = json.loads(ledger.read_text())
    ledger.write_text(json.dumps(value | {"boot": "another one"}))


def resuming(site: Site) -> list[str]:
    return autostart.command(site.root, site.env | {"SHELL": "/bin/sh"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["shut down", "power lost"])
def test_what_ran_before_the_reboot_runs_again_and_nothing_else(site: Site, number: signal.Signals) -> None:
    for name in ("shop", "till", "stock"):
        site.service(name, SERVICE, remote=False)
    site.ok("up", "-d", "shop", "till")
    site.ok("stop", "till")
    ended(site, number)
    if number is signal.SIGKILL:
        power_was_lost(site)
    login(site, resuming(site))
    wait_until(lambda: site.status()["pid"] and site.process("shop.web")["state"] == "ready", "shop is back")
    assert site.process("till.web")["state"] == "stopped"
    assert site.process("stock.web")["state"] == "stopped"
    site.ok("down")


def test_after_down_nothing_comes_back(site: Site) -> None:
    site.service("shop", SERVICE, remote=False)
    site.ok("up", "-d", "shop")
    site.ok("down")
    login(site, resuming(site))
    wait_until(lambda: site.status()["gateway"]["state"] == "ready", "the supervisor is there")
    assert site.process("shop.web")["state"] == "stopped"
    site.ok("down")


@linux
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_services_get_the_environment_that_the_shell_sets_up(site: Site) -> None:
    """By the very command line of the unit, which systemd would start."""
    home = Path(site.env["HOME"])
    (home / ".bashrc").write_text("export FROM_BASHRC=yes PATH=$HOME/tools:$PATH\n")
    (home / ".bash_profile").write_text(". ~/.bashrc\n")
    site.service("shop", SERVICE, remote=False)
    site.ok("up", "-d", "shop")
    ended(site, signal.SIGTERM)
    site.ok("autostart", "on", env={"SHELL": shutil.which("bash")})
    (unit,) = (site.folder / "config/systemd/user").glob("*.service")
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    login(site, shlex.split(line.removeprefix("ExecStart=")))
    pid = wait_until(lambda: (one := site.process("shop.web"))["state"] == "ready" and one["pid"], "shop is back")
    environ = psutil.Process(pid).environ()
    assert environ["FROM_BASHRC"] == "yes"
    assert str(home / "tools") in environ["PATH"].split(":")
    site.ok("down")


@linux
def test_it_goes_on_twice_and_off_and_nothing_is_left(site: Site) -> None:
    folder = site.folder / "config/systemd/user"
    assert "Wrote" in site.ok("autostart", "on")
    assert "Was so already" in site.ok("autostart", "on")
    assert "starts at login" in site.ok("autostart")
    (unit,) = folder.glob("*.service")
    assert (folder / "default.target.wants" / unit.name).resolve() == unit
    site.ok("autostart", "off")
    assert "does not start" in site.ok("autostart")
    assert not (site.folder / "config").exists() or not list((site.folder / "config").rglob("*stores*"))
    assert not folder.exists()


@linux
def test_clean_takes_it_away_too(site: Site) -> None:
    site.ok("autostart", "on")
    assert ".service will be removed" in site.ok("clean", "--dry-run")
    site.ok("clean", "--yes")
    assert not (site.folder / "config/systemd").exists()


@linux
def test_somebody_elses_unit_of_that_name_is_left_alone(site: Site) -> None:
    site.ok("autostart", "on")
    (unit,) = (site.folder / "config/systemd/user").glob("*.service")
    unit.write_text("[Unit]\nDescription=mine\n")
    done = site.stores("autostart", "on")
    assert done.returncode == 1
    assert "was not made by stores" in done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", ["shop", '50% of $HOME\'s "shop" \\ back'])
def test_systemd_reads_the_unit_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    environ = {"HOME": str(tmp_path), "SHELL": "/bin/sh"}
    file, _ = autostart_linux.files(root, "0123456789", autostart.command(root, environ), tmp_path, HEADER)
    Path(file.path).write_text(file.text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", "--user", file.path],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "stores-0123456789" in line] == []


def test_launchd_gets_an_agent_that_it_can_read(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "SHELL": "/bin/zsh"}
    command = autostart.command(tmp_path / "shop", environ)
    file, link = autostart_macos.files(tmp_path / "shop", "0123456789", command, tmp_path, HEADER)
    assert link is None
    assert file.path == str(tmp_path / "com.stores.0123456789.plist")
    assert plistlib.loads(file.text.encode()) == {
        "Label": "com.stores.0123456789",
        "Comment": HEADER,
        "ProgramArguments": [
            "/bin/zsh",
            "-l",
            "-i",
            "-c",
            f"exec {sys.executable} -P -m procman --workspace {tmp_path}/shop --background --resume",
        ],
        "WorkingDirectory": str(tmp_path / "shop"),
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True},
        "AbandonProcessGroup": True,
        "ProcessType": "Interactive",
    }


@pytest.mark.parametrize(
    ("shell", "first"),
    [
        ("/bin/bash", ["/bin/bash", "-l", "-i", "-c"]),
        ("/usr/bin/fish", ["/usr/bin/fish", "-l", "-i", "-c"]),
        ("/opt/nu", ["/bin/sh", "-l", "-c"]),
        ("", ["/bin/sh", "-l", "-c"]),
    ],
)
def test_the_shell_is_the_users_where_it_is_one_that_we_know(tmp_path: Path, shell: str, first: list[str]) -> None:
    assert autostart.command(tmp_path, {"SHELL": shell})[:-1] == first
