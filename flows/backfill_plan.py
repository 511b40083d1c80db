"""What a backfill is going to do, day by day, before it does anything: counted from the feed and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flows.report import cell
from ledger.backfills import Known, event_times, known_orders, orders_of
from ledger.queries import known_events
from models.glopal import GlopalEvent
from models.ids import is_safe_source_id
from models.lifecycle import Landing, OrderView, SourceStatus, Step, merge_status, next_step
from models.ranges import Span, Window, day_of, gaps
from tasks.held import Leg
from tasks.runtime import Runtime
from tasks.walk import Entry

# Calls that an order still costs, by what is to be done with it: read, create, accept and so on.
_CALLS = {"to insert": 3, "to accept": 1, "to cancel": 1, "to look into": 2}
COLUMNS = (
    "events",
    "new events",
    "orders",
    "settled",
    "to insert",
    "to accept",
    "to cancel",
    "to look into",
    "waiting",
    "parked",
    "changed since",
    "left alone",
    "impossible",
)
_BY_STEP = {
    Step.FETCH: "to insert",
    Step.INSERT: "to insert",
    Step.INSERT_HELD: "to insert",
    Step.RELEASE: "to accept",
    Step.ACCEPT: "to accept",
    Step.CANCEL_STORE: "to cancel",
    Step.CANCEL_SOURCE: "to cancel",
    Step.PROBE_INSERT: "to look into",
    Step.CHECK_ACCEPT: "to look into",
    Step.CHECK_SOURCE_CANCEL: "to look into",
    Step.ADOPT: "to look into",
}


@dataclass
class DayPlan:
    """One day of the range."""

    day: date
    proven: bool
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, column: str, number: int = 1) -> None:
        """Count something that was found on this day."""
        self.counts[column] = self.counts.get(column, 0) + number


@dataclass
class Plan:
    """What was found in a range, and what follows from it."""

    account: str
    span: Span
    days: dict[date, DayPlan]
    impossible: list[str] = field(default_factory=list)
    not_provable: list[str] = field(default_factory=list)
    calls_made: int = 0
    refresh: bool = False
    seconds_a_call: float = 0.0
    per_second: float | None = None
    concurrency: int = 1

    def total(self, column: str) -> int:
        """The sum over all days."""
        return sum(day.counts.get(column, 0) for day in self.days.values())

    @property
    def todo(self) -> int:
        """Orders that something is to be done with."""
        return sum(self.total(column) for column in _CALLS)

    @property
    def calls(self) -> int:
        """HTTP calls that are expected beyond those made for this plan."""
        expected = sum(self.total(column) * calls for column, calls in _CALLS.items())
        return expected + (2 * self.total("orders") if self.refresh else 0)

    @property
    def seconds(self) -> float:
        """How long these calls may take, from how long the plan's own calls took."""
        each = self.seconds_a_call / self.concurrency
        return self.calls * max(each, 1 / self.per_second if self.per_second else 0.0)

    def __str__(self) -> str:
        words = [f"{self.total('events')} events ({self.total('new events')} new)", f"{self.total('orders')} orders"]
        words += [f"{self.total(column)} {column}" for column in COLUMNS[3:] if self.total(column)]
        proven = sum(day.proven for day in self.days.values())
        if proven:
            words.append(f"{proven} of {len(self.days)} days were proven complete before and are not read again")
        return ", ".join(words)


async def make_plan(
    runtime: Runtime, span: Span, zone: ZoneInfo, windows: Sequence[Window], legs: Sequence[Leg], *, refresh: bool
) -> Plan:
    """Count what the walked legs found against the ledger. Writes nothing."""
    touched = {window.day for leg in legs for window in leg.windows}
    days = {window.day: DayPlan(window.day, window.day not in touched) for window in windows}
    plan = Plan(runtime.name, span, days, refresh=refresh)
    found = _Found(runtime, zone, plan)
    for leg in legs:
        if leg.walked is None:
            continue
        plan.calls_made += leg.walked.calls
        if leg.walked.why_not:
            plan.not_provable.append(f"{leg.label}: {leg.walked.why_not}")
        if leg.pages is None:
            # Too many to keep: the walk's own counts are all that is known before the run.
            plan.days[leg.windows[0].day].count("events", leg.walked.events)
            plan.impossible.append(f"{leg.label}: too many events to plan in detail; they are read again in the run")
        for page in leg.pages or []:
            await found.page(page, leg.span)
    for known in gaps(span, [leg.span for leg in legs]):
        await found.recorded(known)
    await found.judge()
    return plan


class _Found:
    """Collects orders over all pages; judges them once all of their events are in."""

    def __init__(self, runtime: Runtime, zone: ZoneInfo, plan: Plan) -> None:
        self._runtime = runtime
        self._zone = zone
        self._plan = plan
        self._status: dict[str, SourceStatus] = {}
        self._day: dict[str, date] = {}
        self._at: dict[str, datetime] = {}
        self._news: set[str] = set()
        self._seen: set[str] = set()

    async def page(self, page: Iterable[Entry], span: Span) -> None:
        """Take one page's events in; those outside of the range are only passed on the way."""
        inside = [
            entry
            for entry in page
            if isinstance(entry, GlopalEvent)
            and entry.event_at is not None
            and span.contains(entry.event_at)
            and entry.event_id not in self._seen
        ]
        self._plan.impossible += [
            f"event {entry.event_id or '(without id)'} cannot be read: {entry.reason}"
            for entry in page
            if not isinstance(entry, GlopalEvent)
        ]
        known = await known_events(self._runtime.ledger, self._runtime.key, [entry.event_id for entry in inside])
        for entry in inside:
            assert entry.event_at is not None  # noqa: S101 - chosen above
            self._seen.add(entry.event_id)
            day = day_of(entry.event_at, self._zone)
            self._day[entry.order_id] = min(day, self._day.get(entry.order_id, day))
            self._at[entry.order_id] = max(entry.event_at, self._at.get(entry.order_id, entry.event_at))
            self._plan.days[day].count("events")
            claimed = SourceStatus(entry.claims) if entry.claims else SourceStatus.UNSEEN
            self._status[entry.order_id] = merge_status(self._status.get(entry.order_id, SourceStatus.UNSEEN), claimed)
            if entry.event_id not in known:
                self._plan.days[day].count("new events")
                self._news.add(entry.order_id)

    async def recorded(self, span: Span) -> None:
        """Take in what the ledger has of an interval that is proven and therefore not read."""
        for at in await event_times(self._runtime.ledger, self._runtime.key, span):
            self._plan.days[day_of(at, self._zone)].count("events")
        for order, at in await orders_of(self._runtime.ledger, self._runtime.key, span):
            if order not in self._status:
                self._status[order] = SourceStatus.UNSEEN
                self._day[order], self._at[order] = day_of(at, self._zone), at

    async def judge(self) -> None:
        """Put every order into exactly one column, besides those that changed since."""
        import_on = self._runtime.rules.import_on
        known = await known_orders(self._runtime.ledger, self._runtime.key, self._status, import_on)
        for order, status in self._status.items():
            day = self._plan.days[self._day[order]]
            day.count("orders")
            day.count(self._column(order, status, known.get(order)))
            had = known.get(order)
            if (
                had is not None
                and order in self._news
                and merge_status(had.view.source_status, status) is not (had.view.source_status)
            ):
                day.count("changed since")

    def _column(self, order: str, status: SourceStatus, known: Known | None) -> str:
        if not is_safe_source_id(order):
            self._plan.impossible.append(
                "an order id has characters that no order id has; it is parked, never asked for"
            )
            return "impossible"
        if known is None:
            start_at = self._runtime.rules.start_at
            if start_at is not None and self._at[order] < start_at:
                return "left alone"
            view = OrderView(status, Landing.SEEN, import_on=self._runtime.rules.import_on)
        else:
            if known.closed:
                return "left alone"
            view = _with_status(known.view, merge_status(known.view.source_status, status))
            if known.settled and next_step(view) is None:
                return "settled"
            if view.parked:
                return "parked"
        step = next_step(view)
        if step is None:
            return "waiting"
        # Closing an order that was cancelled before anything was done costs no call, or one look at the store.
        return _BY_STEP.get(step, "settled")


def _with_status(view: OrderView, status: SourceStatus) -> OrderView:
    parked = view.parked and status is view.source_status
    return OrderView(
        source_status=status,
        landing=view.landing,
        document_status=view.document_status,
        parked=parked,
        cancel_wanted=view.cancel_wanted,
        import_on=view.import_on,
        closed=view.closed,
    )


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """The plan's table: a line for each day, and the total."""
    shown = [column for column in COLUMNS if column in COLUMNS[:4] or plan.total(column)]
    rows: list[dict[str, Any]] = [
        {
            "day": str(day.day),
            "read": "proven before" if day.proven else "now",
            **{column: day.counts.get(column, 0) for column in shown},
        }
        for day in plan.days.values()
    ]
    rows.append({"day": "total", "read": "", **{column: plan.total(column) for column in shown}})
    return rows


def words_of(plan: Plan, *, dry_run: bool) -> str:
    """The plan as markdown."""
    lines = [
        f"# {'Dry run' if dry_run else 'Plan'} for {plan.account}",
        "",
        f"From **{plan.span.start:%Y-%m-%d %H:%M:%S} UTC** up to **{plan.span.end:%Y-%m-%d %H:%M:%S} UTC**.",
        "",
        f"{plan}.",
        "",
        f"{plan.calls_made} calls were made to plan this; about {plan.calls} more are expected, about "
        f"{duration(plan.seconds)}." + (" Nothing was written." if dry_run else ""),
    ]
    if plan.not_provable:
        lines += ["", "## What cannot be proven complete", "", *(f"- {cell(text)}" for text in plan.not_provable[:50])]
    if plan.impossible:
        lines += ["", "## What cannot be done, and why", "", *(f"- {cell(text)}" for text in plan.impossible[:50])]
        if len(plan.impossible) > 50:
            lines.append(f"- and {len(plan.impossible) - 50} more")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
