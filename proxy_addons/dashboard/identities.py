"""Who calls the local API gateway: what `stores as` chooses, on the page."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from procman.authorizer_choice import Choice, exclusively
from procman.identity import NOBODY
from proxy_addons.dashboard import schema
from proxy_addons.dashboard.message import Request
from proxy_addons.dashboard.operation import Operation
from proxy_addons.events.refusal import RefusalError
from proxy_addons.view import Current

_IDENTITIES = schema.record(
    mode=schema.text("Of the authorizer: dummy, mixed, http, remote, …"),
    current=schema.maybe(schema.text("Who calls where a request does not say it; null: nobody.")),
    default=schema.maybe(schema.text("Who that is while nobody was chosen.")),
    identities=schema.several(
        schema.record(
            name=schema.text(), sub=schema.text(), scopes=schema.several(schema.text()), claims={"type": "object"}
        )
    ),
    simulations=schema.several(
        schema.record(
            plays=schema.several(schema.text()), services=schema.several(schema.text()), seconds_left=schema.number()
        ),
        "What trouble the authorizer plays now: `stores auth simulate`.",
    ),
)
_USE = schema.record(name=schema.maybe(schema.text("Of stores.toml; null: the default again.", maxLength=200)))


class Identities:
    """`file` is the one that `stores as` writes, and the authorizer reads."""

    def __init__(self, current: Current, file: Path) -> None:
        self._current = current
        self._file = file

    def operations(self) -> list[Operation]:
        """Its rows in the table."""
        about = "Choose who calls the API gateway where a request does not say it (`stores as`)."
        unknown = {404: "There is no such identity.", 409: "What was chosen before cannot be read or kept."}
        return [
            Operation(
                "GET", "/identities", "list_identities", "Who calls.", self._list, _IDENTITIES, group="identities"
            ),
            Operation(
                "POST",
                "/identities/use",
                "use_identity",
                about,
                self._use,
                _IDENTITIES,
                takes=_USE,
                refuses=unknown,
                group="identities",
            ),
        ]

    async def _list(self, _: Request) -> dict[str, Any]:
        return self._told(self._load())

    async def _use(self, request: Request) -> dict[str, Any]:
        name = request.values["name"]
        known = {identity.name for identity in self._current.view.snapshot.identities}
        if name is not None and name not in known | {NOBODY}:
            raise RefusalError(404, f"There is no identity {name}", hint="[identity.NAME] in stores.toml makes one")
        try:
            with exclusively(self._file):
                choice = dataclasses.replace(self._load(), identity=name or "")
                choice.save(self._file)
        except OSError as error:
            raise RefusalError(409, f"{self._file} cannot be written: {error.strerror}") from error
        return self._told(choice)

    def _load(self) -> Choice:
        try:
            return Choice.load(self._file)
        except (OSError, ValueError) as error:
            raise RefusalError(409, str(error), hint="Choose anew: stores as --nobody") from error

    def _told(self, choice: Choice) -> dict[str, Any]:
        snapshot = self._current.view.snapshot
        default, now = snapshot.authorizer.default, time.time()
        current = choice.identity or default
        return {
            "mode": snapshot.authorizer.mode,
            "current": current if current not in {"", NOBODY} else None,
            "default": default or None,
            "identities": [
                {"name": one.name, "sub": one.sub, "scopes": [*one.scopes], "claims": dict(one.claims)}
                for one in snapshot.identities
            ],
            "simulations": [
                {"plays": [*one.plays], "services": [*one.services], "seconds_left": round(one.until - now, 1)}
                for one in choice.simulations
                if one.runs(now)
            ],
        }
