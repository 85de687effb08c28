"""`stores token NAME`, and `stores auth …`: what the local API gateway and its issuer are told."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from procman import span
from procman.cli import render
from procman.cli.arguments import Json
from procman.cli.caller import simulate
from procman.cli.help import group, option
from procman.cli.identities import complete, find
from procman.cli.place import here
from procman.clients.issuer import IssuerProcess
from procman.errors import StoresError
from procman.identity import Identity

_HELP = """Steer who may call, and with what.

\b
  stores token alice         print a token of hers
  stores as alice            call the API gateway as her from now on
  stores auth simulate deny  let its authorizer play trouble
  stores auth rotate         sign with new keys from now on
"""
#: What an identity may always ask for: OpenID Connect Core, sections 5.4 and 11.
_OPENID = frozenset({"openid", "profile", "email", "offline_access"})


def token(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="An identity of stores.toml: [identity.alice].", autocompletion=complete),
    ],
    audience: Annotated[str, option("--audience", "-a", metavar="TEXT", help="For whom it is.")] = "",
    scope: Annotated[
        list[str] | None, option("--scope", "-s", metavar="SCOPE", help="Only such of the identity's scopes.")
    ] = None,
    expires_in: Annotated[
        str, option("--expires-in", "-e", metavar="SPAN", help="30s, 15m, 2h; -1m: one that is over already.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Print a token of an identity.

    As the API gateway would sign it. It counts at this workspace alone. Nothing needs to run for it.

    For example:
      stores token alice
      curl -H "Authorization: Bearer $(stores token alice)" https://api-gateway.local.example.com/organization/
      stores token alice --scope org:read --expires-in 30s
      stores token alice --json | jq .claims
    """
    place = here()
    settings = place.workspace().settings
    identity = find(settings, name)
    told = IssuerProcess(place.paths, settings).sign(
        identity,
        audience=audience or None,
        scopes=_scopes(identity, scope),
        expires_in=_life(expires_in) if expires_in else None,
    )
    if as_json:
        claims = told["claims"]
        life = claims["exp"] - claims["iat"]
        whole = {"access_token": told["token"], "token_type": "Bearer", "expires_in": life, "scope": claims["scope"]}
        render.result({**whole, "claims": claims}, as_json=True)
    else:
        sys.stdout.write(told["token"] + "\n")


def _scopes(identity: Identity, wanted: list[str] | None) -> tuple[str, ...] | None:
    if not wanted:
        return None
    scopes = tuple(dict.fromkeys(scope for text in wanted for scope in text.split()))
    beyond = [scope for scope in scopes if scope not in {*identity.scopes, *_OPENID}]
    if beyond:
        has = ", ".join(identity.scopes) or "none"
        hint = f"Give them in stores.toml, [identity.{identity.name}], scopes; now there is: {has}"
        raise StoresError(f"{identity.name} has no scope {', '.join(beyond)}", hint, exit_code=2)
    return scopes


def _life(text: str) -> float:
    sign, length = (-1, text[1:]) if text.startswith("-") else (1, text)
    try:
        return sign * span.seconds(length)
    except ValueError as error:
        raise StoresError(str(error), "For example: --expires-in 15m", exit_code=2) from error


def rotate(as_json: Json = False) -> None:
    """Sign with new keys from now on.

    The old ones stay among the public keys until their last token is over, so that nobody is turned away. A gateway
    that runs takes the new ones with its next token.

    For example:
      stores auth rotate
    """
    place = here()
    told = IssuerProcess(place.paths, place.workspace().settings).rotate()
    if as_json:
        render.result(told, as_json=True)
    else:
        for key in told["keys"]:
            sys.stdout.write(f"{key['alg']} {key['kid']}\n")
        sys.stdout.write("Tokens are signed with these from now on; those of the old keys count until they are over.\n")


app = group("auth", _HELP, simulate, rotate)
