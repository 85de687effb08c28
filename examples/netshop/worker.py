"""The background worker: tells of new orders, packs them, and sleeps until the next one comes in."""

from __future__ import annotations

import os
import signal
import threading
import time

from common.server import STOP, hold_signals
from common.settings import Settings
from netshop.outbox import send_all
from netshop.shop import Shop

RETRY = 2.0  # seconds, while the event broker is not there
FALLBACK = 300.0  # seconds; the doorbell wakes it at once, this is for the ring that nobody thought of


def work(settings: Settings) -> int:
    """Until SIGINT or SIGTERM; the exit code. An order that it is packing then is packed by the next worker."""
    hold_signals()
    shop = Shop(settings.data_dir)
    packing = float(os.environ.get("PACKING_SECONDS", "2"))  # as long as one wants to watch it
    threading.Thread(target=_fulfil, args=(shop, packing), daemon=True).start()
    print("worker waits for orders", flush=True)
    signal.sigwait(STOP)
    return 0


def _fulfil(shop: Shop, packing: float) -> None:
    shop.resume()
    shop.orders_bell.listen()
    while True:
        all_sent = send_all(shop)
        while number := shop.next_order():
            print(f"order {number}: packing", flush=True)
            time.sleep(packing)  # the work itself, in this shop
            shop.finish(number)
            print(f"order {number}: ready", flush=True)
            all_sent = send_all(shop)
        shop.orders_bell.wait(FALLBACK if all_sent else RETRY)
