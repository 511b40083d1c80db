"""Walk the part of a provider's feed that covers an interval of time, and say whether it was the whole of it.

Glopal's feed has a cursor and no dates, and its events stand only roughly in order of time. So a walk begins at a
recorded event well before the interval, makes sure by the page before it that this event stands where its time says,
and ends with a page that lies well after the interval. Where the ledger knows no event before the interval, or one
after it is nearer, the walk goes backwards from there. Calls are proportional to the interval, not to the history.

Nothing younger than ``MARGIN`` is called complete: an event can be published some minutes late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger.coverage import nearest_event
from models.glopal import GlopalEvent, UnreadableEvent
from models.outcome import Done, EffectFailed, RefusalCode, Refused, error_for
from models.ranges import EARLIEST_START, Span
from tasks.runtime import Runtime
from tasks.sorter import Lately, Sorter, ids_of, last_id, lies_after, lies_before, times_of

MARGIN = timedelta(minutes=15)
# How far before the interval an event is looked for whose place cannot be checked by the page before it.
FURTHER_BACK = (timedelta(hours=6), timedelta(days=2), timedelta(days=14))
# So many events have to agree before the walk has left the interval; with short pages that takes some of them.
ENOUGH = 25
# A first page needs more times than this before one of them can be called a mistake.
MISDATED = 4
# A feed that never leaves the interval must not keep a run alive for ever.
MOST_PAGES = 100_000

Entry = GlopalEvent | UnreadableEvent
OnPage = Callable[[Sequence[Entry]], Awaitable[None]]


@dataclass(slots=True)
class Walk:
    """What a walk saw.

    Attributes:
        span: the interval that was wanted.
        proven: the part of it of which every event was seen; None when no part is proven.
        how: what proves it, in one plain sentence.
        why_not: why the rest is not proven, in plain words; empty when all of it is.
        from_start: whether the walk met the beginning of the feed.
        begins_at: when the feed begins, with ``from_start``.
        first_times: the times on the first page that had any.
        last_times: those on the last one.
        unreadable: entries that cannot be read.
        inside: events whose time lies in the interval.
        sorter: tells which entries are taken.
        calls: pages asked for.
        pages: pages that had events in or near the interval.
        events: their number.
    """

    span: Span
    proven: Span | None = None
    how: str = ""
    why_not: str = ""
    from_start: bool = False
    begins_at: datetime | None = None
    calls: int = 0
    pages: int = 0
    events: int = 0
    first_times: list[datetime] = field(default_factory=list)
    last_times: list[datetime] = field(default_factory=list)
    unreadable: int = 0
    inside: int = 0
    sorter: Sorter | None = None


async def walk(runtime: Runtime, span: Span, on_page: OnPage) -> Walk:
    """Walk the feed over ``span``; what lies in it, or out of its time, is handed to ``on_page``.

    Raises:
        EffectFailed: the feed could not be read; nothing is proven, and what was handed out is as good as before.
    """
    # Taken before anything is read: what happens meanwhile is no part of the proof.
    started = runtime.ledger.clock()
    before = await _nearest_before(runtime, span.start - MARGIN)
    after = await _nearest_after(runtime, span.end + MARGIN)
    forward = before is not None and (after is None or span.start - before[1] <= after[1] - span.end)
    seen = await _one_way(runtime, span, before if forward else None, after, on_page)
    if seen.proven is not None and not seen.inside and before is not None:
        # Nothing at all in the interval: either nothing happened, or many misplaced events hid it. The other way tells.
        other = await _one_way(runtime, span, None if forward else before, after, on_page)
        other.calls += seen.calls
        seen = other
    return _judged(seen, proven_until(runtime, started))


async def _one_way(
    runtime: Runtime,
    span: Span,
    before: tuple[str, datetime] | None,
    after: tuple[str, datetime] | None,
    on_page: OnPage,
) -> Walk:
    """Forwards from ``before`` when that is given and stands where it should, backwards otherwise."""
    seen = Walk(span, sorter=Sorter(span, MARGIN))
    if before is None or not await _forward(runtime, seen, before[0], on_page):
        await _backward(runtime, seen, after, on_page)
    return seen


async def _nearest_before(runtime: Runtime, moment: datetime) -> tuple[str, datetime] | None:
    known = await nearest_event(runtime.ledger, runtime.key, before=moment)
    met = runtime.held.nearest(before=moment)
    return max((place for place in (known, met) if place is not None), key=lambda place: place[1], default=None)


async def _nearest_after(runtime: Runtime, moment: datetime) -> tuple[str, datetime] | None:
    known = await nearest_event(runtime.ledger, runtime.key, after=moment)
    met = runtime.held.nearest(after=moment)
    return min((place for place in (known, met) if place is not None), key=lambda place: place[1], default=None)


def proven_until(runtime: Runtime, started: datetime) -> datetime:
    """Up to which moment something that was read since ``started`` can be complete.

    Events carry the provider's times, and its answers have told its clock by now; of two clocks that disagree the one
    that is behind counts.
    """
    skew = runtime.client.server_clock.skew if runtime.client.server_clock.wrong else None
    return started - timedelta(seconds=max(skew or 0.0, 0.0)) - MARGIN


def begins_with(times: Sequence[datetime]) -> datetime | None:
    """When a feed begins, by the times on its first page. One that lies a day before all others is a mistake in it."""
    ordered = sorted(times)
    if len(ordered) > MISDATED and ordered[1] - ordered[0] > timedelta(days=1):
        ordered = ordered[1:]
    return max(ordered[0], EARLIEST_START) if ordered else None


async def _forward(runtime: Runtime, seen: Walk, anchor: str, on_page: OnPage) -> bool:
    """From a recorded event before the interval to its end; False when that event does not stand where it should."""
    stands = await _page(runtime, seen, before=anchor)
    if stands is None:
        return await _forward_only(runtime, seen, on_page)
    if not stands:
        # The event is the feed's first, and then nothing stands before it.
        return await _to_the_end(runtime, seen, anchor, on_page)
    await _hand_out(runtime, seen, stands, on_page)
    if not lies_before(times_of(stands), seen.span.start - MARGIN):
        return False
    # What follows that page must begin with the event. A provider that takes no notice of what it should go back from
    # gives the feed's first page instead, which lies before everything.
    first = await _page(runtime, seen, after=last_id(stands))
    if first is None or anchor not in ids_of(first):
        return await _forward_only(runtime, seen, on_page)
    return await _to_the_end(runtime, seen, anchor, on_page, first, stands)


async def _forward_only(runtime: Runtime, seen: Walk, on_page: OnPage) -> bool:
    """The provider does not page backwards (or forgot the event): begin further back, and see that it is far enough."""
    tried = set()
    for back in FURTHER_BACK:
        found = await _nearest_before(runtime, seen.span.start - back)
        if found is None:
            return False
        if found[0] in tried:
            continue
        tried.add(found[0])
        follows = await _page(runtime, seen, after=found[0])
        if follows and lies_before(times_of(follows), seen.span.start):
            return await _to_the_end(runtime, seen, found[0], on_page, follows)
    return False


async def _to_the_end(
    runtime: Runtime,
    seen: Walk,
    anchor: str | None,
    on_page: OnPage,
    page: Sequence[Entry] | None = None,
    stands: Sequence[Entry] | None = (),
) -> bool:
    """Forwards from ``anchor``, or from the feed's beginning.

    ``page`` is the first page when it was read already, ``stands`` the one before it, as far as that is known.
    """
    after, met, lately = anchor, {anchor} if page is None else set(), Lately(ENOUGH)
    waiting: Sequence[Entry] = ()
    while seen.calls < MOST_PAGES:
        page = page if page is not None else await _page(runtime, seen, after=after)
        if waiting:
            # Handed out once it is known what follows: that tells whether its last events are misdated.
            await _hand_out(runtime, seen, waiting, on_page, preceding=stands, following=page or ())
            stands = None
        if page is None:
            return False
        waiting, cursor = page, last_id(page)
        end = "the end of the feed" if not page else ""
        if page and lies_after(lately.with_page(page), seen.span.end + MARGIN):
            end = f"event {cursor} after it"
        if page and (end or cursor is None or cursor in met):
            await _hand_out(runtime, seen, page, on_page, preceding=stands)
        if end:
            seen.proven = seen.span
            start = f"event {anchor} before it" if anchor else "the beginning of the feed"
            seen.how = f"every page from {start} to {end} was read"
            return True
        if cursor is None or cursor in met:
            seen.proven, seen.why_not = None, "the feed gave a page that leads nowhere new"
            return True
        met.add(cursor)
        after, page = cursor, None
    if waiting:
        await _hand_out(runtime, seen, waiting, on_page, preceding=stands)
    seen.why_not = f"the feed did not come to the interval's end within {MOST_PAGES} pages"
    return True


async def _backward(runtime: Runtime, seen: Walk, known: tuple[str, datetime] | None, on_page: OnPage) -> None:
    """From an event after the interval (or the feed's end) back to its beginning."""
    begun = await _turning_point(runtime, seen, known, on_page)
    if begun is None:
        await _only_ahead(runtime, seen, on_page)
        return
    anchor, page, later = begun
    came_from = f"event {anchor} after it" if anchor else "the end of the feed"
    met, lately = {anchor}, Lately(ENOUGH)
    while page:
        first = next((entry.event_id for entry in page if entry.event_id), None)
        if lies_before(lately.with_page(page), seen.span.start - MARGIN):
            seen.proven = seen.span
            seen.how = f"every page from {came_from} back to event {first} before it was read"
        elif first is None:
            seen.why_not = "the feed gave a page that leads nowhere new"
        elif seen.calls >= MOST_PAGES:
            seen.why_not = f"the feed did not come to the interval's beginning within {MOST_PAGES} pages"
        if seen.proven or seen.why_not or first is None:
            await _hand_out(runtime, seen, page, on_page, following=later)
            return
        before = await _page(runtime, seen, before=first) if first not in met else None
        # Only what stands before a page tells whether its first events came late.
        await _hand_out(runtime, seen, page, on_page, preceding=before or (), following=later)
        if before is None:
            await _only_ahead(runtime, seen, on_page)
            return
        met.add(first)
        page, later = before, page
    seen.begins_at = begins_with(seen.last_times) or (known[1] if anchor and known else None)
    _began(seen, f"every page from {came_from} back to the beginning of the feed was read")


async def _only_ahead(runtime: Runtime, seen: Walk, on_page: OnPage) -> None:
    """Paging backwards is assumed, and this provider does not know it; where nothing helps, begin at the beginning."""
    # What was met on the way says nothing about where the walk is from now on.
    seen.pages = seen.events = seen.inside = seen.unreadable = 0
    if not await _forward_only(runtime, seen, on_page):
        await _from_the_beginning(runtime, seen, on_page)


async def _turning_point(
    runtime: Runtime, seen: Walk, known: tuple[str, datetime] | None, on_page: OnPage
) -> tuple[str, Sequence[Entry], Sequence[Entry]] | None:
    """Where to turn back, the page before it, and what follows that: a known event after the interval, or "", the end.

    What follows that page is read, too. It must begin with the event, or be nothing at all: a provider that takes no
    notice of what it should go back from gives the feed's first page. And it must be as young as the event says it is.

    Returns:
        None when the provider does not page backwards.
    """
    for anchor in [known[0], ""] if known else [""]:
        page = await _page(runtime, seen, before=anchor)
        if page is None:
            continue
        if not page and not anchor:
            return anchor, page, ()
        follows = await _page(runtime, seen, after=last_id(page) if page else anchor)
        if follows is None:
            continue
        if follows:
            await _hand_out(runtime, seen, follows, on_page)
        if not anchor:
            return (anchor, page, follows) if await _ends_there(runtime, seen, follows) else None
        if page and anchor not in ids_of(follows):
            return None
        others = [entry for entry in follows if entry.event_id != anchor]
        if page and not others:
            others = list(await _page(runtime, seen, after=anchor) or ())
        if not others or lies_after(times_of(others), seen.span.end + MARGIN):
            return anchor, page, follows
    return None


async def _ends_there(runtime: Runtime, seen: Walk, follows: Sequence[Entry]) -> bool:
    """Whether nothing follows the feed's last page, or only what was published since it was read."""
    if not follows:
        return True
    again = await _page(runtime, seen, before="")
    return again is not None and not ids_of(again).isdisjoint(ids_of(follows))


def _began(seen: Walk, how: str) -> None:
    """The walk knows the feed's beginning: nothing stands before it."""
    seen.from_start = True
    if seen.begins_at is None:
        seen.proven, seen.why_not = None, "the feed has no events at all"
        return
    seen.proven, seen.how = seen.span, how


async def _from_the_beginning(runtime: Runtime, seen: Walk, on_page: OnPage) -> None:
    seen.first_times = []
    if not await _to_the_end(runtime, seen, None, on_page):
        raise error_for(
            Refused(RefusalCode.CONFLICT, "Glopal gives neither the feed's beginning nor pages backwards"),
            f"events of {runtime.name}",
        )
    if seen.proven is not None:
        seen.begins_at = begins_with(seen.first_times)
        _began(seen, seen.how)


async def _hand_out(
    runtime: Runtime,
    seen: Walk,
    page: Sequence[Entry],
    on_page: OnPage,
    *,
    preceding: Sequence[Entry] | None = (),
    following: Sequence[Entry] = (),
) -> None:
    times = times_of(page)
    for entry in (page[0], page[-1]):
        if isinstance(entry, GlopalEvent) and entry.event_at is not None:
            runtime.held.note_place(entry.event_at, entry.event_id)
    if times:
        seen.first_times, seen.last_times = seen.first_times or times, times
    near = Span(seen.span.start - MARGIN, seen.span.end + MARGIN)
    # Once inside, every page counts: one full of events that came late lies in nobody's interval.
    if seen.pages or not times or any(near.contains(at) for at in times):
        seen.pages += 1
        seen.events += len(page)
        seen.unreadable += sum(not isinstance(entry, GlopalEvent) for entry in page)
        assert seen.sorter is not None  # noqa: S101 - a walk that reads has one
        own = seen.sorter.own(page, preceding, following)
        seen.inside += sum(seen.span.contains(at) for at in times)
        if own:
            await on_page(own)


async def _page(
    runtime: Runtime, seen: Walk, *, after: str | None = None, before: str | None = None
) -> Sequence[Entry] | None:
    """One page; None when the provider does not take the place that was named.

    Raises:
        EffectFailed: it could not be read for another reason.
    """
    seen.calls += 1
    outcome = await runtime.client.events(after, before=before)
    if isinstance(outcome, Done):
        return outcome.value.page.events
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.CONFLICT and (after or before is not None):
        return None
    failed: EffectFailed = error_for(outcome, f"events of {runtime.name}")
    raise failed


def _judged(seen: Walk, until: datetime) -> Walk:
    """Cut what is proven to what can be proven by now, and to what the feed still shows."""
    start = seen.span.start
    if seen.from_start and seen.begins_at is not None and seen.begins_at > start:
        start = seen.begins_at
        seen.why_not = _nothing_before(start)
    if seen.proven is None:
        return seen
    end = min(seen.span.end, until)
    if end < seen.span.end:
        young = f"what is younger than {int(MARGIN.total_seconds() // 60)} minutes may still be published"
        seen.why_not = f"{seen.why_not}; {young}" if seen.why_not else young
    seen.proven = Span(start, end) if start < end else None
    if seen.unreadable:
        seen.how += f"; {seen.unreadable} of the entries cannot be read and are kept as received"
    return seen


def _nothing_before(begins: datetime) -> str:
    return f"the feed begins at {begins:%Y-%m-%d %H:%M:%S} UTC and shows nothing from before"


def not_shown(span: Span, begins: datetime) -> Walk:
    """What a walk over an interval before the feed's known beginning would come to, without a call."""
    return Walk(span, why_not=_nothing_before(begins))


def beginning(walked: Walk | None) -> datetime | None:
    """When the feed begins, if a walk came to its beginning."""
    return walked.begins_at if walked is not None and walked.from_start else None
