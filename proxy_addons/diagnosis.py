"""What the page says about one request that nobody could answer: put together here, written out in `page`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from procman.snapshot import ProcessStatus, ServiceStatus
from procman.state import ANSWERING, BROKEN, State
from proxy_addons.decision import Decision
from proxy_addons.problem import Code, Problem
from proxy_addons.view import View
from proxy_addons.words import Words

_MOST_LINKS = 30
_PLAIN = frozenset({Code.UNKNOWN_HOST, Code.NOT_OURS, Code.BAD_HOST, Code.STOPPED, Code.EXITED})


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about the service. `tone` colours a state; `code` is set in a fixed width."""

    label: str
    value: str
    url: str = ""
    tone: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A line to type, and what it does."""

    line: str
    does: str


@dataclass(frozen=True, slots=True)
class Link:
    """A service that one may have meant."""

    name: str
    url: str
    description: str
    state: str
    tone: str


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


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that the page says, in one language, nothing escaped yet."""

    status: int
    code: str
    tone: str
    title: str
    text: str
    method: str
    url: str
    by: str
    commands: list[Command] = field(default_factory=list)
    service: str = ""
    state: str = ""
    heading: str = ""
    description: str = ""
    facts: list[Fact] = field(default_factory=list)
    processes: list[ProcessRow] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    nearest: bool = False
    reference: str = ""
    retry_after: int | None = None


def diagnose(
    decision: Decision, view: View, words: Words, request: tuple[str, str], log: list[str] | None = None
) -> Diagnosis:
    """`request`: method and path. `log`: the last lines of the service's output."""
    problem = decision.problem or Problem(Code.FAULT)
    service = decision.service
    name = service.name if service else ""
    values = {
        "service": name or decision.site.host,
        "host": decision.site.host or "?",
        "domain": view.snapshot.domain,
        "remote": str(decision.remote or ""),
        "new": decision.relative.rpartition(".")[2] or "NAME",
    }
    nearest = view.nearest(decision.relative) if problem.code is Code.UNKNOWN_HOST else []
    shown = nearest or (list(view.services.values())[:_MOST_LINKS] if problem.code is Code.UNKNOWN_HOST else [])
    by = words.labels["by"].format(service=name) if name else words.labels["by_nobody"]
    return Diagnosis(
        status=problem.status,
        code=problem.code,
        tone="wait" if problem.passes else "plain" if problem.code in _PLAIN else "bad",
        title=words.title(problem.code, values),
        text=words.text(problem.code, values),
        method=request[0],
        url=f"{decision.site}{request[1]}",
        by=by,
        commands=[Command(line, does) for line, does in words.commands(problem.code, values)],
        service=name,
        state=service.state if service else "",
        heading=words.labels["service"].format(service=name) if name else words.labels["detail"],
        description=service.description if service else "",
        facts=_facts(service, problem, words),
        processes=[_process(process, words) for process in service.processes] if service else [],
        log=log or [],
        links=[_link(other, view, decision, words) for other in shown],
        nearest=bool(nearest),
        reference=problem.reference,
        retry_after=problem.retry_after,
    )


def _facts(service: ServiceStatus | None, problem: Problem, words: Words) -> list[Fact]:
    labels = words.labels
    facts = []
    if problem.reference:
        facts.append(Fact(labels["reference"], problem.reference, code=True))
    if problem.detail and not (service and service.problem == problem.detail):
        facts.append(Fact(labels["detail"], problem.detail))
    if service is None:
        return facts
    facts.append(Fact(labels["state"], words.state(service.state), tone=_tone(service.state)))
    if service.problem:
        facts.append(Fact(labels["problem"], service.problem))
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


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _process(process: ProcessStatus, words: Words) -> ProcessRow:
    span = words.span(max(0.0, time.time() - process.since)) if process.since else ""
    return ProcessRow(
        name=process.name,
        state=words.state(process.state),
        tone=_tone(process.state),
        since=words.labels["since"].format(span=span) if span else "",
        since_iso=datetime.fromtimestamp(process.since, UTC).isoformat(timespec="seconds") if process.since else "",
        pid=process.pid,
        port=process.port,
        restarts=process.restarts,
        exit=process.exit or process.problem,
    )


def _link(service: ServiceStatus, view: View, decision: Decision, words: Words) -> Link:
    return Link(
        service.name,
        view.url(service, decision.site),
        service.description,
        words.state(service.state),
        _tone(service.state),
    )


def _tone(state: State) -> str:
    if state in ANSWERING:
        return "good"
    if state in BROKEN:
        return "bad"
    return "plain" if state in {State.STOPPED, State.EXITED} else "wait"
