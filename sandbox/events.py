"""The feed of one merchant: entries in their order, found by id, some of them hidden for a while.

A feed may hold half a million entries and is asked for a page at every poll, so nothing here walks through all of it:
entries are kept as the bytes that go out, their order is a number with room for entries that come between, and only the
hidden ones are counted down.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sandbox.jsontext import Json, Raw, dumps, loads

KNOWN_NAMES = frozenset(
    [
        "order.received",
        "order.ready",
        "order.cancelled",
        "return.requested",
        "return.authorized",
        "return.cancelled",
    ]
)
"""Names that the contract knows. Any other passes every filter, for a caller could not have asked for it."""

_GAP = 1 << 32
_rank = attrgetter("rank")


@dataclass(slots=True, eq=False)
class FeedEvent:
    """One entry of the feed.

    Attributes:
        encoded: the entry as it goes out.
        event_id: its id; None when the entry has none.
        name: its event name; None when it has none.
        rank: grows along the feed; says nothing else.
        hidden_for: calls for which it is still not shown, as if it were committed late.
        was_hidden: whether it was ever hidden.
        served: whether a page has shown it.
    """

    encoded: bytes
    event_id: str | None
    name: str | None
    rank: int = 0
    hidden_for: int = 0
    was_hidden: bool = False
    served: bool = False

    @classmethod
    def of(cls, body: Any) -> "FeedEvent":
        """An entry of any JSON value; a test may put rubbish into the feed."""
        given = body if isinstance(body, dict) else {}
        event_id, name = given.get("event_id"), given.get("event_name")
        return cls(dumps(body), None if event_id is None else str(event_id), name if isinstance(name, str) else None)

    @property
    def body(self) -> Any:
        """The entry as JSON value."""
        return loads(self.encoded)


class Feed:
    """The entries of one merchant, oldest first."""

    def __init__(self) -> None:
        self._events: list[FeedEvent] = []
        self._by_id: dict[str, FeedEvent] = {}
        self._hidden: list[FeedEvent] = []

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[FeedEvent]:
        return iter(self._events)

    def insert(self, event: FeedEvent, before_end: int = 0) -> None:
        """Put an entry in, `before_end` places before the end."""
        place = max(0, len(self._events) - before_end)
        self._events.insert(place, event)
        if not self._give_rank(event, place):
            for number, found in enumerate(self._events):
                found.rank = number * _GAP
        if event.event_id is not None:
            known = self._by_id.get(event.event_id)
            # Of two entries with one id the later one is the cursor: a reader that saw it has seen the other, too.
            if known is None or known.rank < event.rank:
                self._by_id[event.event_id] = event

    def insert_before(self, other: FeedEvent, event: FeedEvent) -> None:
        """Put an entry in right before `other`."""
        self.insert(event, before_end=len(self._events) - self._place(other))

    def place_of(self, event_id: str) -> int | None:
        """Where the entry with this id stands."""
        event = self._by_id.get(event_id)
        return None if event is None else self._place(event)

    def page(self, names: list[str], start: int, limit: int, *, backward: bool = False) -> list[FeedEvent]:
        """The next entries that a caller may see, oldest first; they are not marked as served.

        Args:
            names: event names that are asked for; none asks for all.
            start: place of the cursor, which itself is not part of the page.
            limit: the most entries.
            backward: towards the beginning instead of the end.
        """
        wanted: list[FeedEvent] = []
        places = range(start - 1, -1, -1) if backward else range(start + 1, len(self._events))
        unwanted = KNOWN_NAMES - set(names) if names else frozenset()
        for place in places:
            event = self._events[place]
            if event.hidden_for or event.name in unwanted:
                continue
            wanted.append(event)
            if len(wanted) == limit:
                break
        return wanted[::-1] if backward else wanted

    def is_recent(self, event: FeedEvent, within: int) -> bool:
        """Whether an entry is one of the last `within`."""
        return len(self._events) <= within or event.rank >= self._events[-within].rank

    def hide(self, event: FeedEvent, calls: int) -> None:
        """Do not show an entry in this call and the next ones, `calls` in all."""
        event.was_hidden = True
        if calls > 0 and not event.hidden_for:
            self._hidden.append(event)
        event.hidden_for = calls

    def count_call(self) -> None:
        """Note that a call came in: what is hidden comes nearer to being shown."""
        if self._hidden:
            for event in self._hidden:
                event.hidden_for -= 1
            self._hidden = [event for event in self._hidden if event.hidden_for]

    def release(self) -> int:
        """Show every hidden entry from now on; returns how many there were."""
        released, self._hidden = self._hidden, []
        for event in released:
            event.hidden_for = 0
        return len(released)

    def to_state(self) -> list[Json]:
        """All entries, to be loaded again."""
        return [
            {
                "body": Raw(event.encoded),
                "served": event.served,
                "hidden_for": event.hidden_for,
                "was_hidden": event.was_hidden,
            }
            for event in self._events
        ]

    def load(self, state: list[Json]) -> None:
        """Take over what `to_state` wrote."""
        self._events, self._by_id, self._hidden = [], {}, []
        for saved in state:
            event = FeedEvent.of(saved["body"])
            event.served = saved["served"]
            self.insert(event)
            self.hide(event, saved.get("hidden_for", 0))
            event.was_hidden = saved.get("was_hidden", False)

    def _place(self, event: FeedEvent) -> int:
        return bisect_left(self._events, event.rank, key=_rank)

    def _give_rank(self, event: FeedEvent, place: int) -> bool:
        """Number an entry between its neighbours; False when there is no number left between them."""
        before = self._events[place - 1].rank if place else -_GAP
        after = self._events[place + 1].rank if place + 1 < len(self._events) else before + 2 * _GAP
        event.rank = (before + after) // 2
        return before < event.rank < after
