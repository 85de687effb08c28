"""Which trouble is to be played for a request: ``Stores-Simulate``, and what ``stores auth simulate`` has running."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from procman.authorizer_choice import Play, Simulation
from proxy_addons.api_gateway.managed import SIMULATE
from proxy_addons.api_gateway.refusal import RefusalError
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
