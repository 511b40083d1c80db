"""S6: the cursor moves with the events it stands for, under a valid lease, and never past what is not recorded."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from clients.glopal import RawPage
from clients.transport import ServerClock
from ledger import Ledger, LedgerUnavailable
from ledger.cursor import CursorMove, read_cursor
from ledger.events import record_page
from ledger.leases import acquire_feed
from ledger.queries import event_buckets
from models.glopal import EventPage, GlopalEvent, UnreadableEvent
from models.outcome import Done, LeaseLost, NotYet, NotYetError, RefusalCode, Refused
from tasks.events import Pulled, pull
from tests.ledger.kit import ACCOUNT, RULES, an_event, new_account
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio
FEED = [an_event(f"1-{number}", event_id=f"F{number:03d}") for number in range(60)]


async def _events(ledger: Ledger) -> int:
    return sum((await event_buckets(ledger, ACCOUNT)).values())


async def test_the_cursor_moves_with_its_events(ledger: Ledger) -> None:
    """A recorded page and the cursor's new place are seen together; the same place again is no move."""
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    assert await read_cursor(ledger, ACCOUNT) is None
    first = await record_page(ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F001", "feed", fence))
    again = await record_page(ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F001", "feed", fence))
    second = await record_page(ledger, ACCOUNT, FEED[2:3], RULES, CursorMove("F002", "feed", fence))

    assert [page.cursor_moved for page in (first, again, second)] == [True, False, True]
    assert await read_cursor(ledger, ACCOUNT) == "F002"
    assert await read_cursor(ledger, new_account()) is None


async def test_recording_without_a_move_leaves_the_cursor(ledger: Ledger) -> None:
    """Pages that are read for another reason (an overlap, a backfill) never touch the live cursor."""
    await record_page(ledger, ACCOUNT, FEED[:5], RULES)

    assert (await read_cursor(ledger, ACCOUNT), await _events(ledger)) == (None, 5)


async def test_a_lost_feed_records_nothing(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """S14: a reader whose lease passed on can neither move the cursor nor record the page that would go with it."""
    old = await acquire_feed(ledger, "feed")
    assert old is not None
    clock.forward(91)
    new = await acquire_feed(other_ledger, "feed")
    assert new is not None
    with pytest.raises(LeaseLost):
        await record_page(ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F001", "feed", old))
    assert (await read_cursor(ledger, ACCOUNT), await _events(ledger)) == (None, 0)
    await record_page(other_ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F001", "feed", new))

    assert await read_cursor(ledger, ACCOUNT) == "F001"


@pytest.mark.parametrize("wrong", ["fence", "name"])
async def test_a_wrong_lease_records_nothing(ledger: Ledger, wrong: str) -> None:
    """The owner's name alone is not enough: the fencing number and the feed's name must be right, too."""
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    move = CursorMove("F001", "feed" if wrong == "fence" else "other", fence + (wrong == "fence"))
    with pytest.raises(LeaseLost):
        await record_page(ledger, ACCOUNT, FEED[:2], RULES, move)

    assert await _events(ledger) == 0


async def test_the_cursor_stands_on_an_event_of_its_page(ledger: Ledger) -> None:
    """A move to an event that is not recorded with it is a bug and is refused."""
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    with pytest.raises(AssertionError, match="the cursor may only move to an event"):
        await record_page(ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F009", "feed", fence))

    assert (await read_cursor(ledger, ACCOUNT), await _events(ledger)) == (None, 0)


async def test_a_page_that_fails_moves_nothing(ledger: Ledger) -> None:
    """When the cursor cannot be written, its events are not recorded either."""
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE feed_cursor RENAME TO gone"))
    with pytest.raises(LedgerUnavailable):
        await record_page(ledger, ACCOUNT, FEED[:2], RULES, CursorMove("F001", "feed", fence))

    assert await _events(ledger) == 0


class Feed:
    """Glopal's feed, read page by page by a cursor of ours."""

    def __init__(self, events: list[GlopalEvent | UnreadableEvent], size: int = 20) -> None:
        self.events_list = events
        self.size = size
        self.asked: list[str | None] = []
        self.fail_after = 100
        self.server_clock = ServerClock(None)

    async def events(self, after: str | None) -> Any:
        """One page after an event, or the refusal of a cursor that left the feed."""
        self.asked.append(after)
        if len(self.asked) > self.fail_after:
            return NotYet("the connection was refused")
        ids = [entry.event_id for entry in self.events_list]
        if after is not None and after not in ids:
            return Refused(RefusalCode.CONFLICT, "no such event")
        start = 0 if after is None else ids.index(after) + 1
        page = self.events_list[start : start + self.size]
        cursor = next((entry.event_id for entry in reversed(page) if entry.event_id), None)
        return Done(RawPage(b"", EventPage(page, cursor)))


async def _pull(ledger: Ledger, feed: Feed, overlap: int = 10) -> Pulled:
    account = SimpleNamespace(overlap=overlap, page_size=None)
    runtime: Any = SimpleNamespace(ledger=ledger, key=ACCOUNT, name="shop", account=account, client=feed, rules=RULES)
    return await pull(runtime)


async def test_a_feed_is_read_to_its_end(ledger: Ledger) -> None:
    """The first pull reads all pages; the next one with nothing new makes one call."""
    feed = Feed(list(FEED))
    first = await _pull(ledger, feed)
    assert (first.new, await read_cursor(ledger, ACCOUNT)) == (60, "F059")
    feed.asked.clear()
    second = await _pull(ledger, feed)

    assert (second.new, second.pages, feed.asked) == (0, 1, ["F049"])
    assert await read_cursor(ledger, ACCOUNT) == "F059"


async def test_a_broken_off_pull_goes_on_where_it_stopped(ledger: Ledger) -> None:
    """When a page cannot be read, what was recorded before stays and the next pull goes on behind it."""
    feed = Feed(list(FEED))
    feed.fail_after = 2
    with pytest.raises(NotYetError):
        await _pull(ledger, feed)
    assert (await read_cursor(ledger, ACCOUNT), await _events(ledger)) == ("F039", 40)
    feed.fail_after = 100
    pulled = await _pull(ledger, feed)

    assert (pulled.new, await read_cursor(ledger, ACCOUNT), await _events(ledger)) == (20, "F059", 60)


async def test_the_cursor_never_goes_back_through_the_overlap(ledger: Ledger) -> None:
    """A break while pages behind the cursor are read again leaves it, also when the feed's pages became shorter."""
    feed = Feed(list(FEED))
    await _pull(ledger, feed)
    feed.events_list += [an_event(f"8-{number}", event_id=f"G{number}") for number in range(8)]
    feed.asked.clear()
    feed.size, feed.fail_after = 4, 1
    with pytest.raises(NotYetError):
        await _pull(ledger, feed)

    assert (await read_cursor(ledger, ACCOUNT), feed.asked) == ("F059", ["F049", "F053"])


async def test_late_events_behind_the_cursor_are_found(ledger: Ledger) -> None:
    """An event that appears behind the cursor, within the overlap, is recorded and moves its order."""
    feed = Feed(list(FEED[:30]))
    await _pull(ledger, feed)
    late = an_event("9-9", event_id="LATE")
    feed.events_list.insert(25, late)
    pulled = await _pull(ledger, feed)

    assert (pulled.new, await read_cursor(ledger, ACCOUNT)) == (1, "F029")


async def test_unreadable_entries_neither_stop_nor_lose_the_feed(ledger: Ledger) -> None:
    """A page full of unreadable entries is recorded and passed."""
    bad = [UnreadableEvent(f"B{number}", "without order_id", "{}") for number in range(20)]
    feed = Feed([*FEED[:20], *bad, *FEED[20:40]])
    pulled = await _pull(ledger, feed)

    assert (pulled.unreadable, await read_cursor(ledger, ACCOUNT)) == (20, "F039")


async def test_a_reset_cursor_is_told(ledger: Ledger) -> None:
    """When the feed has neither the overlap's start nor the cursor any more, all is read again and the run says so."""
    feed = Feed(list(FEED))
    await _pull(ledger, feed)
    feed.events_list = [*FEED[:5], an_event("9-9", event_id="NEW")]
    pulled = await _pull(ledger, feed)

    assert (pulled.cursor_reset, pulled.new, await read_cursor(ledger, ACCOUNT)) == (True, 1, "NEW")


async def test_without_an_overlap_the_cursor_moves(ledger: Ledger) -> None:
    """An account that wants no overlap reads on from its cursor, and the cursor follows."""
    feed = Feed(list(FEED[:30]))
    await _pull(ledger, feed, overlap=0)
    feed.events_list += FEED[30:]
    await _pull(ledger, feed, overlap=0)

    assert await read_cursor(ledger, ACCOUNT) == "F059"


async def test_when_only_the_overlap_left_the_feed_the_cursor_moves(ledger: Ledger) -> None:
    """When the overlap's start is gone, reading goes on at the cursor, which follows."""
    feed = Feed(list(FEED[:30]))
    await _pull(ledger, feed)
    feed.events_list = [entry for entry in FEED if entry.event_id != "F019"]
    pulled = await _pull(ledger, feed)

    assert (pulled.cursor_reset, await read_cursor(ledger, ACCOUNT)) == (False, "F059")


async def test_two_pulls_at_once_do_not_read_twice(ledger: Ledger, other_ledger: Ledger) -> None:
    """S14: of two runs at the same time one reads the feed and the other leaves it alone."""
    feeds = [Feed(list(FEED)), Feed(list(FEED))]
    both = await asyncio.gather(_pull(ledger, feeds[0]), _pull(other_ledger, feeds[1]))

    assert sum(one.new for one in both) == 60
    assert await read_cursor(ledger, ACCOUNT) == "F059"
