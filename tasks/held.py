"""The parts of a backfill's range, and the pages of events that are kept between its plan and its run."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from models.ranges import Span, Window
from models.time import to_text

if TYPE_CHECKING:
    from tasks.walk import Entry, Walk

# Pages of so many events are kept between plan and run; beyond that they are read a second time.
MOST_HELD = 50_000


@dataclass(slots=True)
class Leg:
    """A part of the range that is not proven yet: one gap of one or more days.

    Attributes:
        span: from when to when.
        windows: the days that it touches; each gets its own proof.
        walked: what the walk saw; None before it.
        pages: its pages, until they are recorded; None when there were too many to keep.
    """

    span: Span
    windows: list[Window]
    walked: Walk | None = None
    pages: list[Sequence[Entry]] | None = None

    @property
    def label(self) -> str:
        """What people read."""
        first, last = self.windows[0].day, self.windows[-1].day
        return f"{first}" if first == last else f"{first} to {last}"


@dataclass(slots=True)
class Held:
    """The legs of a run by the key that tasks get, and how much of them is kept in memory."""

    legs: dict[str, Leg] = field(default_factory=dict)
    events: int = 0
    # Where pages of this run began and ended, by time: places to begin at that the ledger does not know yet.
    places: list[tuple[datetime, str]] = field(default_factory=list)

    def add(self, leg: Leg) -> str:
        """Take a leg in; returns its key."""
        key = to_text(leg.span.start)
        self.legs[key] = leg
        return key

    def note_place(self, at: datetime, event_id: str) -> None:
        """Keep where an event stands."""
        place = bisect_left(self.places, (at, event_id))
        if self.places[place : place + 1] != [(at, event_id)]:
            self.places.insert(place, (at, event_id))

    def nearest(self, *, before: datetime | None = None, after: datetime | None = None) -> tuple[str, datetime] | None:
        """The noted event that stands nearest before (or after) a moment by its own time: its id and time."""
        if before is not None:
            place = bisect_right(self.places, (before, chr(0x10FFFF))) - 1
        else:
            assert after is not None  # noqa: S101 - one of them is given
            place = bisect_left(self.places, (after, ""))
        if not 0 <= place < len(self.places):
            return None
        at, event_id = self.places[place]
        return event_id, at
