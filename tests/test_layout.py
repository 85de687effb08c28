"""The floors of the house: who may import whom. Read from the imports, so that it cannot drift."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("procman", "proxy_addons", "dns", "certs")

#: The ground floor, what every room may stand on: what stands in `procman/` itself, beside its own entry.
GROUND = {"procman", *(f"procman.{file.stem}" for file in (ROOT / "procman").glob("*.py") if file.stem[0] != "_")}


def modules(*rooms: str) -> Iterator[tuple[str, Path]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), path


NAMES = {name for name, _ in modules(*ROOMS)}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions; `from procman import x` counts as procman.x."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(inner & NAMES or {node.module})
    return found


def breaks(rooms: tuple[str, ...], forbidden: str, allowed: frozenset[str] = frozenset()) -> list[str]:
    return [
        f"{name} imports {imported}"
        for name, path in modules(*rooms)
        for imported in imports(path)
        if (imported == forbidden or imported.startswith(f"{forbidden}.")) and imported not in allowed
    ]


def test_the_supervisor_never_imports_the_gateway() -> None:
    assert breaks(("procman",), "proxy_addons") == []


def test_mitmproxy_is_known_in_the_gateway_alone() -> None:
    assert breaks(("procman", "dns", "certs"), "mitmproxy") == []


def test_typer_is_known_on_the_command_line_alone() -> None:
    outside = [line for line in breaks(ROOMS, "typer") if not line.startswith("procman.cli")]
    assert outside == []


def test_the_command_line_is_the_roof_and_nothing_stands_on_it() -> None:
    outside = [line for line in breaks(ROOMS, "procman.cli") if not line.startswith("procman.cli")]
    assert outside == []


def test_honchos_manager_is_used_nowhere() -> None:
    assert breaks(ROOMS, "honcho.manager") == []
    assert breaks(ROOMS, "honcho.process") == []


def test_gateway_resolver_and_certificates_stand_on_the_ground_floor_alone() -> None:
    assert breaks(("proxy_addons", "dns", "certs"), "procman", frozenset(GROUND)) == []


def test_no_two_rooms_of_the_supervisor_stand_on_each_other() -> None:
    below: dict[str, set[str]] = {}
    for name, path in modules("procman"):
        if name.count(".") == 2 and name not in GROUND:
            room = name.rpartition(".")[0]
            found = {imported.rpartition(".")[0] for imported in imports(path) if imported.startswith("procman.")}
            below.setdefault(room, set()).update(found - {room, "procman"})
    while below:
        lowest = {room for room, others in below.items() if not others & set(below)}
        assert lowest, f"these rooms stand on each other: {below}"
        below = {room: others for room, others in below.items() if room not in lowest}


def test_the_ground_floor_stands_on_the_standard_library_and_honchos_parser() -> None:
    ground = {name: path for name, path in modules("procman") if name in GROUND}
    outside = [
        f"{name} imports {imported}"
        for name, path in ground.items()
        for imported in imports(path)
        if imported not in GROUND
        and imported.partition(".")[0] not in sys.stdlib_module_names
        and (name, imported) != ("procman.procfile", "honcho.environ")
    ]
    assert outside == []


@pytest.mark.parametrize("heavy", ["typer", "rich", "psutil", "cryptography", "mitmproxy", "honcho.manager"])
def test_the_resident_supervisor_does_not_load(heavy: str) -> None:
    loaded = "procman.resident.house, dns.server, dns.zone"
    code = f"import sys; sys.argv = ['x']; import {loaded}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert heavy not in done.stdout.splitlines()


def test_the_package_named_dns_is_ours_and_not_dnspython() -> None:
    import dns  # noqa: PLC0415 (the import is what is tested)

    assert Path(dns.__file__ or "").is_relative_to(ROOT)
