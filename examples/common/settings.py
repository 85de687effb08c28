"""What a service is told from outside: its port, its data, its siblings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from common.callers import Callers, TokenCallers
from common.siblings import Siblings


@dataclass(frozen=True)
class Settings:
    name: str
    folder: Path
    data_dir: Path
    port: int
    siblings: Siblings
    badge: str = ""
    callers: Callers | None = None

    @classmethod
    def from_environment(cls, folder: Path, port: int) -> Settings:
        """`port` is for starting by hand; who starts many services says PORT."""
        data_dir = folder / os.environ.get("DATA_DIR", "var")
        data_dir.mkdir(parents=True, exist_ok=True)
        name = folder.name
        siblings, callers = Siblings(name, os.environ), TokenCallers.from_environment(os.environ)
        return cls(name, folder, data_dir, int(os.environ.get("PORT") or port), siblings, "", callers)
