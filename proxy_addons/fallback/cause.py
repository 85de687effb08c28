"""From what a request met and what a look at the machine found to the cause: a pure function, problem to problem."""

from __future__ import annotations

import dataclasses
from typing import Final

from procman.snapshot import Findings, ServiceStatus
from procman.state import State
from proxy_addons.problem import Code, Problem

#: Where a look at the machine can tell more than the state does.
EXAMINED: Final = frozenset({Code.STOPPED, Code.EXITED, Code.STARTING, Code.CRASHED, Code.REFUSED})
_OF_SETUP: Final = {"absent": Code.NOT_CLONED, "never": Code.NOT_SET_UP, "stale": Code.SETUP_STALE}
#: Where the gateway would find it, and where it would not although it is this machine's own.
_REACHED: Final = frozenset({"127.0.0.1", "[::1]", "0.0.0.0", "[::]", "*"})  # noqa: S104 - compared, never bound


def refine(problem: Problem, service: ServiceStatus, findings: Findings) -> Problem:
    """The more exact problem, or the same one."""
    code = _code(problem.code, service, findings)
    if code is problem.code:
        return problem
    detail = findings.holder if code is Code.PORT_TAKEN else problem.detail
    if code in {Code.OTHER_PORT, Code.FOREIGN_ADDRESS}:
        detail = ", ".join(findings.listening)
    return dataclasses.replace(problem, code=code, detail=detail)


def _code(code: Code, service: ServiceStatus, findings: Findings) -> Code:
    if code is Code.STOPPED:
        return _OF_SETUP.get(findings.setup, code)
    if code is Code.CRASHED and findings.setup == "absent":
        return Code.NOT_CLONED
    if code is Code.CRASHED and findings.holder:
        return Code.PORT_TAKEN
    if service.state is State.FAILED and not any(process.exit for process in service.processes):
        return Code.NOT_STARTED
    if code is Code.REFUSED or (code is Code.STARTING and service.state is State.STARTING):
        return _misplaced(service.port, findings.listening) or code
    return code


def _misplaced(port: int | None, listening: tuple[str, ...]) -> Code | None:
    """Something listens, and not where requests go."""
    places = [address.rpartition(":") for address in listening]
    own = [host for host, _, number in places if number == str(port)]
    if not places or any(host in _REACHED for host in own):
        return None
    return Code.FOREIGN_ADDRESS if own else Code.OTHER_PORT
