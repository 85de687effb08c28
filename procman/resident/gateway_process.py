"""The gateway as one more supervised process: it inherits its sockets, and says itself when it is ready."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping

from procman.environment import variables
from procman.machine import listen
from procman.machine.listen import Listening
from procman.paths import Paths
from procman.process.ledger import Ledger
from procman.process.plan import Plan
from procman.process.readiness import Ready
from procman.process.spawn import FIRST_SOCKET, Launch
from procman.process.tree import TAG
from procman.settings import Settings
from procman.supervisor import adoption
from procman.supervisor.roster import GATEWAY

#: How long its running requests may take once it is asked to stop, in seconds.
GRACE = 3.0
#: One arena for malloc: glibc gives each thread its own, and what the thread that imports mitmproxy frees there is of
#: no use to the others. Saves 10 of 75 MB after much TLS, and costs nothing, for one thread alone works (mallopt(3)).
ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}


class GatewayProcess:
    """Its sockets stand in the supervisor, so that its restart refuses no connection.

    Where a killed supervisor left a gateway running, that alone has them: they are bound anew at its next start.
    The ledger keeps the ports from supervisor to supervisor.
    """

    def __init__(
        self, settings: Settings, paths: Paths, environ: Mapping[str, str], ledger: Ledger, events: int
    ) -> None:
        """`events`: the event broker's port."""
        self._settings = settings
        self._events = events
        self._paths = paths
        self._environ = environ
        self._ledger = ledger
        self._ports = ledger.facts
        self._listening: tuple[Listening, ...] = ()
        facts = [sys.executable, settings.domain, settings.http, settings.https, events, str(paths.socket)]
        self.definition = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def port(self, scheme: str) -> int:
        """Where it listens; 0 while that is not known."""
        return self._ports.get(scheme, 0)

    async def have_sockets(self, handed_over: str, note: Callable[[str], None]) -> None:
        """Binds the ports, unless an earlier supervisor's gateway lives that has them: it goes on.

        `handed_over`: what `listen.hand_over` wrote in the supervisor before. Raises `StoresError` naming
        who holds a port.
        """
        entry = self._ledger.alive(GATEWAY)
        inherited = listen.handed_over(handed_over)
        if entry and entry.ready and entry.definition == self.definition and self.port("https"):
            self._listening = tuple(Listening(one, self.port(one), tuple(each)) for one, each in inherited.items())
            return
        listen.close_all(inherited)
        await adoption.end_all(self._ledger, GATEWAY)  # else it would still have the ports
        self._listening = listen.gateway(self._settings, note)
        self._listening += (listen.events(self._events),)
        for one in self._listening:
            self._ports[one.scheme] = one.port

    def handed_over(self) -> dict[str, str]:
        """The variable that tells the next supervisor of the sockets; none where the gateway alone has them."""
        return {listen.HANDED_OVER: listen.hand_over(self._listening)} if self._listening else {}

    def move_events(self, port: int) -> None:
        """The event broker is on another port from now on; the gateway that runs binds it when it hears of it.

        Raises `StoresError` naming who holds it. At the gateway's next start its socket stands here, as the others do.
        """
        if port == self._events:
            return
        listen.events(port).close()
        for one in self._listening:
            if one.scheme == listen.EVENTS:
                one.close()
        self._listening = tuple(one for one in self._listening if one.scheme != listen.EVENTS)
        self._events = self._ports[listen.EVENTS] = port

    def close(self) -> None:
        """Gives the ports back."""
        for one in self._listening:
            one.close()

    def plan(self, ready: Ready) -> Plan:
        """The gateway knows the workspace by what the supervisor tells it over the control socket alone."""
        return Plan(
            name=GATEWAY,
            launch=self._launch,
            define=lambda: self.definition,
            ready=ready,
            waits_for="for the gateway to answer",
            ready_timeout=30.0,
            restart="always",
            grace=GRACE,
        )

    def _launch(self, tag: str) -> Launch:
        if not self._listening:
            known = dataclasses.replace(self._settings, http=self.port("http"), https=self.port("https"))
            self._listening = listen.gateway(known, lambda _: None)
        if not any(one.scheme == listen.EVENTS for one in self._listening):
            self._listening += (listen.events(self._events),)
        sockets = [(one.scheme, number.fileno()) for one in self._listening for number in one.sockets]
        state = self._paths.state / GATEWAY
        state.mkdir(mode=0o700, exist_ok=True)
        env = {
            **variables.base(self._environ),
            **ALLOCATOR,
            "STORES_CONTROL": str(self._paths.socket),
            "STORES_LISTEN": ",".join(f"{scheme}={FIRST_SOCKET + index}" for index, (scheme, _) in enumerate(sockets)),
            "STORES_GATEWAY_STATE": str(state),
            "STORES_LOGS": str(self._paths.logs),
            TAG: tag,
        }
        command = shlex.join([sys.executable, "-P", "-O", "-m", "proxy_addons"])
        return Launch(command, self._paths.root, env, tuple(number for _, number in sockets))
