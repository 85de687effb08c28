"""The CloudEvents Python SDK as peer, both ways: what it sends we understand, what we deliver it understands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import http as binding
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from events_world import Receiver, running

WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def made(**more: Any) -> CloudEvent:
    known = {"type": "com.example.order.placed", "source": "/netshop", "id": "o-1", "specversion": "1.0", "time": WHEN}
    return CloudEvent({**known, "datacontenttype": "application/json", **more}, {"order": 7, "name": "数"})


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("sent_as", ["binary", "structured"])
async def test_an_event_of_the_sdk_comes_back_to_the_sdk_as_it_was(tmp_path: Path, sent_as: str, mode: str) -> None:
    event = made(subject='Euro € 😀 "100%"', tenant="tokyo")
    write = binding.to_binary if sent_as == "binary" else binding.to_structured
    message = write(event, JSONFormat())
    async with running(tmp_path / "e") as (broker, client):
        with Receiver() as shop:
            await broker.follow([shop.as_subscriber(mode=mode)])
            answer = await client.call("POST", "/v1/events", bytes(message.body), dict(message.headers))
            assert answer.status == 202, answer.body
            (got,) = await shop.wait_for(1)
            headers = {name.lower(): value for name, value in got.headers.items()}
            back = binding.from_http(binding.HTTPMessage(headers=headers, body=got.body), JSONFormat())
    for name in ("type", "source", "id", "specversion", "subject", "tenant", "time"):
        assert back.get_attributes()[name] == event.get_attributes()[name]
    assert back.get_data() == event.get_data()
