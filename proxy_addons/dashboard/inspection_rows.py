"""What the operations of inspection are called, take and give: their rows in the API's table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy_addons.dashboard import schema
from proxy_addons.dashboard.operation import Handler, Operation
from proxy_addons.inspection.watched import MOST

FILTER: Final = schema.text("mitmproxy's filter language: `~c 500`, `~m POST & ~u cart`.", maxLength=1000)
INSPECTED: Final = schema.several(schema.text(), "Inspected names, with commas; default: all.")
SECRETS: Final = schema.flag("As they are, and not as `***`.")

_NAME: Final = schema.text(minLength=1, maxLength=253)
_NAMES: Final = schema.several(_NAME, "Services, or hosts below the domain.", minItems=1, maxItems=256)
_ONE_TARGET: Final = schema.text("One name that is inspected, or a service.")
_STATE: Final = schema.record(
    targets=schema.several(schema.record(name=schema.text(), since=schema.number(), until=schema.number())),
    requests=schema.whole("That are kept."),
    bytes=schema.whole(),
    limits=schema.record(requests=schema.whole(), bytes=schema.whole(), body=schema.whole(), messages=schema.whole()),
)
_RECORD: Final = schema.record(
    id=schema.text(),
    at=schema.number("Seconds since the epoch."),
    target=schema.text("The name that is inspected."),
    service=schema.text(),
    method=schema.text(),
    url=schema.text(),
    path=schema.text(),
    status=schema.maybe(schema.whole()),
    duration=schema.maybe(schema.number()),
    state=schema.text(enum=["open", "done", "failed"]),
    error=schema.text(),
    replay_of=schema.text(),
    notes=schema.several(schema.text()),
)
_PAGE: Final = schema.record(requests=schema.several(_RECORD), before=schema.maybe(schema.text()))
_ONE: Final = schema.record(
    id=schema.text(),
    request={"type": "object"},
    sent=schema.maybe({"type": "object"}),
    response=schema.maybe({"type": "object"}),
    messages=schema.maybe(schema.several({"type": "object"})),
    timing={"type": "object"},
)
_EDIT: Final = schema.record(
    "What shall be another than it was.",
    optional=("method", "path", "set", "remove", "body", "body_base64"),
    method=schema.text(minLength=1, maxLength=64),
    path=schema.text(minLength=1),
    set=schema.table(schema.text(), "Headers."),
    remove=schema.several(schema.text(), "Names of headers."),
    body=schema.text(),
    body_base64=schema.text(),
)
_UNKNOWN: Final = {404: "There is none of that name or number."}
_CONFLICT: Final = {409: "It cannot be had in that form, or sent again."}


def rows(handlers: Mapping[str, Handler], kinds: tuple[str, ...], files: tuple[str, ...]) -> list[Operation]:
    """`handlers` by the operations' names. `kinds`, `files`: of exports, of one request and of many."""

    def row(method: str, path: str, name: str, about: str, **more: object) -> Operation:
        made: Callable[..., Operation] = Operation
        return made(method, f"/inspection{path}", name, about, handlers[name], group="inspection", **more)

    chosen = {"target": _ONE_TARGET, "filter": FILTER}
    listed = {
        **chosen,
        "q": schema.text("Plain text, in URL, headers, bodies and messages."),
        "before": schema.text("Those older than this one.", pattern="^[0-9]+$", maxLength=15),
        "limit": schema.whole(minimum=1, maximum=1000),
        "secrets": SECRETS,
    }
    on = schema.record(
        optional=("seconds",), targets=_NAMES, seconds=schema.number("Default: an hour.", minimum=1, maximum=MOST)
    )
    off = schema.record(optional=("targets",), targets=schema.several(_NAME, "Default: all."))
    one = {"format": schema.text(enum=list(kinds)), "secrets": SECRETS}
    many = {"format": schema.text(enum=list(files)), **chosen, "secrets": SECRETS}
    forgotten = schema.record(forgotten=schema.whole())
    refuses = {**_UNKNOWN, **_CONFLICT}
    return [
        row("GET", "", "get_inspection", "What is inspected.", gives=_STATE),
        row("POST", "/on", "inspect", "Record what is asked of them.", takes=on, gives=_STATE, refuses=refuses),
        row("POST", "/off", "inspect_no_more", "Record no more.", takes=off, gives=_STATE),
        row("GET", "/requests", "list_inspected", "What was recorded, the newest first.", query=listed, gives=_PAGE),
        row("DELETE", "/requests", "forget_inspected", "Forget what was recorded.", gives=forgotten),
        row(
            "GET",
            "/requests/{id}",
            "get_inspected",
            "One request from head to foot.",
            query={"secrets": SECRETS},
            gives=_ONE,
            refuses=_UNKNOWN,
        ),
        row("GET", "/requests/{id}/export", "export_inspected", "One, for other programs.", query=one, refuses=refuses),
        row("GET", "/export", "export_all_inspected", "All that fits, in one file.", query=many),
        row(
            "POST",
            "/requests/{id}/replay",
            "replay_inspected",
            "Send it once more, as it was or edited.",
            takes=_EDIT,
            gives=_RECORD,
            refuses=refuses,
        ),
    ]
