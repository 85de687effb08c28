"""The doctor's findings: what `stores doctor` says, asked by a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any, Final

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Operation
from proxy_addons.dashboard.stream import Say
from proxy_addons.events.refusal import RefusalError
from proxy_addons.view import Current

#: Seconds for the whole way: each of its questions may take five, and few of them do.
_PATIENCE: Final = 120.0

_FINDINGS = schema.record(
    at=schema.number("When they were made, in seconds since the epoch."),
    broken=schema.maybe(schema.text("The first link that is broken.")),
    findings=schema.several(
        schema.record(
            link=schema.text(),
            health=schema.text(enum=["ok", "note", "broken"]),
            said=schema.text(),
            mend=schema.text("What to type; or empty."),
        )
    ),
)


class Doctor:
    """Asks once for all who ask at the same time."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._asking: asyncio.Task[dict[str, Any]] | None = None

    def operations(self) -> list[Operation]:
        """Its row in the table."""
        about = "Walk the whole way of a request; takes some seconds, and changes nothing."
        failed = {503: "The doctor itself failed."}
        return [
            Operation("GET", "/findings", "get_findings", about, self._get, _FINDINGS, refuses=failed, group="doctor")
        ]

    async def _get(self, _: Request) -> dict[str, Any]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def follow(self, say: Say, request: Request) -> None:
        """``findings``, once."""
        await say("findings", await self._get(request))

    async def _ask(self) -> dict[str, Any]:
        command = (sys.executable, "-P", "-m", "procman.cli", "-w", self._current.view.snapshot.workspace)
        doctor = await asyncio.create_subprocess_exec(
            *command, "doctor", "--json", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                said, _ = await doctor.communicate()
            told = json.loads(said)
        except (TimeoutError, ValueError) as error:
            raise RefusalError(503, "The doctor did not come to an end", hint="stores doctor") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                doctor.kill()
        return {"at": round(time.time(), 3), "broken": told["broken"], "findings": told["findings"]}
