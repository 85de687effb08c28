"""Which trouble is to be played for a request: ``Stores-Simulate``, and what ``stores auth simulate`` has running."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from procman.authorizer_choice import Play, Simulation
from proxy_addons.api_gateway.caller import Caller
from proxy_addons.api_gateway.managed import SIMULATE
from proxy_addons.api_gateway.refusal import RefusalError, challenge
from proxy_addons.problem import Code, Problem

if TYPE_CHECKING:
    from mitmproxy.http import Headers


def wanted(headers: Headers, simulations: Iterable[Simulation], service: str) -> list[Play]:
    """All of them; the request's own first. Raises `RefusalError` for what cannot be played."""
    texts = [text for value in headers.get_all(SIMULATE) for text in value.split(",") if text.strip()]
    try:
        found = [Play.parse(text) for text in texts]
    except ValueError as error:
        raise RefusalError(Problem(Code.BAD_SIMULATION, str(error))) from error
    now = time.time()
    for one in simulations:
        if one.runs(now) and (not one.services or service in one.services):
            found += map(Play.parse, one.plays)
    return found


async def play(played: Sequence[Play], realm: str) -> None:
    """What the authorizer itself suffers from. Raises `RefusalError`, or, for ``error``, what no authorizer expects."""
    for one in played:
        if one.kind == "delay":
            await asyncio.sleep(one.seconds)
    for one in played:
        if one.kind == "unauthenticated":
            raise challenge(realm, Code.UNAUTHENTICATED, "played: unauthenticated")
        if one.kind == "deny":
            raise RefusalError(Problem(Code.DENIED, "played: deny"))
        if one.kind == "unavailable":
            raise RefusalError(Problem(Code.AUTHORIZER_UNAVAILABLE, "played: unavailable"))
        if one.kind == "error":
            raise RuntimeError("played: error")


def without_scopes(caller: Caller | None, played: Sequence[Play]) -> Caller | None:
    """The caller without the scopes that are to be missing (``missing-scope=org:read``)."""
    gone = {one.value for one in played if one.kind == "missing-scope"}
    if caller is None or not gone:
        return caller
    scopes = tuple(scope for scope in caller.identity.scopes if scope not in gone)
    return dataclasses.replace(caller, identity=dataclasses.replace(caller.identity, scopes=scopes))
