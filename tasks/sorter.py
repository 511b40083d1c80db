"""Which entries of a walk over the feed are taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from models.glopal import GlopalEvent, UnreadableEvent
from models.ranges import Span

LAST_YEAR = 9999
Entry = GlopalEvent | UnreadableEvent


class Sorter:
    """Tells which entries are the walk's own: those of its interval, and those that stand where nobody looks.

    What lies around the interval on its first and last page was not asked for, and where pages begin and end is chance.
    But an event that stands out of its time (published late, or misdated) is met by no walk over its own time, so it is
    taken where it is met.

    Args:
        span: the walk's interval.
        margin: how far events may stand from their time and still count as in order.
    """

    def __init__(self, span: Span, margin: timedelta) -> None:
        self._span = span
        self._margin = margin
        self._latest: datetime | None = None

    def own(self, page: Sequence[Entry], *, forward: bool) -> list[Entry]:
        """The entries of the next page that are to be taken.

        Args:
            page: oldest first.
            forward: whether it follows the page before; of a walk that goes backwards each page is judged by itself.
        """
        if not forward:
            self._latest = None
        later, ahead = datetime.max.replace(tzinfo=UTC), []
        for entry in reversed(page):
            ahead.append(later)
            if isinstance(entry, GlopalEvent) and entry.event_at is not None:
                later = min(later, entry.event_at)
        return [entry for entry, after in zip(page, reversed(ahead), strict=True) if self._take(entry, after)]

    def _take(self, entry: Entry, after: datetime) -> bool:
        if not isinstance(entry, GlopalEvent) or entry.event_at is None:
            return True
        at, latest = entry.event_at, self._latest
        late = latest is not None and at < latest - self._margin
        early = after.year < LAST_YEAR and at > after + self._margin
        if not early:
            self._latest = max(at, latest or at)
        return self._span.contains(at) or late or early
