"""`stores inspect`: every request to a service, recorded and shown, taken along and sent again."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Final

import typer

from procman import span
from procman.cli import inspection_show, inspection_web, render
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import here, names
from procman.clients.dashboard import DashboardClient
from procman.errors import StoresError

#: Seconds; `proxy_addons.inspection.watched` allows no more.
_LONGEST: Final = 24 * 3600.0
#: Of what was recorded, without a name.
_LAST: Final = 20


def inspect(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]... | show ID | replay ID",
            help="Services (netshop), or hosts of one (admin.netshop); or a request that was recorded, by its number.",
            autocompletion=names,
            show_default=False,
        ),
    ] = None,
    for_: Annotated[str, option("--for", metavar="SPAN", help="How long: 30s, 15m, 2h.")] = "1h",
    filter_: Annotated[
        str, option("--filter", metavar="EXPR", help="Show only these: ~c 500, ~m POST & ~u cart (mitmproxy's).")
    ] = "",
    off: Annotated[bool, option("--off", help="Record no more: these, or all.")] = False,
    web: Annotated[bool, option("--web", help="Open what was recorded in mitmproxy's own page, mitmweb.")] = False,
    curl: Annotated[bool, option("--curl", help="show: as a curl command.")] = False,
    har: Annotated[bool, option("--har", help="show: as HAR, for a browser's developer tools.")] = False,
    raw: Annotated[bool, option("--raw", help="show: the bytes.")] = False,
    secrets: Annotated[
        bool, option("--secrets", help="show, --web: tokens and passwords as they are, not ***.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Record every request to a service, and show them as they come.

    Headers, bodies, timing, messages of WebSockets: kept in the gateway's memory, off again by itself. Without a name:
    what is inspected, and the last requests.

    For example:
      stores inspect netshop
      stores inspect admin.netshop --for 10m --filter '~c 500'
      stores inspect show 17 --curl
      stores inspect replay 17
      stores inspect --web --filter '~c 500'
      stores inspect --off
    """
    chosen = targets or []
    kinds = [kind for kind, wanted in (("curl", curl), ("har", har), ("raw", raw)) if wanted]
    asked = chosen[0] if len(chosen) > 1 and chosen[0] in {"show", "replay"} else ""
    if len(kinds) > 1 or (kinds and asked != "show"):
        raise StoresError(
            "--curl, --har, --raw: one of them, for one request", "stores inspect show 17 --curl", exit_code=2
        )
    if web and (chosen or off):
        raise StoresError("--web shows all that was recorded", "stores inspect --web", exit_code=2)
    dashboard = DashboardClient(here().paths)
    if web:
        inspection_web.show(dashboard, filter_, secrets=secrets)
    elif asked:
        number = _number(asked, chosen[1:])
        if asked == "replay":
            made = dashboard.ask("POST", f"/inspection/requests/{number}/replay", body={})
            inspection_show.line(made, as_json=as_json)
        else:
            _show(dashboard, number, kinds, secrets=secrets, as_json=as_json)
    elif off:
        told = dashboard.ask("POST", "/inspection/off", body={"targets": chosen} if chosen else {})
        render.result(told, as_json=as_json)
        if not as_json:
            sys.stderr.write(f"No request to {', '.join(chosen) or 'any service'} is recorded any more.\n")
    elif chosen:
        _follow(dashboard, chosen, _seconds(for_), filter_, as_json=as_json)
    else:
        _list(dashboard, filter_, as_json=as_json)


def _number(verb: str, given: list[str]) -> str:
    if len(given) != 1 or not given[0].isascii() or not given[0].isdecimal():
        raise StoresError(
            f"{verb} takes the number of one request", f"stores inspect; stores inspect {verb} 17", exit_code=2
        )
    return given[0]


def _seconds(text: str) -> float:
    try:
        found = span.seconds(text)
    except ValueError as error:
        raise StoresError(f"--for: {error}", "For example: --for 30s, 15m, 2h", exit_code=2) from error
    if not 1 <= found <= _LONGEST:
        raise StoresError(
            f"--for {text}: it can be inspected for a second to a day", "For example: --for 2h", exit_code=2
        )
    return found


def _show(dashboard: DashboardClient, number: str, kinds: list[str], *, secrets: bool, as_json: bool) -> None:
    query = {"secrets": "true"} if secrets else {}
    path = f"/inspection/requests/{number}"
    if kinds:
        data = dashboard.file(f"{path}/export", {"format": kinds[0], **query})
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    whole = dashboard.ask("GET", path, query)
    if as_json:
        sys.stdout.write(json.dumps(whole, indent=2) + "\n")
    else:
        inspection_show.whole(whole)


def _list(dashboard: DashboardClient, expression: str, *, as_json: bool) -> None:
    state = dashboard.ask("GET", "/inspection")
    query = {"limit": _LAST, **({"filter": expression} if expression else {})}
    found = dashboard.ask("GET", "/inspection/requests", query)["requests"][::-1]
    if as_json:
        sys.stdout.write(json.dumps({**state, "newest": found}, indent=2) + "\n")
        return
    for one in found:
        inspection_show.line(one, as_json=False)
    for target in state["targets"]:
        sys.stderr.write(f"{target['name']} is inspected until {_clock(target['until'])}\n")
    if not state["targets"]:
        sys.stderr.write("nothing is inspected; begin with: stores inspect NAME\n")


def _follow(dashboard: DashboardClient, targets: list[str], seconds: float, expression: str, *, as_json: bool) -> None:
    query = {"topics": "inspection", "inspected": ",".join(targets)}
    if expression:
        query["filter"] = expression
    begun, shown = False, inspection_show.Once()
    # listens first, and turns it on then: so the first request is not missed
    for event, data in dashboard.follow(query):
        if event == "inspection-problem":
            raise StoresError(data["detail"], "The language: docs/inspection.md", exit_code=2)
        if event == "inspection" and not begun:
            begun = True
            dashboard.ask("POST", "/inspection/on", body={"targets": targets, "seconds": seconds})
            until = f"until {_clock(time.time() + seconds)}; no longer: stores inspect --off"
            sys.stderr.write(f"{', '.join(targets)}: recorded {until}\n")
        elif event == "inspection" and not {one["name"] for one in data["targets"]} & set(targets):
            sys.stderr.write("recorded no longer\n")
            return
        elif event == "inspected":
            for one in data["records"]:
                if shown.wants(one):
                    inspection_show.line(one, as_json=as_json)
    raise StoresError("The gateway has ended, and what it recorded with it", "See what runs: stores status")


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
