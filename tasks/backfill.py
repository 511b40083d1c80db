"""Read one part of a backfill's range, keep it until the plan was shown, then record it with what it proves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from prefect import task

from ledger.coverage import coverage_row, note_feed_start
from ledger.engine import LedgerUnavailable
from ledger.events import Recorded, record_page
from models.ranges import Span
from models.time import parse_instant
from tasks.batch import TASK_OPTIONS
from tasks.held import MOST_HELD, Leg
from tasks.runtime import Runtime, current
from tasks.walk import Entry, Walk, walk

LEDGER_WAITS = (0.2, 1.0)


@task(name="walk-feed", task_run_name="read events of {label}", tags=["crossdock", "backfill"], **TASK_OPTIONS)
async def walk_leg(account: str, start: str, end: str, label: str) -> str:  # noqa: ARG001 - shown in the UI
    """Read the events of one part of the range; nothing is written.

    Args:
        account: the account's name in the configuration.
        start: the part's first instant, in UTC.
        end: the instant at which it ends, in UTC.
        label: its days.
    """
    runtime = current()
    leg = runtime.held.legs[start]
    assert leg.span == Span(parse_instant(start), parse_instant(end))  # noqa: S101 - both come from the same leg
    await read_leg(runtime, leg)
    assert leg.walked is not None  # noqa: S101 - just read
    return f"{leg.walked.events} events in {leg.walked.pages} pages, {leg.walked.calls} calls"


async def read_leg(runtime: Runtime, leg: Leg) -> None:
    """Walk over a leg and keep its pages, if there is room.

    Raises:
        EffectFailed: the feed could not be read.
    """
    held, kept = runtime.held, 0
    # A second try of the task begins anew.
    leg.walked = None
    pages: list[Sequence[Entry]] | None = []

    async def keep(page: Sequence[Entry]) -> None:
        nonlocal kept, pages
        kept += len(page)
        if held.events + kept > MOST_HELD:
            pages = None
        elif pages is not None:
            pages.append(page)

    leg.walked = await walk(runtime, leg.span, keep)
    leg.pages = pages
    held.events += 0 if leg.pages is None else kept


@dataclass(slots=True)
class Added:
    """What recording a leg brought."""

    new: int = 0
    known: int = 0
    unreadable: int = 0
    bad: list[str] = field(default_factory=list)
    parked: list[int] = field(default_factory=list)
    proven: Span | None = None


async def record_leg(runtime: Runtime, leg: Leg, run_id: int | None, *, lease: tuple[str, int]) -> Added:
    """Record a leg's pages, the last of them together with a proof for each of its days. The live cursor stays.

    Args:
        runtime: the account's open connections.
        leg: read before; its pages are let go of afterwards.
        run_id: the backfill that this is part of.
        lease: the backfill lease's name and fencing number.

    Raises:
        EffectFailed: pages that could not be kept had to be read again, and could not be.
        LeaseLost: another backfill of this account goes on instead.
    """
    added = Added()

    async def record(page: Sequence[Entry], proofs: Sequence[dict[str, object]] = ()) -> None:
        got = await _patiently(
            lambda: record_page(
                runtime.ledger, runtime.key, page, runtime.rules, via="backfill", coverage=proofs, lease=lease
            )
        )
        added.new += got.new
        added.known += got.known
        added.unreadable += got.unreadable
        added.bad += got.bad
        added.parked += got.parked

    if leg.pages is None:
        leg.walked = await walk(runtime, leg.span, record)
        leg.pages = []
    assert leg.walked is not None  # noqa: S101 - walked before, or just now
    for page in leg.pages[:-1]:
        await record(page)
    await record(leg.pages[-1] if leg.pages else [], _proofs(runtime, leg, leg.walked, run_id))
    if leg.walked.from_start and leg.walked.begins_at is not None:
        await note_feed_start(runtime.ledger, runtime.key, leg.walked.begins_at)
    runtime.held.events -= sum(len(page) for page in leg.pages)
    leg.pages = []
    added.proven = leg.walked.proven
    return added


async def _patiently(write: Callable[[], Awaitable[Recorded]]) -> Recorded:
    """Write once more when the ledger was busy: a live poll may hold what this page needs."""
    for wait in LEDGER_WAITS:
        try:
            return await write()
        except LedgerUnavailable:
            await asyncio.sleep(wait)
    return await write()


def _proofs(runtime: Runtime, leg: Leg, walked: Walk, run_id: int | None) -> list[dict[str, object]]:
    """One row for each day, cut to what is proven of it."""
    rows: list[dict[str, object]] = []
    if walked.proven is None:
        return rows
    for window in leg.windows:
        part = window.span.overlap(walked.proven)
        if part is not None:
            rows.append(
                coverage_row(
                    runtime.key,
                    part,
                    by="backfill",
                    how=walked.how,
                    now=runtime.ledger.clock(),
                    events=walked.events,
                    pages=walked.pages,
                    run_id=run_id,
                )
            )
    return rows
