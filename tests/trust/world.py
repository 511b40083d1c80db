"""The world of a trust test: real hub, real ledger, real sockets, simulated other sides, and a clock of its own.

Glopal and the store live in a process of their own; their books and the ledger's rows are what is judged.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

from sqlalchemy import func, update
from sqlmodel import col, select

from clients.limiter import forget_limiters
from flows.glopal import poll
from flows.report import RunReport, final_state, headline, rows_of, summary_of
from flows.settle import directly
from ledger import Ledger, LedgerUnavailable
from ledger.decisions import Decision, decide
from ledger.policy import count_open
from ledger.queries import event_buckets
from models.glopal import GlopalMapping
from models.ids import AccountKey
from models.lifecycle import ImportOn
from models.settings import (
    GlopalAccount,
    GlopalEndpoints,
    HttpStore,
    LedgerSettings,
    Limits,
    Policy,
    Secret,
    Settings,
)
from models.tables import FeedCursor, SourceOrder
from sandbox.running import GLOPAL_KEY, STORE_TOKEN, RunningSandbox
from tasks.runtime import open_runtime, rules_of
from tests.support import VirtualClock
from tests.trust.edges import Edges, Killed, last_breath
from tests.trust.evidence import Evidence, count, gather
from tests.trust.invariants import ALWAYS, CALM, Check, name_of
from tests.trust.sometimes import look_for
from tests.trust.tally import TALLY

ACCOUNT = "main"
KEY_ENV, TOKEN_ENV, WRONG_ENV = "TRUST_GLOPAL_KEY", "TRUST_STORE_TOKEN", "TRUST_WRONG_KEY"
ENVIRONMENT = {KEY_ENV: GLOPAL_KEY, TOKEN_ENV: STORE_TOKEN, WRONG_ENV: "GL.canary-wrong-key-00"}
CANARIES = (*ENVIRONMENT.values(), "canary-buyer.example", "+999555")
LEASE = 5.0
HOLD = 0.7
"""Seconds for which a simulated time-out keeps a call; longer than ``Options.timeout``."""
# The clock's start must lie before any deadline that a test waits for, and says nothing about the sandbox's time.
_owners = itertools.count(1)
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What a test may change about the hub's configuration."""

    timeout: float = 0.45
    import_on: ImportOn = "ready"
    page_size: int | None = None
    overlap: int = 10
    read_tries: int = 1
    max_body: int = 2 * 1024 * 1024
    retry_after_wait: float = 3.0
    concurrency: int = 16
    deadline_hours: float = 72.0
    on_failure: Literal["notify", "cancel"] = "notify"
    cancel_confirmed: bool = True
    max_cancels_per_hour: int = 50
    probe_delays: tuple[float, ...] = (5.0, 30.0, 120.0)
    backoff: tuple[float, float] = (10.0, 60.0)
    # Off: most tests want a parked order to stay where it is.
    recheck_refused: float = 0.0
    glopal_key: str = KEY_ENV
    store_token: str = TOKEN_ENV
    before_param: str = "before_event_id"
    start_at: datetime | None = None
    mapping: GlopalMapping = field(default_factory=GlopalMapping)


@dataclass
class World:
    """One case: its own ledger, an empty sandbox, its own clock."""

    sandbox: RunningSandbox
    url: str
    options: Options = field(default_factory=Options)
    clock: VirtualClock = field(default_factory=VirtualClock)
    stride: float = 15.0
    jump_hours: float = 0.0
    then: list[Options] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    reports: list[RunReport] = field(default_factory=list)
    _checker: Ledger | None = None
    _lines: dict[int, list[str]] = field(default_factory=dict)

    # ------------------------------------------------------------------ the hub

    def settings(self, options: Options | None = None, glopal_url: str | None = None) -> Settings:
        """The hub's settings, as its file would give them."""
        given = options or self.options
        limits = Limits(
            timeout=given.timeout,
            read_tries=given.read_tries,
            retry_after_wait=given.retry_after_wait,
            max_body=given.max_body,
            concurrency=given.concurrency,
        )
        policy = Policy(
            deadline_hours=given.deadline_hours,
            on_failure=given.on_failure,
            max_cancels_per_hour=given.max_cancels_per_hour,
            max_cancel_value_per_hour=Decimal(10**9),
            probe_delays=list(given.probe_delays),
            backoff_first=given.backoff[0],
            backoff_longest=given.backoff[1],
            task_retry_delays=[],
            recheck_refused=given.recheck_refused,
        )
        account = GlopalAccount(
            store_id=self.sandbox.store_id,
            base_url=glopal_url or self.sandbox.glopal_url,
            key=Secret(env=given.glopal_key),
            store="shop",
            base_currency="EUR",
            import_on=given.import_on,
            page_size=given.page_size,
            overlap=given.overlap,
            cancel_confirmed=given.cancel_confirmed,
            start_at=given.start_at,
            endpoints=GlopalEndpoints(before_param=given.before_param),
            mapping=given.mapping,
            limits=limits,
            policy=policy,
        )
        shop = HttpStore(base_url=self.sandbox.store_url, token=Secret(env=given.store_token), limits=limits)
        return Settings(
            ledger=LedgerSettings(url=self.url, lease_seconds=max(LEASE, 2 * given.timeout)),
            accounts={ACCOUNT: account},
            stores={"shop": shop},
        )

    @property
    def key(self) -> AccountKey:
        """The account's key in the ledger."""
        return AccountKey("glopal", "live", self.sandbox.store_id)

    def lease_over(self) -> None:
        """Time passes until no lease holds that is not prolonged."""
        self.clock.forward(max(LEASE, 2 * self.options.timeout) + 1)

    def reference(self, order_id: str) -> str:
        """Our reference for an order."""
        return self.key.reference(order_id)

    async def poll(
        self,
        edges: Edges | None = None,
        *,
        options: Options | None = None,
        limit: int | None = None,
        glopal_url: str | None = None,
        linger: float = 0.0,
    ) -> RunReport | None:
        """One run of a new process; None when it was killed."""
        TALLY.polls += 1
        forget_limiters()
        before = asyncio.all_tasks()
        async with open_runtime(self.settings(options, glopal_url), ACCOUNT, clock=self.clock) as runtime:
            before |= asyncio.all_tasks()
            if edges is not None:
                edges.attach(runtime)
            report = await self.mortal(poll(runtime, limit, call=directly, linger=linger), edges, before)
        if report is not None:
            self._heard(report)
        return report

    async def mortal(self, work: Awaitable[T], edges: Edges | None, before: set[asyncio.Task[Any]]) -> T | None:
        """The work of a process that may be killed at one of its edges; None when it was."""
        try:
            return await work
        except Killed:
            assert edges is not None
            TALLY.kills += 1
            if edges.broken == "after store.create":
                TALLY.saw("killed_between_insert_and_record")
            await last_breath(before)
            return None
        except LedgerUnavailable:
            # A run that could not even claim or report: it fails as a whole, loudly, and the next one goes on.
            assert edges is not None
            assert edges.mode == "locked"
            return None
        finally:
            if edges is not None and edges.broken is not None:
                when, where = edges.broken.split()
                TALLY.cells.add((where, "locked" if edges.mode == "locked" else f"killed {when}"))

    def _heard(self, report: RunReport) -> None:
        """Keep what a person would see of a run, to be searched for canaries."""
        state = final_state(report)
        self.reports.append(report)
        self.said += [str(rows_of(report)), summary_of(report), headline(report), f"{state.name} {state.message}"]
        if report.pulled is not None and report.pulled.cursor_reset:
            TALLY.saw("cursor_rejected")
        if report.pulled is not None and report.pulled.problem:
            TALLY.saw("page_repeated")
        left = report.problems or report.tally.parked or report.tally.unfinished
        assert not left or state.type.value == "FAILED", f"green, and yet it left something: {left}"

    async def decide(self, order_id: str, decision: Decision) -> None:
        """A person decides about an order."""
        async with self.checker.read() as session:
            row_id = (await session.exec(select(SourceOrder.id).where(SourceOrder.source_order_id == order_id))).one()
        rules = rules_of(self.settings().accounts[ACCOUNT])
        await decide(self.checker, row_id or 0, decision, "trust test", rules)

    async def lose_cursor(self) -> None:
        """The provider forgot the event that our cursor names."""
        async with self.checker.write() as session:
            await session.execute(update(FeedCursor).values(cursor="GONE000000000000"))

    # ------------------------------------------------------------------ time

    async def wake_at(self) -> datetime | None:
        """When the next order is due and free."""
        async with self.checker.read() as session:
            later = func.max if self.checker.is_sqlite else func.greatest
            free = func.coalesce(col(SourceOrder.lease_until), col(SourceOrder.due_at))
            due = later(col(SourceOrder.due_at), free)
            query = select(func.min(due)).where(col(SourceOrder.due_at).is_not(None))
            found: Any = (await session.exec(query)).one()
        return datetime.fromisoformat(found) if isinstance(found, str) else found

    async def calm(
        self, *, happen: bool = False, most: int = 60, faults_off: bool = False, edges: Edges | None = None
    ) -> Evidence:
        """Run until nothing is due and the feed has nothing new, then check every invariant.

        Args:
            happen: let the late things happen once all is calm, and calm down again.
            most: runs within which that has to be reached.
            faults_off: let the faults stop and the hidden events show once all is calm, and calm down again.
            edges: put around every run until they break one.
        """
        quiet = 0
        for _ in range(most):
            report = await self.poll(edges if edges is not None and edges.broken is None else None)
            if report is None:
                await self.check()
                await self._next_morning()
                continue
            wake = await self.wake_at()
            if wake is not None:
                quiet = 0
                # A little later than due, so that what is due at about the same time shares a run.
                self.clock.now = max(self.clock.now, wake + timedelta(seconds=self.stride))
                continue
            self.lease_over()
            # A run that did something may have made the provider say something.
            well = report.pulled is not None and report.pulled.new == 0 and not report.tally.claimed
            quiet = quiet + 1 if well else 0
            if quiet and faults_off:
                # The faults stop now, what was hidden shows, and the hub has to find its way without help.
                self.collect()
                self.sandbox.clear_faults()
                faults_off, quiet = False, 0
                self.sandbox.release_late()
            elif quiet and happen:
                happen = False
                quiet = 0
                self.sandbox.happen()
            elif quiet:
                return await self.check(CALM)
        seen = await self.evidence()
        rest = {
            row.source_order_id: (row.landing, row.due_at, row.attempts) for row in seen.rows.values() if row.due_at
        }
        raise AssertionError(f"L1: not calm after {most} polls: {rest}; {self.reports[-1].problems}")

    async def _next_morning(self) -> None:
        """After a kill: the lease runs out, the clock may jump, and the next runs may have trouble of their own."""
        self.lease_over()
        self.clock.forward(hours=self.jump_hours)
        for options in self.then:
            report = await self.poll(options=options)
            assert report is not None
            if options.glopal_key == WRONG_ENV:
                assert report.feed_problem, "a run with a dead key says so"
            assert not report.tally.parked, "dead credentials park nothing"
            await self.check()

    # ------------------------------------------------------------------ proof

    @property
    def checker(self) -> Ledger:
        """The checker's own connection to the ledger."""
        if self._checker is None:
            self._checker = Ledger(
                LedgerSettings(url=self.url, lease_seconds=LEASE), clock=self.clock, owner=f"checker-{next(_owners)}"
            )
        return self._checker

    async def evidence(self) -> Evidence:
        """What the books and the ledger say now."""
        return await gather(self.sandbox, self.checker, self.late)

    async def check(self, checks: Iterable[Check] = ALWAYS) -> Evidence:
        """Assert invariants over the present evidence, and that no line of the ledger was changed since the last."""
        seen = await self.evidence()
        for invariant in checks:
            invariant(seen)
            TALLY.invariants[name_of(invariant)] += 1
        self._only_grew(seen)
        await self._adds_up(seen)
        look_for(seen)
        self._no_canary(seen)
        return seen

    def _only_grew(self, seen: Evidence) -> None:
        now = {row_id: [line.hash for line in lines] for row_id, lines in seen.lines.items()}
        for row_id, before in self._lines.items():
            assert now.get(row_id, [])[: len(before)] == before, f"S9: lines of row {row_id} were changed"
        self._lines = now

    async def _adds_up(self, seen: Evidence) -> None:
        """S16, the report's own counts: events by bucket and orders by bucket add up to what the tables hold."""
        buckets = await event_buckets(self.checker, self.key)
        assert sum(buckets.values()) == await count(self.checker, "source_event"), f"S16: {buckets}"
        orders = await count_open(self.checker, self.key)
        assert sum(orders.values()) == await count(self.checker, "source_order") == len(seen.rows), f"S16: {orders}"
        TALLY.invariants["S16"] += 1

    def _no_canary(self, seen: Evidence) -> None:
        """S10 over what people read: reports, stories, reasons."""
        texts = [*self.said, *(line.detail for lines in seen.lines.values() for line in lines)]
        texts += [row.parked_reason or "" for row in seen.rows.values()] + [bad.reason for bad in seen.bad]
        texts += [event.note for event in seen.events.values()]
        buyers = [value for order_id in list(seen.glopal)[:3] for value in self._buyer(order_id)]
        for text in texts:
            found = [canary for canary in (*CANARIES, *buyers) if canary in text]
            assert not found, f"S10: {found} in {text!r}"
        TALLY.invariants["S10"] += 1

    def _buyer(self, order_id: str) -> list[str]:
        document = self.sandbox.document(order_id)
        address = document.get("shipping_address") or {}
        return [value for value in (address.get("address1"), document.get("customer", {}).get("email")) if value]

    def collect(self) -> None:
        """Take the fault plan's own count of what it did into the session's tally."""
        for books in (self.sandbox.books(), self.sandbox.store_books()):
            TALLY.injected(books["injected"])

    def with_options(self, **changes: Any) -> Options:
        """Other options for one run."""
        return replace(self.options, **changes)

    def fault(self, where: str, kind: str, **rule: Any) -> None:
        """Add nothing but this fault to both sides."""
        self.collect()
        self.sandbox.faults([{"where": where, "kind": kind, **rule}])

    async def close(self) -> None:
        """Count what the sandbox did and let go of the ledger."""
        self.collect()
        TALLY.worlds += 1
        TALLY.orders += len(self.sandbox.orders())
        if self._checker is not None:
            await self._checker.dispose()


def no_canary_logged(records: Iterable[logging.LogRecord]) -> None:
    """S10 over everything that was logged, tracebacks included."""
    for record in records:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += repr(record.exc_info[1])
        found = [canary for canary in CANARIES if canary in text]
        assert not found, f"S10: {found} was logged by {record.name}: {text[:500]}"
    TALLY.invariants["S10"] += 1
