"""mise and direnv, asked for what they change in a directory. Both answer in JSON, or say on stderr why not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from procman.errors import StoresError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool said.

    `changes`: a variable's new value, None where it is taken out. `lasting`: the same as long as its files are.
    """

    changes: dict[str, str | None]
    said: tuple[str, ...] = ()
    lasting: bool = True


_COMMANDS = {"mise": ["mise", "env", "--json"], "direnv": ["direnv", "export", "json"]}
_UNTRUSTED = {"mise": "not trusted", "direnv": "is blocked"}
_TRUST = {"mise": "mise trust", "direnv": "direnv allow"}


def ask(tool: str, folder: Path, environ: Mapping[str, str], patience: float) -> Answer:
    """What `tool` (mise, direnv) makes of a shell with `environ` that goes to `folder`. Raises `StoresError`."""
    code, out, err = _run(tool, folder, environ, patience)
    if code and _UNTRUSTED[tool] in err:
        said = f"{tool} may not read its files for {folder}, so this goes on without it. Allow it there: {_TRUST[tool]}"
        return Answer({}, (said,), lasting=False)
    try:
        changes = json.loads(out) if out.strip() else {}
        if code or not isinstance(changes, dict):
            raise ValueError(f"exit code {code}")  # noqa: TRY301 (both are one failure)
    except ValueError as error:
        raise StoresError(
            f"{tool} failed for {folder}: {_last_lines(err) or error}",
            f'Try it there: {" ".join(_COMMANDS[tool])}. To start without it: [environment] shell = "never"',
        ) from error
    warnings = tuple(err.strip().splitlines()) if tool == "mise" else ()  # direnv tells of its success there, too
    return Answer(
        {name: None if value is None else str(value) for name, value in changes.items()}, warnings, not warnings
    )


def _run(tool: str, folder: Path, environ: Mapping[str, str], patience: float) -> tuple[int, str, str]:
    """Exit code, output and error output. Files, not pipes: what an ``.envrc`` leaves running may hold them open."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            _COMMANDS[tool],
            cwd=folder,
            env={**environ, "PWD": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            process_group=0,
        )
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise StoresError(
                f"{tool} did not answer within {patience:g} s for {folder}",
                f"Try it there: {' '.join(_COMMANDS[tool])}. More time: [environment] shell_timeout = {patience * 6:g}",
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read().decode("utf-8", "surrogateescape"), err.read().decode("utf-8", "replace")


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])
