"""How the broker is: what it keeps and where, what is wrong with it, and what to do about that."""

from __future__ import annotations

from typing import Any

from proxy_addons.events.forwarding import FORWARD
from proxy_addons.events.lane import Lane
from proxy_addons.events.link import Link
from proxy_addons.events.log import Log
from proxy_addons.events.progress import Progress
from proxy_addons.events.publishing import Publishing
from proxy_addons.events.receiving import RECEIVE
from proxy_addons.events.subscriptions import Subscriptions
from proxy_addons.events.writer import StorageError

_HINTS = {
    FORWARD: "stores doctor",
    RECEIVE: "stores doctor",
}


class Health:
    """Looks at the broker's parts."""

    def __init__(
        self, progress: Progress, log: Log, subscriptions: Subscriptions, publishing: Publishing, link: Link
    ) -> None:
        self._progress = progress
        self._log = log
        self._subscriptions = subscriptions
        self._publishing = publishing
        self._link = link

    async def look(self, *, facts: bool = True) -> dict[str, Any]:
        """``ok``, or ``degraded`` with `problems`, by name, and in `hints` what to type about each of them.

        `cautions`: what is not wrong, and promises less than it could. `facts`: with what only the log knows, which may
        take its time.
        """
        problems = self._problems()
        known = await self._known_to_log(problems) if facts else {}
        return {
            "status": "degraded" if problems else "ok",
            "last": self._log.last,
            "broker": self._progress.broker_id,
            "log": self._progress.log_id,
            "waiting": self._publishing.waiting,
            "backlog": self._publishing.most_waiting,
            **known,
            "remote": self._told_of_remote(problems),
            "problems": problems,
            "hints": {name: self._hint(name) for name in problems},
            "cautions": {"engine": self._log.caution} if self._log.caution else {},
        }

    async def _known_to_log(self, problems: dict[str, str]) -> dict[str, object]:
        try:
            known = await self._log.health()
        except StorageError as error:
            problems.setdefault("engine", str(error))
            return {}
        if self._log.problem:  # whether it answers is known only now
            problems["engine"] = self._log.problem
        return known

    def _problems(self) -> dict[str, str]:
        found = {lane.standing.name: _trouble(lane) for lane in self._subscriptions.lanes.values()}
        found |= self._link.problems
        found["engine"] = self._log.problem
        return {name: problem for name, problem in found.items() if problem}

    def _told_of_remote(self, problems: dict[str, str]) -> dict[str, str] | None:
        """Each way is ``off``, ``ok`` or ``degraded``; and by which way events come from it."""
        remote = self._link.remote
        if remote is None:
            return None
        ways = {"forward": (bool(remote.forward), FORWARD), "receive": (remote.receive, RECEIVE)}
        states = {way: ("degraded" if name in problems else "ok") if on else "off" for way, (on, name) in ways.items()}
        return {**self._link.facts, **states}

    def _hint(self, name: str) -> str:
        if name == "engine":
            return self._log.hint
        lane = self._subscriptions.lanes.get(name)
        if name in _HINTS or lane is None:
            return _HINTS.get(name, "stores events show")
        return f"stores events resume {name}" if lane.standing.ended else f"stores logs {name}"


def _trouble(lane: Lane) -> str:
    return lane.standing.ended or lane.sender.problem
