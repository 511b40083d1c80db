"""One line of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Line:
    """One figure, its aim and whether it holds (None: no aim)."""

    what: str
    value: str
    aim: str = ""
    held: bool | None = None


def at_most(what: str, value: int, most: int) -> Line:
    """A count that may not be greater."""
    return Line(what, f"{value}", f"at most {most}", value <= most)


def percents(ratios: Sequence[float]) -> str:
    """The median, and each of several."""
    each = ", ".join(f"{100 * ratio:.0f}" for ratio in ratios)
    return f"{100 * median(ratios):.0f} %" + (f" (runs: {each})" if len(ratios) > 1 else "")


def said(calls: dict[str, int]) -> str:
    """Calls by endpoint, in words."""
    return ", ".join(f"{name} {count}" for name, count in sorted(calls.items())) or "none"
