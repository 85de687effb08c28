"""Whether somebody looks at the traffic: said by the dashboard, which is loaded late, to the addons, which are, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy_addons.dashboard.recorder import Recorder


@dataclass(slots=True)
class Onlooker:
    """`recorder` is None while nobody does."""

    recorder: Recorder | None = None
