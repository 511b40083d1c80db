"""Walk a part of the feed a second time, by another way than live polling, and see whether the ledger has all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prefect import task

from ledger.backfills import known_orders
from ledger.coverage import coverage_row, note_feed_start
from ledger.events import record_page
from ledger.queries import known_events
from ledger.reconcile import save_judged
from models.glopal import GlopalEvent, UnreadableEvent
from models.ids import is_safe_source_id
from models.ranges import Span
from models.time import parse_instant
from tasks.batch import TASK_OPTIONS
from tasks.compare import judge_missing
from tasks.runtime import Runtime, current
from tasks.walk import Entry, Walk, walk


@dataclass
class FeedCheck:
    """What the feed had of an interval that the ledger had not.

    Attributes:
        proven: the part of the interval that is proven complete now.
        why_not: why the rest is not.
        events: events in it.
        new_events: those that the ledger lacked.
        missing: orders that the ledger lacked.
        calls: pages asked for.
        parked: orders that were parked while their events were recorded.
        bad: entries that cannot be read, in words.
    """

    proven: Span | None = None
    why_not: str = ""
    events: int = 0
    new_events: int = 0
    missing: list[str] = field(default_factory=list)
    calls: int = 0
    parked: list[int] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


@task(name="check-feed", task_run_name="check events of {label}", tags=["crossdock", "reconcile"], **TASK_OPTIONS)
async def check_feed(account: str, start: str, end: str, repair: bool, label: str) -> FeedCheck:  # noqa: ARG001
    """Compare the provider's events of an interval with the ledger's.

    Args:
        account: the account's name in the configuration.
        start: the first instant, in UTC.
        end: the instant at which it ends, in UTC.
        repair: record what the ledger lacks.
        label: its days.
    """
    return await check_span(current(), Span(parse_instant(start), parse_instant(end)), repair=repair)


async def check_span(runtime: Runtime, span: Span, *, repair: bool) -> FeedCheck:
    """Walk over ``span``; what the ledger lacks becomes a finding and, with ``repair``, is recorded.

    Raises:
        EffectFailed: the feed could not be read; what was recorded before stays.
    """
    check = FeedCheck()

    async def look(page: Sequence[Entry]) -> None:
        await _look(runtime, check, page, repair=repair)

    walked = await walk(runtime, span, look)
    check.calls, check.why_not = walked.calls, walked.why_not
    if walked.from_start and walked.begins_at is not None:
        await note_feed_start(runtime.ledger, runtime.key, walked.begins_at)
    if walked.proven is not None and (repair or not check.new_events):
        check.proven = walked.proven
        await record_page(
            runtime.ledger, runtime.key, [], runtime.rules, via="reconcile", coverage=[_proof(runtime, walked)]
        )
    elif walked.proven is not None:
        check.why_not = f"{check.new_events} of its events are not in the ledger, and nothing was to be repaired"
    return check


def _proof(runtime: Runtime, walked: Walk) -> dict[str, object]:
    assert walked.proven is not None  # noqa: S101 - checked by the caller
    return coverage_row(
        runtime.key,
        walked.proven,
        by="reconcile",
        how=walked.how,
        now=runtime.ledger.clock(),
        events=walked.events,
        pages=walked.pages,
    )


async def _look(runtime: Runtime, check: FeedCheck, inside: Sequence[Entry], *, repair: bool) -> None:
    check.bad += [f"event {entry.event_id or '(without id)'}: {entry.reason}" for entry in _unreadable(inside)]
    readable = [entry for entry in inside if isinstance(entry, GlopalEvent)]
    check.events += len(readable)
    known = await known_events(runtime.ledger, runtime.key, [entry.event_id for entry in readable])
    fresh = [entry for entry in readable if entry.event_id not in known]
    check.new_events += len(fresh)
    firsts = _first_events(readable)
    there = await known_orders(runtime.ledger, runtime.key, firsts, runtime.rules.import_on)
    missing = {name: at for name, at in firsts.items() if name not in there}
    if missing:
        check.missing += missing
        await _told(runtime, missing)
    if repair and (fresh or missing or len(readable) < len(inside)):
        got = await record_page(runtime.ledger, runtime.key, inside, runtime.rules, via="reconcile")
        check.parked += got.parked


def _unreadable(entries: Iterable[Entry]) -> list[UnreadableEvent]:
    return [entry for entry in entries if isinstance(entry, UnreadableEvent)]


def _first_events(events: Iterable[GlopalEvent]) -> dict[str, datetime | None]:
    found: dict[str, datetime | None] = {}
    for event in events:
        before = found.get(event.order_id)
        if event.order_id not in found or before is None or (event.event_at is not None and event.event_at < before):
            found[event.order_id] = event.event_at or before
    return found


async def _told(runtime: Runtime, missing: dict[str, datetime | None]) -> None:
    """Keep what provider and store say of orders that the ledger lacks, and that it lacks them."""
    askable = {name: at for name, at in missing.items() if is_safe_source_id(name)}
    judged = await judge_missing(runtime, askable)
    await save_judged(runtime.ledger, runtime.key, runtime.rules, judged, repair=False)
