"""`stores events send`: an event, as a service would send it."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from procman.cli import render
from procman.cli.arguments import Json
from procman.cli.help import option
from procman.cli.place import here
from procman.clients.events import EventClient
from procman.errors import StoresError


def send(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What happened: com.example.order.placed")],
    data: Annotated[str, option("--data", "-d", metavar="JSON", help="The data: JSON, @FILE, or - for stdin.")] = "",
    source: Annotated[str, option(metavar="URI", help="Who says so.")] = "/stores/cli",
    subject: Annotated[str, option(metavar="TEXT", help="What it is about; events of one subject keep order.")] = "",
    event_id: Annotated[str, option("--id", metavar="ID", help="The same again is not delivered twice.")] = "",
    attributes: Annotated[
        list[str] | None, option("--attribute", "-a", metavar="NAME=VALUE", help="Any other attribute.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send an event, as a service would.

    For example:
      stores events send com.example.order.placed -d '{"order": 7}'
      stores events send com.example.test --subject 7 -a partitionkey=tokyo
      cat order.json | stores events send com.example.order.placed -d -
    """
    event: dict[str, Any] = {"specversion": "1.0", "id": event_id or str(uuid.uuid4()), "source": source, "type": type_}
    if subject:
        event["subject"] = subject
    for attribute in attributes or []:
        name, separator, value = attribute.partition("=")
        if not separator:
            raise StoresError(f'"{attribute}" is not NAME=VALUE', "For example: -a partitionkey=tokyo", exit_code=2)
        event[name] = value
    body = json.dumps(event)
    if data:  # as it is: numbers keep their digits, and members their order
        body = f'{body[:-1]}, "data": {_data(data)}}}'
    told = EventClient(here().paths).ask(
        "POST",
        "/v1/events",
        body=body.encode("utf-8", "surrogateescape"),  # what is no UTF-8 is refused there
        headers={"Content-Type": "application/cloudevents+json"},
    )
    if as_json:
        render.result({**told, "id": event["id"]}, as_json=True)
    else:
        known = " (it was known already, and is not delivered again)" if told["duplicates"] else ""
        typer.echo(f"{told['seq']} {event['id']}{known}")


def _data(text: str) -> str:
    """The JSON that is meant."""
    try:
        if text in {"-", "@-"}:
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8")
        json.loads(text)
    except OSError as error:
        raise StoresError(f"{text[1:]}: {error.strerror}", "Name a file: -d @order.json", exit_code=2) from error
    except ValueError as error:
        raise StoresError(
            f"The data is not JSON: {error}", "A text needs its quotes: -d '\"text\"'", exit_code=2
        ) from error
    return text
