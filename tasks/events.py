"""Pull an account's feed from our own cursor and record it page by page, the cursor moving with the events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prefect import task

from clients.glopal import RawPage
from ledger.coverage import broken_chain, extend_live, note_feed_start, time_of_event
from ledger.cursor import Cursor, CursorMove, confirm_end, overlap_anchor, read_place
from ledger.events import Recorded, record_page
from ledger.leases import acquire_feed, release_feed
from models.glopal import UnreadableEvent
from models.outcome import Done, Failure, NotYet, RefusalCode, Refused, error_for
from tasks.batch import TASK_OPTIONS
from tasks.runtime import Runtime, current
from tasks.sorter import times_of
from tasks.walk import begins_with, proven_until

# The page size that Glopal's pages print; taken for a full page only while no page was seen that another one followed.
ASSUMED_PAGE = 20
# A quiet poll may trust the length of a page for so long; then it asks for the page after it, too.
ASK_FOR_END = timedelta(minutes=10)
# A feed that answers the same page for ever must not keep a run alive for ever.
MOST_PAGES = 20_000


@dataclass
class Pulled:
    """What a pull brought. ``problem`` says in plain words why it stopped early, when it did."""

    pages: int = 0
    new: int = 0
    orders: int = 0
    unreadable: int = 0
    kept: int = 0
    busy: bool = False
    problem: str | None = None
    cursor_reset: bool = False
    bad: list[str] = field(default_factory=list)
    parked: list[int] = field(default_factory=list)

    def add(self, page: Recorded) -> None:
        """Count one recorded page."""
        self.pages += 1
        self.new += page.new
        self.orders += page.orders
        self.unreadable += page.unreadable
        self.kept += page.kept
        self.parked += page.parked
        self.bad += page.bad[: max(0, 50 - len(self.bad))]


@task(name="record-events", task_run_name="record events of {account}", tags=["crossdock", "events"], **TASK_OPTIONS)
async def record_events(account: str) -> Pulled:  # noqa: ARG001 - shown in the UI
    """Read the account's feed to its end.

    Args:
        account: the account's name in the configuration.
    """
    return await pull(current())


async def pull(runtime: Runtime) -> Pulled:
    """Read the feed under its lease, so that two runs never move one cursor.

    Raises:
        EffectFailed: the provider did not give a page; what was recorded before stays.
        LeaseLost: another run took the feed over.
    """
    name = f"feed:{runtime.key}"
    fence = await acquire_feed(runtime.ledger, name)
    if fence is None:
        return Pulled(busy=True)
    try:
        return await _pull(runtime, name, fence)
    finally:
        await release_feed(runtime.ledger, name)


async def _pull(runtime: Runtime, lease: str, fence: int) -> Pulled:
    # Taken before anything is read: what is published meanwhile is no part of what this poll completes.
    started = runtime.ledger.clock()
    known = await read_place(runtime.ledger, runtime.key)
    start = cursor = known.at
    if cursor is not None and runtime.account.overlap:
        start = await overlap_anchor(runtime.ledger, runtime.key, runtime.account.overlap)
    pulled = Pulled()
    # Only once the old cursor was met again may it move: pages of the overlap lie behind it.
    passed = cursor is None or start == cursor
    after, met, length = start, {start}, 0
    first: datetime | None = None
    while pulled.pages < MOST_PAGES:
        outcome = await runtime.client.events(after)
        if not isinstance(outcome, Done):
            if not _cursor_rejected(outcome, after) or pulled.cursor_reset:
                lost = " (the stored cursor was rejected; reading from the beginning)" if pulled.cursor_reset else ""
                raise error_for(outcome, f"events of {runtime.name}{lost}")
            if after == start and start != cursor:
                # Only the overlap's start has left the feed; the cursor itself may still be there.
                after = start = cursor
                passed, met = True, {cursor}
                continue
            # Never reset in silence: the run says so, and the whole feed is read again without doing anything twice.
            pulled.cursor_reset, passed, after, met = True, True, None, {None}
            continue
        page = outcome.value.page
        if not page.events:
            await confirm_end(runtime.ledger, runtime.key)
            await _complete(runtime, Completed(known.at, first, proven_until(runtime, started)), lease, fence)
            break
        if after is None:
            first = begins_with(times_of(page.events))
        ids = {entry.event_id for entry in page.events}
        passed = passed or cursor in ids
        move = CursorMove(page.cursor, lease, fence, length) if passed and page.cursor else None
        anew = _chain_broken(runtime, first) if after is None and pulled.cursor_reset else ()
        recorded = await record_page(runtime.ledger, runtime.key, page.events, runtime.rules, move, coverage=anew)
        pulled.add(recorded)
        if page.cursor is None or page.cursor in met:
            pulled.problem = "the feed gave a page that leads nowhere new; reading stopped there"
            break
        length = len(page.events)
        if _at_known_end(runtime, outcome.value, recorded, known):
            await _complete(runtime, Completed(known.at, first, proven_until(runtime, started)), lease, fence)
            break
        met.add(page.cursor)
        after = page.cursor
    return pulled


def _chain_broken(runtime: Runtime, first: datetime | None) -> list[dict[str, object]]:
    now = runtime.ledger.clock()
    return [broken_chain(runtime.key, first or now, now)]


@dataclass(frozen=True, slots=True)
class Completed:
    """What a poll that came to the feed's end completes: from its first event or from the old cursor, to ``until``."""

    cursor: str | None
    first: datetime | None
    until: datetime


async def _complete(runtime: Runtime, done: Completed, lease: str, fence: int) -> None:
    """Prolong what live polling proves: the feed was read to its end from where the poll before had stopped."""
    if done.first is not None:
        await note_feed_start(runtime.ledger, runtime.key, done.first)
    since = done.first
    if since is None and done.cursor is not None:
        since = await time_of_event(runtime.ledger, runtime.key, done.cursor)
    await extend_live(
        runtime.ledger,
        runtime.key,
        until=done.until,
        since=since,
        lease=lease,
        fence=fence,
    )


def _cursor_rejected(outcome: Failure, after: str | None) -> bool:
    return (
        after is not None
        and isinstance(outcome, Refused)
        and outcome.code is RefusalCode.CONFLICT
        and not isinstance(outcome, NotYet)
    )


def _at_known_end(runtime: Runtime, got: RawPage, recorded: Recorded, known: Cursor) -> bool:
    """Whether a quiet poll needs no second call: nothing new, ending at our cursor, and shorter than a full page.

    Nobody knows how long a page can be, so only pages that others followed count as full. And because even that is only
    what was seen so far, the feed itself is asked for its end every ``ASK_FOR_END`` at the latest.
    """
    if recorded.new or any(isinstance(entry, UnreadableEvent) for entry in got.page.events):
        return False
    if known.end_seen_at is None or runtime.ledger.clock() - known.end_seen_at > ASK_FOR_END:
        return False
    full = known.full_page or min(ASSUMED_PAGE, runtime.account.page_size or ASSUMED_PAGE)
    return got.page.cursor == known.at and len(got.page.events) < full
