"""``python -P -m procman.machine.cost_stream``: measures for whoever shows it, by itself, until its stdin closes.

Each line of stdin is a JSON object, name to PID of what is to be measured from now on; each line of stdout one of name
to cost. psutil takes 20 ms for 50 processes and some megabytes: neither the supervisor nor the gateway shall.
"""

from __future__ import annotations

import dataclasses
import json
import os
import select
import sys
import time

from procman.machine.cost import Meter

#: Seconds between two measurements.
PAUSE = 2.0


def main() -> None:
    """Returns when nobody is left who would be told."""
    meter, mains, read = Meter(), None, b""
    due = time.monotonic()
    while True:
        ready, _, _ = select.select([0], [], [], max(0.0, due - time.monotonic()) if mains is not None else None)
        if ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, read = (read + data).split(b"\n")
            mains = json.loads(lines[-1]) if lines else mains
        if mains is not None and time.monotonic() >= due:
            due = time.monotonic() + PAUSE
            costs = {name: dataclasses.asdict(cost) for name, cost in meter.measure(mains).items()}
            sys.stdout.write(json.dumps(costs) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody listens; what is still in the buffer cannot be written
