"""What runs, and the verbs that change it."""

from __future__ import annotations

import dataclasses
from typing import Any

from procman.snapshot import ServiceStatus, Snapshot
from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Operation
from proxy_addons.dashboard.stream import Say
from proxy_addons.events.refusal import RefusalError
from proxy_addons.supervisor import Supervisor
from proxy_addons.view import Current

_PROCESS = schema.record(
    "One process of a service.",
    name=schema.text(),
    state=schema.text(),
    pid=schema.maybe(schema.whole()),
    port=schema.maybe(schema.whole()),
    restarts=schema.whole("How often it was started again after it had ended by itself."),
    since=schema.number("When it entered its state, in seconds since the epoch; 0: never started."),
    exit=schema.text("How it ended last."),
    problem=schema.text("Why it is not well."),
)
SERVICE = schema.record(
    "One registered service.",
    name=schema.text(),
    state=schema.text("Of its primary process: stopped, queued, starting, ready, backoff, failed, external, …"),
    route=schema.text("What answers for it now.", enum=["local", "remote", "fallback"]),
    wanted=schema.flag("Whether somebody started it here."),
    hosts=schema.several(schema.text(), "Below the domain."),
    urls=schema.several(schema.text()),
    processes=schema.several(_PROCESS),
    port=schema.maybe(schema.whole()),
    remote=schema.maybe(schema.text("Who answers while it does not run here.")),
    description=schema.text(),
    repo=schema.text(),
    file=schema.text("The file that registers it."),
    dir=schema.text(),
    problem=schema.text(),
    advice=schema.text("What it has to set, so that its framework knows its host."),
    start=schema.text("manual, or on-request"),
    needs=schema.several(schema.text(), "Services that have to be ready before it."),
    api=schema.maybe(
        schema.record(
            "Where it stands behind the API gateway.",
            prefix=schema.text(),
            strip_prefix=schema.flag(),
            auth=schema.text(enum=["required", "optional", "none"]),
            scopes=schema.several(schema.text()),
        )
    ),
)
_GATEWAY = schema.record(
    http=schema.whole(), https=schema.whole(), pid=schema.maybe(schema.whole()), state=schema.text()
)
WORKSPACE = schema.record(
    "The whole workspace.",
    workspace=schema.text("Its folder."),
    domain=schema.text(),
    pid=schema.whole("The supervisor's."),
    gateway=_GATEWAY,
    services=schema.several(SERVICE),
    groups=schema.table(schema.several(schema.text()), "Names for several services, from stores.toml."),
    mistakes=schema.several(schema.text(), "In its files, now; the last good state is in force."),
)
_TARGETS = schema.record(
    targets=schema.several(
        schema.text(minLength=1, maxLength=200), "Services, processes (`netshop.web`), groups, globs.", minItems=1
    )
)
_RESULT = schema.record(
    processes=schema.several(
        schema.record(name=schema.text(), state=schema.text(), pid=schema.maybe(schema.whole())),
        "Each process that was meant, as it is now.",
    )
)
_VERBS = {
    "start": "Start services and what they need; answers when they are ready.",
    "stop": "Stop services; answers when nothing of them is left.",
    "restart": "Start services anew.",
}


class Services:
    """`current` is what the supervisor told last."""

    def __init__(self, current: Current, supervisor: Supervisor) -> None:
        self._current = current
        self._supervisor = supervisor

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        failed = {409: "It cannot be done, or a service failed; `hint` says what to type."}
        return [
            Operation("GET", "/services", "list_services", "What runs.", self.all, WORKSPACE, group="services"),
            Operation(
                "GET",
                "/services/{name}",
                "get_service",
                "One service.",
                self.one,
                SERVICE,
                refuses={404: "There is none of that name."},
                group="services",
            ),
            *(
                Operation(
                    "POST",
                    f"/services/{verb}",
                    f"{verb}_services",
                    about,
                    self._steer,
                    _RESULT,
                    takes=_TARGETS,
                    refuses=failed,
                    group="services",
                )
                for verb, about in _VERBS.items()
            ),
        ]

    async def all(self, _: Request) -> dict[str, Any]:
        """The whole workspace."""
        return workspace(self._current.view.snapshot)

    async def one(self, request: Request) -> dict[str, Any]:
        """One service."""
        found = self._current.view.services.get(request.values["name"])
        if found is None:
            raise RefusalError(404, f"There is no service {request.values['name']}")
        return service(found)

    async def _steer(self, request: Request) -> dict[str, Any]:
        """The path's last part is the supervisor's own verb."""
        verb = request.path.rpartition("/")[2]
        return {"processes": await self._supervisor.steer(verb, request.values["targets"])}

    async def follow(self, say: Say, _: Request) -> None:
        """``services``: all of it, at first; then ``change``: what is another than before."""
        told = self._current.view
        await say("services", workspace(told.snapshot))
        while True:
            if told is self._current.view:
                await self._current.next()
            before, told = told, self._current.view
            if changed := difference(before.snapshot, told.snapshot):
                await say("change", changed)


def workspace(snapshot: Snapshot) -> dict[str, Any]:
    """Of the snapshot what concerns a looker-on: how the remote is reached does not."""
    return {**_around(snapshot), "services": [service(one) for one in snapshot.services]}


def _around(snapshot: Snapshot) -> dict[str, Any]:
    gateway = snapshot.gateway
    return {
        "workspace": snapshot.workspace,
        "domain": snapshot.domain,
        "pid": snapshot.pid,
        "gateway": {"http": gateway.http, "https": gateway.https, "pid": gateway.pid, "state": gateway.state},
        "groups": {name: list(members) for name, members in snapshot.groups.items()},
        "mistakes": list(snapshot.mistakes),
    }


def service(one: ServiceStatus) -> dict[str, Any]:
    """As JSON can hold it."""
    return dataclasses.asdict(one)


def difference(before: Snapshot, now: Snapshot) -> dict[str, Any]:
    """What of `now` is not as it was: services, names of those that are gone, whatever stands around them."""
    old = {one.name: one for one in before.services}
    was, around = _around(before), _around(now)
    found: dict[str, Any] = {key: value for key, value in around.items() if was[key] != value}
    if changed := [service(one) for one in now.services if old.get(one.name) != one]:
        found["services"] = changed
    if gone := sorted(old.keys() - {one.name for one in now.services}):
        found["gone"] = gone
    return found
