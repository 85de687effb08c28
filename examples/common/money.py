"""Money as people read it. All of it is whole yen."""

from __future__ import annotations


def yen(amount: int) -> str:
    return f"¥{amount:,}"
