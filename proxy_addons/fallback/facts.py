"""What the page tells of a service and its trouble: facts, and a row for each process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from procman.snapshot import Findings, ProcessStatus, ServiceStatus
from procman.state import ANSWERING, BROKEN, State
from proxy_addons.fallback import ansi
from proxy_addons.fallback.words import Words
from proxy_addons.problem import Code, Problem

#: Characters of what a program or a file says: the page is no place for all of it.
_LONGEST_TEXT = 1000
#: What the detail of a problem is, where it is not the system's word.
_DETAILS = {
    Code.PORT_TAKEN: "holder",
    Code.OTHER_PORT: "listening",
    Code.FOREIGN_ADDRESS: "listening",
    Code.REMOTE_FORBIDDEN: "rule",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about the service. `tone` colours a state; `code` is set in a fixed width."""

    label: str
    value: str
    url: str = ""
    tone: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process of the service."""

    name: str
    state: str
    tone: str
    since: str
    since_iso: str
    pid: int | None
    port: int | None
    restarts: int
    exit: str


def facts_about(
    service: ServiceStatus | None, problem: Problem, words: Words, findings: Findings, text: str
) -> list[Fact]:
    """Of a problem, and of the service that has it. `text`: what the page says already."""
    labels = words.labels
    facts = []
    if problem.reference:
        facts.append(Fact(labels["reference"], problem.reference, code=True))
    if problem.hop:
        facts.append(Fact(labels["hop"], words.hop(problem.hop)))
    told = not problem.detail or problem.detail in text or problem.code is Code.MISTAKE
    if not told and not (service and service.problem == problem.detail):
        facts.append(Fact(labels[_DETAILS.get(problem.code, "detail")], _first_line(problem.detail)))
    return facts + _facts_of_service(service, words, findings) if service else facts


def _facts_of_service(service: ServiceStatus, words: Words, findings: Findings) -> list[Fact]:
    labels = words.labels
    facts = [Fact(labels["state"], _since(service, words), tone=tone(service.state))]
    if findings.waits_for:
        facts.append(Fact(labels["waits_for"], words.wait(findings.waits_for)))
    if findings.setup in {"never", "stale", "absent"}:
        facts.append(Fact(labels["setup"], labels[f"setup_{findings.setup}"], tone="wait"))
    if service.problem:
        facts.append(Fact(labels["problem"], words.ending(_first_line(service.problem))))
    if service.port:
        facts.append(Fact(labels["port"], str(service.port), code=True))
    if service.remote:
        facts.append(Fact(labels["remote"], service.remote, url=service.remote))
    else:
        facts.append(Fact(labels["remote"], labels["no_remote"]))
    if service.repo:
        # Anybody can write a registration; a link that runs script must not come of it.
        facts.append(Fact(labels["repo"], service.repo, url=service.repo if _is_web(service.repo) else ""))
    if service.file:
        facts.append(Fact(labels["file"], service.file, code=True))
    return facts


def _since(service: ServiceStatus, words: Words) -> str:
    """The state, and for how long: a start is told by how long it takes already."""
    since = max((process.since for process in service.processes if process.state is service.state), default=0.0)
    state = words.state(service.state)
    if not since:
        return state
    span = words.labels["since"].format(span=words.span(max(0.0, time.time() - since)))
    return words.labels["state_since"].format(state=state, since=span)


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def process_row(process: ProcessStatus, words: Words) -> ProcessRow:
    """Its state, for how long, and how it ended last."""
    span = words.span(max(0.0, time.time() - process.since)) if process.since else ""
    return ProcessRow(
        name=process.name,
        state=words.state(process.state),
        tone=tone(process.state),
        since=words.labels["since"].format(span=span) if span else "",
        since_iso=datetime.fromtimestamp(process.since, UTC).isoformat(timespec="seconds") if process.since else "",
        pid=process.pid,
        port=process.port,
        restarts=process.restarts,
        exit=words.ending(process.exit) if process.exit else _first_line(process.problem),
    )


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """At most so many characters of it, and a sign that there were more."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def _first_line(text: str) -> str:
    """Of a problem that goes on with a program's last output, which the page shows in its own place."""
    return shortened(ansi.plain(text.partition("\n")[0]))


def tone(state: State) -> str:
    """The name of a state's colour."""
    if state in ANSWERING:
        return "good"
    if state in BROKEN:
        return "bad"
    return "plain" if state in {State.STOPPED, State.EXITED} else "wait"
