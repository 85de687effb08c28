"""Tells the others of each order, in plain HTTP: what its own transaction wrote down is sent until it is taken.

An event is a CloudEvent in binary mode; the broker takes the same one (source and id) twice and delivers it once.
"""

from __future__ import annotations

import json
import os
import urllib.request
from http.client import HTTPException

from netshop.shop import Order, Shop

TYPE = "com.example.netshop.order.placed"
TIMEOUT = 5.0  # seconds


def send_all(shop: Shop) -> bool:
    """Whether everything is sent; without a broker (started by hand, say) nothing needs to be."""
    url = os.environ.get("STORES_EVENTS_URL")
    if not url:
        return True
    for order in shop.unsent():
        try:
            _send(url, order)
        except (OSError, HTTPException) as error:
            print(f"order {order.number}: its event waits ({error})", flush=True)
            return False
        shop.sent(order.number)
    return True


def _send(url: str, order: Order) -> None:
    data = {"number": order.number, "customer": order.customer, "slot": order.slot, "total": order.total}
    headers = {
        "ce-specversion": "1.0",
        "ce-type": TYPE,
        "ce-source": "/netshop",
        "ce-id": order.token,
        "ce-subject": str(order.number),
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{url}/v1/events", json.dumps(data).encode(), headers)
    urllib.request.urlopen(request, timeout=TIMEOUT).close()
