"""The other end of ``python -m proxy_addons.issuer``: one question, one process, one answer.

A token needs the keys, and the keys belong to whoever may read their folder: so a command signs by itself, with the
gateway or without it, and no port is open at which another user of this machine could ask for more than the issuer's
site gives to anybody.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from procman.errors import StoresError
from procman.identity import Identity
from procman.paths import Paths
from procman.settings import Settings

#: Seconds. It takes a quarter of one, and twice that where keys have to be made.
_PATIENCE = 30.0


class IssuerProcess:
    """The issuer of a workspace."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._about = {
            "folder": str(paths.issuer),
            "domain": settings.domain,
            "authorizer": settings.authorizer.to_json(),
        }

    def sign(
        self,
        identity: Identity,
        *,
        audience: str | None = None,
        scopes: tuple[str, ...] | None = None,
        expires_in: float | None = None,
    ) -> dict[str, Any]:
        """A token and what it says: see `proxy_addons.issuer.issuer.Issuer.sign`. Raises `StoresError`."""
        return self._ask("sign", identity=identity.to_json(), audience=audience, scopes=scopes, expires_in=expires_in)

    def rotate(self) -> dict[str, Any]:
        """New keys sign from now on. Raises `StoresError`."""
        return self._ask("rotate")

    def _ask(self, verb: str, **more: Any) -> dict[str, Any]:
        question = json.dumps({"verb": verb, **self._about, **more})
        command = [sys.executable, "-P", "-m", "proxy_addons.issuer"]
        try:
            done = subprocess.run(
                command, input=question, capture_output=True, text=True, timeout=_PATIENCE, check=True
            )
            told: dict[str, Any] = json.loads(done.stdout)
        except subprocess.CalledProcessError as error:
            raise StoresError(
                f"The issuer failed: {error.stderr.strip()[-500:]}", "Is it whole? stores doctor"
            ) from error
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise StoresError(f"The issuer does not answer: {error}", "Is it whole? stores doctor") from error
        if "error" in told:
            failed = told["error"]
            raise StoresError(failed["message"], failed["hint"], exit_code=failed["exit"])
        answer: dict[str, Any] = told["ok"]
        return answer
