"""Backfill a range of days: plan it, read what is not proven yet, record it, settle its orders, prove it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.backfill_plan import Plan, make_plan
from flows.backfill_report import Pace, Result, Shown, final_state, publish_plan, publish_result, say
from flows.glopal import tell_news
from flows.range_form import Range, When, Zone, names_of, read_range
from flows.reconcile_orders import compare_span
from flows.settle import LINGER, MOST_TASK_RUNS, Call, Settler, Tally, batch_size, through_prefect
from ledger import LedgerUnavailable
from ledger.backfills import (
    FILL_GAPS,
    REFRESH,
    Opened,
    count_under_way,
    finish_backfill,
    open_backfill,
    proven_for,
)
from ledger.coverage import feed_start
from ledger.leases import acquire_feed, count_due, feed_held_until, release_feed
from ledger.policy import count_open
from models.outcome import ConfigurationError, EffectFailed, LeaseLost, NotYet
from models.ranges import BadRange, Span, Window, gaps, windows
from models.settings import Settings
from models.time import to_text, utc_now
from tasks.backfill import record_leg, walk_leg
from tasks.ends import LONGEST_WAIT_IN_RUN
from tasks.held import Leg
from tasks.runtime import Runtime, open_runtime
from tasks.walk import MARGIN, beginning, not_shown

logger = logging.getLogger("crossdock")
# Legs are walked one task run each, so that there are never many more than these.
MOST_LEGS = 60
# How long a run may take whose range was to end now.
TAIL = timedelta(hours=2)
Mode = Literal["fill gaps", "refresh"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a backfill was asked to do."""

    mode: Mode = FILL_GAPS
    dry_run: bool = False
    batch: int | None = None
    calls_per_second: float | None = None


@flow(name="backfill", flow_run_name="backfill {start} to {end}", validate_parameters=True, persist_result=False)
async def backfill(
    start: When,
    end: When | None = None,
    zone: Zone = "UTC",
    accounts: list[str] | None = None,
    mode: Mode = "fill gaps",
    dry_run: bool = False,
    batch: Annotated[int, Field(ge=1, le=5000)] | None = None,
    calls_per_second: Annotated[float, Field(gt=0, le=1000)] | None = None,
) -> State[dict[str, Any]]:
    """Fetch the orders of a range of days, land what is not landed yet, and prove that nothing of the range is missing.

    Args:
        start: First day of the range, or its first moment. A day means its first moment in the time zone below.
        end: The day after the last one, or the moment at which the range ends: it is not part of it. Empty: until now.
            2026-03-01 to 2026-04-01 is the whole of March.
        zone: Time zone in which days and times without an offset are read, e.g. Europe/Berlin. The two instants in UTC
            are logged before anything runs.
        accounts: Names of accounts in crossdock.toml, e.g. main. Empty: all of them.
        mode: fill gaps reads only what is not proven complete yet; a range that is costs almost nothing. refresh reads
            the whole range again, and every order of it on all three sides, and mends what changed since.
        dry_run: Only plan: what was found, what would be done, how many calls and how long. Writes nothing.
        batch: At least so many orders for one task run. Empty: each by itself in a short backfill, many in a long one.
        calls_per_second: Most HTTP calls a second to either side, to leave room for others. Empty: as the account is
            configured.
    """
    settings = Settings()
    try:
        chosen = names_of(settings, accounts or [])
        wanted = read_range(start, end, zone, utc_now())
    except (BadRange, ConfigurationError) as error:
        return final_state([Result("", problems=[str(error)], refused=True)])
    await say(f"from {wanted.span.start:%Y-%m-%d %H:%M:%S} UTC to {wanted.span.end:%Y-%m-%d %H:%M:%S} UTC")
    asked = Asked(mode, dry_run, batch, calls_per_second)
    results = [await run_account(settings, name, wanted, asked) for name in chosen]
    return final_state(results)


async def run_account(settings: Settings, name: str, wanted: Range, asked: Asked, **more: Any) -> Result:  # noqa: ANN401
    """Backfill one account; what goes wrong with it is in the result, so that the others go on.

    Args:
        settings: of the installation.
        name: the account's name.
        wanted: the range.
        asked: how.
        more: goes to ``Backfill``.
    """
    limited = slowed(settings, name, asked.calls_per_second)
    try:
        async with open_runtime(limited, name, dry_run=asked.dry_run) as runtime:
            return await Backfill(runtime, wanted, asked, **more).run()
    except (ConfigurationError, LedgerUnavailable) as error:
        return Result(name, span=wanted.span, problems=[str(error)], dry_run=asked.dry_run)


def slowed(settings: Settings, name: str, calls_per_second: float | None) -> Settings:
    """The settings with both sides of an account called no faster than asked for, nor than configured."""
    if calls_per_second is None:
        return settings
    account = settings.accounts[name]
    store = settings.stores[account.store]

    def slower(limits: Any) -> Any:  # noqa: ANN401 - the same class comes back
        rate = min(calls_per_second, limits.per_second or calls_per_second)
        return limits.model_copy(update={"per_second": rate})

    accounts = {**settings.accounts, name: account.model_copy(update={"limits": slower(account.limits)})}
    stores = {**settings.stores, account.store: store.model_copy(update={"limits": slower(store.limits)})}
    return settings.model_copy(update={"accounts": accounts, "stores": stores})


@dataclass
class Backfill:
    """One account's backfill.

    Args:
        runtime: its open connections.
        wanted: the range.
        asked: how.
        call: how tasks are run.
        linger: seconds that a short wait for an order is worth at the end.
        planned: told the plan before anything is done.
        shown: told how far it is.
    """

    runtime: Runtime
    wanted: Range
    asked: Asked
    call: Call = through_prefect
    linger: float = LINGER
    planned: Callable[[Plan, bool], None] | None = None
    shown: Shown | None = None
    tally: Tally = field(default_factory=Tally)

    async def run(self) -> Result:
        """Plan, then do it leg by leg."""
        result = Result(self.runtime.name, span=self.wanted.span, tally=self.tally, dry_run=self.asked.dry_run)
        if self.runtime.provider_side.stopped:
            result.problems.append(f"the provider {self.runtime.provider_side.stopped}")
            return result
        if self.asked.dry_run:
            run = Opened(0, self.asked.mode, self.runtime.ledger.clock(), resumed=False)
            return await self._planned(result, run)
        lease = f"backfill:{self.runtime.key}"
        fence = await self._lease(lease)
        if fence is None:
            result.problems.append("another backfill of this account is running; start this one again when it is done")
            return result
        try:
            span = self.wanted.span
            run = await open_backfill(
                self.runtime.ledger, self.runtime.key, span, self.asked.mode, self.wanted.zone.key
            )
            result.resumed = run.resumed
            await self._planned(result, run, (lease, fence))
        finally:
            await release_feed(self.runtime.ledger, lease)
            await tell_news(self.runtime)
        return result

    async def _lease(self, name: str) -> int | None:
        """Take the lease on the account's backfill; one whose owner was killed is waited for."""
        ledger = self.runtime.ledger
        patience = time.monotonic() + ledger.settings.lease_seconds + 5
        ends = await feed_held_until(ledger, name)
        while (fence := await acquire_feed(ledger, name)) is None:
            held = await feed_held_until(ledger, name)
            ends = ends or held
            # Its owner prolonged it while we were waiting, so it lives.
            if (held is not None and ends is not None and held > ends) or time.monotonic() > patience:
                return None
            await asyncio.sleep(min(2.0, ledger.settings.lease_seconds / 10))
        return fence

    async def _planned(self, result: Result, run: Opened, lease: tuple[str, int] | None = None) -> Result:
        all_windows = windows(self.wanted.span, self.wanted.zone)
        proven = await proven_for(self.runtime.ledger, self.runtime.key, self.wanted.span, run)
        legs = legs_of(all_windows, [proof.span for proof in proven])
        try:
            plan = await self._plan(all_windows, legs)
            result.plan = plan
            if self.planned is not None:
                self.planned(plan, run.resumed)
            await publish_plan(plan, dry_run=self.asked.dry_run, resumed=run.resumed)
            if lease is not None:
                await self._do(result, plan, legs, run, lease)
        except EffectFailed as error:
            why = str(error).removesuffix(".")
            result.problems.append(f"the feed could not be read: {why}. Start it again: it goes on where it stopped")
            await self._keep_read(result, legs, run, lease)
            outcome = error.outcome
            if isinstance(outcome, NotYet) and (outcome.retry_after or 0.0) > LONGEST_WAIT_IN_RUN:
                self.runtime.provider_side.asked_to_wait(outcome.retry_after or 0.0, outcome.message)
        except LeaseLost as error:
            result.problems.append(str(error))
        if not self.asked.dry_run:
            await self._close(result, run)
        return result

    async def _keep_read(self, result: Result, legs: list[Leg], run: Opened, lease: tuple[str, int] | None) -> None:
        """Record what was read before the feed failed, so that the next start goes on behind it."""
        if lease is None:
            return
        for leg in legs:
            if leg.walked is not None and leg.pages is not None:
                result.new_events += (await record_leg(self.runtime, leg, run.id, lease=lease)).new

    async def _plan(self, all_windows: list[Window], legs: list[Leg]) -> Plan:
        began = utc_now()
        runtime, fill = self.runtime, self.asked.mode == FILL_GAPS
        # Once the feed's beginning is known, the days before it are not asked for again and again.
        begins = await feed_start(runtime.ledger, runtime.key) if fill else None
        for leg in legs:
            if begins is not None and leg.span.end <= begins - MARGIN:
                leg.walked, leg.pages = not_shown(leg.span, begins), []
                continue
            start, end = self.runtime.held.add(leg), to_text(leg.span.end)
            self.tally.task_runs += 1
            delays = list(self.runtime.account.policy.task_retry_delays)
            given = {"account": self.runtime.name, "start": start, "end": end, "label": leg.label}
            await self.call(walk_leg, delays, given)
            begins = beginning(leg.walked) or begins
        seconds = (utc_now() - began).total_seconds()
        plan = await make_plan(
            self.runtime, self.wanted.span, self.wanted.zone, all_windows, legs, refresh=self.asked.mode == REFRESH
        )
        plan.seconds_a_call = seconds / plan.calls_made if plan.calls_made else 0.0
        limits = self.runtime.account.limits
        plan.concurrency, plan.per_second = limits.concurrency, limits.per_second
        return plan

    async def _do(self, result: Result, plan: Plan, legs: list[Leg], run: Opened, lease: tuple[str, int]) -> None:
        pace = Pace(self.runtime.name, len(legs), plan.todo, self.shown)
        for number, leg in enumerate(legs):
            added = await record_leg(self.runtime, leg, run.id, lease=lease)
            result.new_events += added.new
            result.bad += added.bad
            result.unreadable += added.unreadable
            self.tally.parked += added.parked
            await pace.leg_done(number + 1, leg.label)
        # All of it is safe in the ledger and proven now; landing it comes after, whatever happens meanwhile.
        await self._settle(pace)
        if self.asked.mode == REFRESH:
            result.compared = await compare_span(
                self.runtime, self.wanted.span, repair=True, call=self.call, linger=self.linger
            )
        await pace.done()

    async def _settle(self, pace: Pace) -> None:
        """Land what is due: live orders first, then history."""
        due = sum(await count_due(self.runtime.ledger, self.runtime.key))
        settler = Settler(
            self.runtime,
            self.tally,
            pace.orders_done,
            most_task_runs=self.tally.task_runs + MOST_TASK_RUNS,
            linger=self.linger,
            call=self.call,
            history=None,
            batch=None if self.asked.batch is None else max(self.asked.batch, batch_size(due)),
        )
        await settler.run(None)

    async def _close(self, result: Result, run: Opened) -> None:
        runtime, span = self.runtime, self.wanted.span
        proven = await proven_for(runtime.ledger, runtime.key, span, run)
        # Where the range was to end now, nobody expects its last minutes to be proven.
        tail = span.end - MARGIN - TAIL if self.wanted.open_end else span.end
        missing = gaps(span, [proof.span for proof in proven])
        result.not_proven = [gap for gap in missing if gap.start < tail]
        result.why_not = result.plan.not_provable if result.plan else []
        result.stopped = [side.stopped for side, _ in runtime.sides() if side.stopped]
        result.buckets = await count_open(runtime.ledger, runtime.key)
        result.under_way = await count_under_way(runtime.ledger, runtime.key, span)
        if not result.problems and not result.stopped:
            await finish_backfill(runtime.ledger, run.id, str(result))
        await publish_result(result)


def legs_of(all_windows: list[Window], proven: list[Span]) -> list[Leg]:
    """What is left to be read: the gaps of each day, neighbours taken together where there are many."""
    missing = [(gap, window) for window in all_windows for gap in gaps(window.span, proven)]
    size = -(-len(missing) // MOST_LEGS)
    legs: list[Leg] = []
    for gap, window in missing:
        last = legs[-1] if legs else None
        # Many gaps are read in one go, also over what is proven between them: a bounded number of task runs.
        if last is not None and len(last.windows) < size:
            last.span = Span(last.span.start, gap.end)
            last.windows.append(window)
        else:
            legs.append(Leg(gap, [window]))
    return legs
