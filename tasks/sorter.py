"""What the pages of a feed tell: where in time they lie, and which of their entries a walk takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median_high, median_low

from models.glopal import GlopalEvent, UnreadableEvent
from models.ranges import Span

# So many neighbours on either side tell whether an event stands out of its time.
NEIGHBOURS = 5
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
        self._orderly: deque[datetime] = deque(maxlen=NEIGHBOURS)

    def own(
        self, page: Sequence[Entry], preceding: Sequence[Entry] | None, following: Sequence[Entry] = ()
    ) -> list[Entry]:
        """The entries of the next page that are to be taken.

        Args:
            page: oldest first.
            preceding: the page that stands before it in the feed, empty when that is not known; None when it is the one
                that was judged last.
            following: the page that stands after it, as far as it is known: without it nothing tells of a page's last
                events whether they are misdated.
        """
        if preceding is not None:
            self._orderly.clear()
            self._judge(preceding, page)
        return self._judge(page, following)

    def _judge(self, page: Sequence[Entry], following: Sequence[Entry]) -> list[Entry]:
        timed = [*times_of(page), *times_of(following)[:NEIGHBOURS]]
        taken: list[Entry] = []
        place = 0
        for entry in page:
            if isinstance(entry, GlopalEvent) and entry.event_at is not None:
                place += 1
                if not self._own(entry.event_at, timed[place : place + NEIGHBOURS]):
                    continue
            taken.append(entry)
        return taken

    def _own(self, at: datetime, following: Sequence[datetime]) -> bool:
        """Whether an event is taken, by its neighbours: more than half of them tell where in time this place is."""
        late = bool(self._orderly) and at < median_low(self._orderly) - self._margin
        early = bool(following) and at > median_high(following) + self._margin
        if not late and not early:
            self._orderly.append(at)
        return self._span.contains(at) or late or early


class Lately:
    """The times on the pages read last, as many as it takes to judge where the walk is."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._pages: list[list[datetime]] = []

    def with_page(self, page: Sequence[Entry]) -> list[datetime]:
        """The times once this page is read; none while they are too few."""
        self._pages.append(times_of(page))
        while sum(len(times) for times in self._pages[1:]) >= self._enough:
            del self._pages[0]
        found = [at for times in self._pages for at in times]
        return found if len(found) >= self._enough else []


def times_of(page: Sequence[Entry]) -> list[datetime]:
    """The times of a page's events that have one."""
    return [entry.event_at for entry in page if isinstance(entry, GlopalEvent) and entry.event_at is not None]


def lies_before(times: Sequence[datetime], moment: datetime) -> bool:
    """Whether more than half of these are older: one event that came late does not move a whole page."""
    return 2 * sum(at <= moment for at in times) > len(times)


def lies_after(times: Sequence[datetime], moment: datetime) -> bool:
    """Whether more than half of these are younger."""
    return 2 * sum(at >= moment for at in times) > len(times)


def ids_of(page: Sequence[Entry]) -> set[str]:
    """The ids on a page."""
    return {entry.event_id for entry in page if entry.event_id}


def last_id(page: Sequence[Entry]) -> str | None:
    """The last id on a page: where the next one begins."""
    return next((entry.event_id for entry in reversed(page) if entry.event_id), None)
