"""``python -m procman.update.self_check FOLDER``: whether this code works, in a workspace that lasts for the check.

`stores update` has the new version do this before anything that runs is handed over to it. It starts a supervisor, the
gateway and one service on ports of their own, asks for a page as a browser would, and ends everything.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

#: Seconds for one command of the check; a laptop that compiles something else needs some of them.
_PATIENCE = 90.0
_LAST_LINES = 5


class FaultError(Exception):
    """What did not work."""


def main() -> int:
    """Says what is wrong on stderr, and returns 1 then."""
    expected = Path(sys.argv[1]).resolve()
    here = Path(__file__).resolve().parents[2]
    if here != expected:
        sys.stderr.write(f"this is the code in {here}, not the one in {expected}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="stores-") as folder:
        try:
            check(Path(folder))
        except FaultError as fault:
            sys.stderr.write(f"{fault}\n")
            return 1
    return 0


def check(folder: Path) -> None:
    """Raises `FaultError`. Nothing is left of it, whatever happens."""
    root = folder / "w"
    (root / "Procfile.d").mkdir(parents=True)
    serve = f"exec {shlex.quote(sys.executable)} -m http.server --bind 127.0.0.1 $PORT"
    (root / "Procfile.d" / "probe").write_text(
        f'# /// stores\n# dir = "."\n# setup = ""\n# remote = false\n# ///\nweb: {serve}\n'
    )
    environ = _environ(folder)
    try:
        _stores(root, environ, "up", "-d")
        status = json.loads(_stores(root, environ, "status", "--json"))
        port = int(status["gateway"]["http"])
        _expect(port, "probe.localhost", (200, "local"))
        _expect(port, "nobody.localhost", (404, "fallback"))
    except FaultError as fault:
        raise FaultError(f"{fault}{_last_words(folder)}") from fault
    finally:
        subprocess.run(_command(root, "down"), env=environ, capture_output=True, timeout=_PATIENCE, check=False)


def _environ(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STORES_", "XDG_"))}
    own = {
        "STORES_STATE_DIR": str(folder / "s"),
        "STORES_RUNTIME_DIR": str(folder / "r"),
        "STORES_CONFIG_DIR": str(folder / "c"),
        **dict.fromkeys(("STORES_HTTP_PORT", "STORES_HTTPS_PORT", "STORES_DNS_PORT"), "0"),
        "STORES_PROXY": "never",
        "STORES_SHELL": "never",
    }
    return kept | own


def _command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "procman.cli", "-w", str(root), *arguments]


def _stores(root: Path, environ: dict[str, str], *arguments: str) -> str:
    try:
        done = subprocess.run(
            _command(root, *arguments), env=environ, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FaultError(f"`stores {arguments[0]}` did not come to an end") from error
    if done.returncode:
        raise FaultError(f"`stores {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout


def _expect(port: int, host: str, wanted: tuple[int, str]) -> None:
    seen = _ask(port, host)
    if seen != wanted:
        raise FaultError(f"the gateway answers {seen} for {host}, and not {wanted}")


def _ask(port: int, host: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/", headers={"Host": f"{host}:{port}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("X-Stores-Route", "")
    except (OSError, http.client.HTTPException) as error:
        raise FaultError(f"the gateway does not answer: {error}") from error
    finally:
        connection.close()


def _last_words(folder: Path) -> str:
    found = [*folder.glob("s/workspaces/*/supervisor.log"), *folder.glob("s/workspaces/*/logs/gateway.log")]
    lines = [line for file in found for line in file.read_text(errors="replace").splitlines()[-_LAST_LINES:]]
    return "".join(f"\n  {line}" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
