"""How a lane delivers: what a subscription's wish comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from procman.subscription import Subscription
from proxy_addons.events.log import Stored
from proxy_addons.events.matching import wanted


@dataclass(frozen=True, slots=True)
class Rules:
    """`accepts` is the whole wish: types, filters, origin. `key` tells what stays in order. `backoff` in seconds."""

    accepts: Callable[[Stored], bool]
    key: Callable[[Stored], str]
    concurrency: int
    retries: int
    backoff: float
    wakes: bool = False

    @classmethod
    def of(cls, subscription: Subscription) -> Rules:
        """Those of a service's subscription."""
        test = wanted(subscription)
        return cls(
            accepts=lambda stored: test(stored.event),
            key=_KEYS[subscription.order],
            concurrency=1 if subscription.order == "all" else subscription.concurrency,
            retries=subscription.retries,
            backoff=subscription.backoff,
            wakes=subscription.start == "on-request",
        )


def by_key(stored: Stored) -> str:
    """What keeps its order: the event's key, or nothing."""
    key = stored.event.order_key
    return f"={key}" if key else str(stored.seq)  # without a key, nothing has to stay in order


_KEYS: dict[str, Callable[[Stored], str]] = {
    "key": by_key,
    "none": lambda stored: str(stored.seq),
    "all": lambda _: "",
}
