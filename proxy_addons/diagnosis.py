"""What the page says about one request that nobody could answer: put together here, written out in `page`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from procman.snapshot import Findings, ProcessStatus, ServiceStatus, Snapshot
from procman.state import ANSWERING, BROKEN, State
from proxy_addons import ansi
from proxy_addons import button as press
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.decision import Decision
from proxy_addons.problem import Code, Problem
from proxy_addons.tail import as_spans
from proxy_addons.view import View
from proxy_addons.words import Words

_MOST_LINKS = 30
_MOST_MISTAKES = 5
#: Bytes: the page is at most 30 kB, of which markup, style and words take about 12; and the markup around a span.
_ROOM_FOR_LOG, _MARKUP = 10_000, 30
#: What the detail of a problem is, where it is not the system's word.
_DETAILS = {
    Code.PORT_TAKEN: "holder",
    Code.OTHER_PORT: "listening",
    Code.FOREIGN_ADDRESS: "listening",
    Code.REMOTE_FORBIDDEN: "rule",
}
_PLAIN = frozenset(
    {
        *(Code.UNKNOWN_HOST, Code.NOT_OURS, Code.BAD_HOST, Code.STOPPED, Code.EXITED),
        *(Code.NOT_CLONED, Code.NOT_SET_UP, Code.SETUP_STALE, Code.NOT_PRESSED),
        *(Code.NO_ROUTE, Code.UNAUTHENTICATED, Code.INSUFFICIENT_SCOPE, Code.UNKNOWN_IDENTITY),
    }
)
#: Where a start here is a way out: the remote's troubles, too.
_STARTABLE = frozenset(
    {
        *(Code.STOPPED, Code.EXITED, Code.SETUP_STALE, Code.NOT_PRESSED),
        *(Code.REMOTE_REFUSED, Code.REMOTE_UNREACHABLE, Code.REMOTE_SLOW, Code.REMOTE_UNTRUSTED),
        *(Code.REMOTE_BROKEN_ANSWER, Code.REMOTE_FORBIDDEN, Code.WRITES_DENIED, Code.REMOTE_CREDENTIALS),
    }
)
_RESTARTABLE = frozenset(
    {
        *(Code.CRASHED, Code.NOT_STARTED, Code.PORT_TAKEN, Code.OTHER_PORT, Code.FOREIGN_ADDRESS),
        *(Code.REFUSED, Code.SLOW, Code.BROKEN_ANSWER),
    }
)
#: A URL may be 8 kB long, and the page says what was asked, not all of it.
_LONGEST_URL, _LONGEST_TEXT = 500, 1000


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
class Look:
    """What was looked up for one page: the service's last lines (process, text), and what the machine tells of it."""

    log: Sequence[tuple[str, str]] = ()
    findings: Findings = field(default_factory=Findings)


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
    lines: list[list[tuple[str, str]]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    button: str = ""
    press: str = ""
    events: str = ""
    links: list[Link] = field(default_factory=list)
    nearest: bool = False
    reference: str = ""
    retry_after: int | None = None
    known: tuple[str, ...] = ()


def diagnose(
    decision: Decision, view: View, words: Words, request: tuple[str, str], look: Look | None = None
) -> Diagnosis:
    """`request`: method and path. `look`: what was looked up for it."""
    look = look or Look()
    problem = decision.problem or Problem(Code.FAULT)
    service = decision.service
    name = service.name if service else ""
    values = {
        "service": name or decision.site.host,
        "host": decision.site.host or "?",
        "domain": view.snapshot.domain,
        "remote": str(decision.remote or ""),
        "new": decision.relative.rpartition(".")[2] or "NAME",
        "dir": service.dir if service else "",
        "setup": look.findings.setup_command,
        "port": str(service.port) if service and service.port else "?",
        "detail": problem.detail,
        "ending": _ending(service, words),
        "needs": look.findings.waits_for,
    }
    text = words.text(problem.code, values)
    mistakes = _mistakes(view.snapshot, name or values["new"])
    lines = as_lines(look.log)
    # On the API gateway's host no page of a service lives: its script and its button would be an API's paths.
    live = decision.relative != API_GATEWAY
    button = _button(problem.code, service) if live else ""
    nearest = view.nearest(decision.relative) if problem.code is Code.UNKNOWN_HOST else []
    shown = nearest or (list(view.services.values())[:_MOST_LINKS] if problem.code is Code.UNKNOWN_HOST else [])
    by = words.labels["by"].format(service=name) if name else words.labels["by_nobody"]
    return Diagnosis(
        status=problem.status,
        code=problem.code,
        tone="wait" if problem.passes else "plain" if problem.code in _PLAIN else "bad",
        title=words.title(problem.code, values),
        text=text,
        method=request[0],
        url=_short(f"{decision.site}{request[1]}", _LONGEST_URL),
        by=by,
        commands=[
            Command(line, does)
            for line, does in words.commands(problem.code, values)
            if live or name or decision.site.host not in line
        ],
        service=name,
        state=service.state if service else "",
        heading=words.labels["service"].format(service=name) if name else words.labels["detail"],
        description=service.description if service else "",
        facts=_facts(service, problem, words, look.findings, "" if live else text),
        processes=[_process(process, words) for process in service.processes] if service else [],
        log=["".join(text for text, _ in line) for line in lines],
        lines=lines,
        mistakes=mistakes,
        button=words.labels[button].format(service=name) if button else "",
        press=press.action(decision.site, request[1] if request[0] == "GET" else "/") if button else "",
        events=press.EVENTS if service and live else "",
        links=[_link(other, view, decision, words) for other in shown],
        nearest=bool(nearest),
        reference=problem.reference,
        retry_after=problem.retry_after,
        known=problem.known,
    )


def as_lines(log: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The end of a service's output, as much of it as a page of 30 kB has room for."""
    found, room = [], _ROOM_FOR_LOG
    for process, text in reversed(log):
        line = as_spans(process, text)
        room -= sum(len(text.encode()) + _MARKUP * bool(style) for text, style in line) + _MARKUP
        if room < 0:
            break
        found.append(line)
    return found[::-1]


def _button(code: Code, service: ServiceStatus | None) -> str:
    if service is None or service.state is State.EXTERNAL:
        return ""
    return "start" if code in _STARTABLE else "restart" if code in _RESTARTABLE else ""


def _ending(service: ServiceStatus | None, words: Words) -> str:
    broken = [process for process in service.processes if process.exit] if service else []
    worst = next((process for process in broken if process.state in BROKEN), broken[0] if broken else None)
    return words.labels["of_process"].format(process=worst.name, ending=words.ending(worst.exit)) if worst else ""


def _mistakes(snapshot: Snapshot, name: str) -> list[str]:
    """Those in the service's own file, and in the workspace's: each begins with the place, ``file:line: ``."""
    own = (f"Procfile.d/{name}:", "stores.toml:", "stores.local.toml:")
    return [_short(mistake, _LONGEST_TEXT) for mistake in snapshot.mistakes if mistake.startswith(own)][:_MOST_MISTAKES]


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _first_line(text: str) -> str:
    """Of a problem that goes on with a program's last output, which the page shows in its own place."""
    return _short(ansi.plain(text.partition("\n")[0]), _LONGEST_TEXT)


def _facts(service: ServiceStatus | None, problem: Problem, words: Words, findings: Findings, text: str) -> list[Fact]:
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
    facts = [Fact(labels["state"], _since(service, words), tone=_tone(service.state))]
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
        exit=words.ending(process.exit) if process.exit else _first_line(process.problem),
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
