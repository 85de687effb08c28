"""``/metrics`` in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy_addons.events.lane import Lane


def write(published: Mapping[str, int], lanes: Iterable[Lane], last: int) -> str:
    """All counters and gauges, since the broker started."""
    lines = ["# TYPE stores_events_published_total counter"]
    lines += [f'stores_events_published_total{{result="{name}"}} {count}' for name, count in published.items()]
    lines += ["# TYPE stores_events_last gauge", f"stores_events_last {last}"]
    known = list(lanes)
    lines.append("# TYPE stores_events_deliveries_total counter")
    for lane in known:
        counts = lane.counts
        results = {
            "delivered": counts.delivered,
            "failed": counts.failed,
            "dead": counts.dead,
            "expired": counts.expired,
        }
        name = lane.standing.name
        lines += [
            f'stores_events_deliveries_total{{subscription="{name}",result="{result}"}} {count}'
            for result, count in results.items()
        ]
    for gauge in ("waiting", "in_flight", "parked"):
        lines.append(f"# TYPE stores_events_{gauge} gauge")
        lines += [
            f'stores_events_{gauge}{{subscription="{lane.standing.name}"}} {getattr(lane, gauge)}' for lane in known
        ]
    return "\n".join(lines) + "\n"
