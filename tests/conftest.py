"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervising import Supervising
from workbench import Site

# Containers like to set it. Each of hundreds of gateways would compile all of its modules: test_gateway_life.py alone
# took 17 s of CPU in place of 7.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that are marked `long` first; pytest-xdist gives files away in this order (``--no-loadscope-reorder``)."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A workspace without services."""
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[Supervising]:
    """A workspace without services, for tests of the supervisor; its gateway only says that it is there."""
    made = Supervising(tmp_path)
    try:
        yield made
    finally:
        made.end()
