"""What the page says about one request that nobody could answer: put together here, written out in `page`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from procman.snapshot import Findings, ServiceStatus, Snapshot
from procman.state import BROKEN, State
from proxy_addons.api_gateway.routes import HOST as API_GATEWAY
from proxy_addons.decision import Decision
from proxy_addons.fallback import button as press
from proxy_addons.fallback.facts import Fact, ProcessRow, facts_about, process_row, shortened, tone
from proxy_addons.fallback.tail import as_spans
from proxy_addons.fallback.words import Words
from proxy_addons.problem import Code, Problem
from proxy_addons.view import View

_MOST_LINKS = 30
_MOST_MISTAKES = 5
#: Bytes: the page is at most 30 kB, of which markup, style and words take about 12; and the markup around a span.
_ROOM_FOR_LOG, _MARKUP = 10_000, 30
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
_LONGEST_URL = 500


class Command(NamedTuple):
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
        url=shortened(f"{decision.site}{request[1]}", _LONGEST_URL),
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
        facts=facts_about(service, problem, words, look.findings, "" if live else text),
        processes=[process_row(process, words) for process in service.processes] if service else [],
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
    return [shortened(mistake) for mistake in snapshot.mistakes if mistake.startswith(own)][:_MOST_MISTAKES]


def _link(service: ServiceStatus, view: View, decision: Decision, words: Words) -> Link:
    return Link(
        service.name,
        view.url(service, decision.site),
        service.description,
        words.state(service.state),
        tone(service.state),
    )
