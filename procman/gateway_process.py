"""The gateway as one more supervised process: it inherits its sockets, and says itself when it is ready."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

from procman import environment
from procman.listen import Listening
from procman.paths import Paths
from procman.plan import Plan
from procman.readiness import Ready
from procman.roster import GATEWAY
from procman.spawn import FIRST_SOCKET, Launch
from procman.tree import TAG

#: How long its running requests may take once it is asked to stop, in seconds.
GRACE = 3.0


def plan(paths: Paths, environ: Mapping[str, str], listening: Sequence[Listening], ready: Ready) -> Plan:
    """The plan. The gateway knows the workspace by what the supervisor tells it over the control socket alone."""
    state = paths.state / GATEWAY
    sockets = [(one.scheme, number.fileno()) for one in listening for number in one.sockets]
    env = {
        **environment.base(environ),
        "STORES_CONTROL": str(paths.socket),
        "STORES_LISTEN": ",".join(f"{scheme}={FIRST_SOCKET + index}" for index, (scheme, _) in enumerate(sockets)),
        "STORES_GATEWAY_STATE": str(state),
    }

    def launch(tag: str) -> Launch:
        state.mkdir(mode=0o700, exist_ok=True)
        command = shlex.join([sys.executable, "-P", "-O", "-m", "proxy_addons"])
        return Launch(command, paths.root, {**env, TAG: tag}, tuple(number for _, number in sockets))

    return Plan(
        name=GATEWAY,
        launch=launch,
        define=lambda: f"{sys.executable} {[one.port for one in listening]}",
        ready=ready,
        waits_for="for the gateway to answer",
        ready_timeout=30.0,
        restart="always",
        grace=GRACE,
    )
