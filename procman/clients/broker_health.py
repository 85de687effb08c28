"""How the event broker is, for who looks at everything: one short question, or nothing where no gateway runs."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from procman.snapshot import Snapshot
from procman.state import State

#: Seconds for the whole question. It is answered from memory; `stores status` shall not hang on a broker that does.
_PATIENCE = 2.0
_LONGEST = 64 * 1024
_OK = b"200"
#: Without the facts for which the log would have to be asked. Not with http.client: that costs each command 24 ms.
_QUESTION = b"GET /healthz?facts=no HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """`status`: ``ok``, ``degraded`` (what is accepted is kept, something else is wrong) or ``unavailable``.

    `problems`: by subscription, or ``engine``, ``remote:receive``, ``remote:forward``, ``broker``.
    """

    status: str = "ok"
    problems: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What people should know, with what to type; nothing while it is well."""
        said = (
            problem if name.partition(":")[0] in {"remote", "engine", "broker"} else f"{name}: {problem}"
            for name, problem in self.problems.items()
        )
        hint = "stores logs gateway" if self.status == "unavailable" else "stores events show"
        return [f"events: {self.status} — {text} ({hint})" for text in dict.fromkeys(said)]


def look(snapshot: Snapshot) -> BrokerHealth | None:
    """Asks the broker. None where it does not run, because the gateway does not."""
    port = snapshot.events.port
    if not port or snapshot.gateway.state is not State.READY:
        return None
    try:
        head, _, body = _ask(port).partition(b"\r\n\r\n")
        value: dict[str, Any] = json.loads(body)
        if head.split(b" ", 2)[1] != _OK:
            return _unavailable(str(value["detail"]))
        return BrokerHealth(str(value["status"]), {str(name): str(text) for name, text in value["problems"].items()})
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        why = f"within {_PATIENCE:g} s" if isinstance(error, TimeoutError) else f"as a broker does: {error}"
        return _unavailable(f"port {port} does not answer {why}")


def _unavailable(why: str) -> BrokerHealth:
    return BrokerHealth("unavailable", {"broker": why})


def _ask(port: int) -> bytes:
    deadline = time.monotonic() + _PATIENCE
    answer = b""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
        connection.sendall(_QUESTION)
        while len(answer) < _LONGEST:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(_LONGEST)
            if not piece:
                break
            answer += piece
    return answer
