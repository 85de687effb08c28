"""``python -P -m proxy_addons.issuer``: a question as JSON on standard input, its answer on standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from procman.authorizer_settings import AuthorizerSettings
from procman.errors import StoresError
from procman.identity import Identity
from proxy_addons.issuer import signature
from proxy_addons.issuer.issuer import Issuer, Terms


def main() -> int:
    """Answers. What a person is to be told comes as ``{"error": …}``, and the exit code is 0 all the same."""
    question = json.load(sys.stdin)
    try:
        told = {"ok": _answer(question)}
    except StoresError as error:
        told = {"error": {"message": error.message, "hint": error.hint, "exit": error.exit_code}}
    except ValueError as error:
        told = {"error": {"message": str(error), "hint": "Look at what there is: stores token -h", "exit": 2}}
    json.dump(told, sys.stdout)
    return 0


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    terms = Terms.of(question["domain"], AuthorizerSettings.from_json(question["authorizer"]))
    issuer = Issuer(Path(question["folder"]), lambda: terms)
    if question["verb"] == "rotate":
        return {"keys": [key.published for key in issuer.keys.rotate()]}
    scopes = question["scopes"]
    token = issuer.sign(
        Identity.from_json(question["identity"]),
        question["audience"],
        scopes=None if scopes is None else tuple(scopes),
        expires_in=question["expires_in"],
    )
    return {"token": token, "claims": signature.read(token).claims()}


if __name__ == "__main__":
    sys.exit(main())
