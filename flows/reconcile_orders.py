"""Compare provider, ledger and store over a range: the feed against the events, then every order on its three sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.report import ProgressBar
from flows.settle import FOR_SINGLES, Call, Settler, Tally
from ledger.backfills import ids_of_orders
from ledger.reconcile import Saved, ids_to_compare
from models.outcome import EffectFailed
from models.ranges import Span, Window
from models.sides import Mismatch
from models.time import to_text
from tasks.check_feed import FeedCheck, check_feed
from tasks.compare import CHUNK, ChunkResult, compare_orders
from tasks.runtime import Runtime

STUCK_AFTER_HOURS = 24.0
MOST_FEED_TASKS = 40
MOST_COMPARE_TASKS = 60
# So many task runs the repairs may take, beside the stragglers one by one.
FOR_REPAIRS = 40


@dataclass
class Compared:
    """What a comparison over a range came to."""

    feed: list[FeedCheck] = field(default_factory=list)
    orders: int = 0
    agreeing: int = 0
    unread: int = 0
    pending: int = 0
    moved: int = 0
    opened: list[tuple[str, Mismatch]] = field(default_factory=list)
    still: list[tuple[str, Mismatch]] = field(default_factory=list)
    closed: int = 0
    repaired: set[int] = field(default_factory=set)
    parked: set[int] = field(default_factory=set)
    restored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def new_events(self) -> int:
        """Events of the provider that the ledger lacked."""
        return sum(check.new_events for check in self.feed)

    @property
    def not_proven(self) -> list[str]:
        """Why parts of the range are not proven complete by this run."""
        return [check.why_not for check in self.feed if check.why_not]


async def compare_span(
    runtime: Runtime,
    span: Span,
    *,
    repair: bool,
    call: Call,
    linger: float,
    days: Sequence[Window] = (),
    stuck_after_hours: float = STUCK_AFTER_HOURS,
) -> Compared:
    """Compare a range, set safe repairs going, do them, and look once more at what was repaired.

    Args:
        runtime: the account's open connections.
        span: the range.
        repair: False only reports, and writes nothing but its findings.
        call: how tasks are run.
        linger: seconds that a short wait for an order is worth.
        days: the range's days, when the feed is to be walked, too; without them only orders are compared.
        stuck_after_hours: from when on an order that is under way is a finding.
    """
    work = _Work(runtime, span, repair, call, stuck_after_hours)
    await work.feed(days)
    ids = await ids_to_compare(runtime.ledger, runtime.key, span, open_too=True)
    await work.compare(ids, first=True)
    if repair and (work.done.repaired or work.done.restored):
        await work.settle(linger)
        again = await ids_of_orders(runtime.ledger, runtime.key, work.done.restored)
        await work.compare(sorted({*work.done.repaired, *again}), first=False)
    return work.done


class _Work:
    """One comparison under way."""

    def __init__(self, runtime: Runtime, span: Span, repair: bool, call: Call, stuck_after_hours: float) -> None:
        self.runtime = runtime
        self.span = span
        self.repair = repair
        self.stuck_after_hours = stuck_after_hours
        self.done = Compared()
        self._call = call

    async def _run(self, work: Any, given: dict[str, Any]) -> Any:  # noqa: ANN401 - what the task gives
        self.done.tally.task_runs += 1
        return await self._call(work, list(self.runtime.account.policy.task_retry_delays), given)

    async def feed(self, days: Sequence[Window]) -> None:
        """Walk the feed over the range, some days at a time."""
        size = max(1, -(-len(days) // MOST_FEED_TASKS))
        for start in range(0, len(days), size):
            part = days[start : start + size]
            label = str(part[0].day) if len(part) == 1 else f"{part[0].day} to {part[-1].day}"
            given = {
                "account": self.runtime.name,
                "start": to_text(part[0].span.start),
                "end": to_text(part[-1].span.end),
                "repair": self.repair,
                "label": label,
            }
            try:
                check: FeedCheck = await self._run(check_feed, given)
            except EffectFailed as error:
                # The orders that are known can be compared all the same.
                self.done.problems.append(f"the feed of {label} could not be read: {error}")
                continue
            self.done.feed.append(check)
            self.done.tally.parked += check.parked
            self.done.restored += check.missing if self.repair else []

    async def compare(self, ids: Sequence[int], *, first: bool) -> None:
        """Compare orders in as few task runs as keep the chunks whole."""
        size = max(CHUNK, -(-len(ids) // MOST_COMPARE_TASKS))
        progress = ProgressBar(f"compare-{self.runtime.name}", least=2 * CHUNK)
        for start in range(0, len(ids), size):
            part = list(ids[start : start + size])
            given = {
                "order_ids": part,
                "repair": self.repair,
                "stuck_after_hours": self.stuck_after_hours,
                "label": f"{len(part)} orders",
            }
            result: ChunkResult = await self._run(compare_orders, given)
            self._add(result, first=first)
            await progress(start + len(part), len(ids))

    def _add(self, result: ChunkResult, *, first: bool) -> None:
        done, saved = self.done, result.saved
        done.closed += saved.closed
        done.parked.update(saved.parked)
        done.problems += [text for text in result.strange if text not in done.problems]
        done.opened += saved.opened
        if first:
            done.orders += result.compared
            done.agreeing += saved.agreeing
            done.unread += result.unread
            done.pending += result.pending
            done.moved += len(saved.moved)
            done.still += saved.still
            done.repaired.update(saved.repaired)
        else:
            # Looked at a second time: an order that agreed already is not counted again.
            done.agreeing += saved.newly
        # Prefect keeps each task's result until the flow run ends; nobody reads these again.
        result.saved = Saved()

    async def settle(self, linger: float) -> None:
        """Do what the repairs made due."""
        tally = self.done.tally
        most = tally.task_runs + FOR_REPAIRS + FOR_SINGLES
        await Settler(
            self.runtime,
            tally,
            ProgressBar(f"repair-{self.runtime.name}"),
            most_task_runs=most,
            linger=linger,
            call=self._call,
            history=None,
        ).run(None)
