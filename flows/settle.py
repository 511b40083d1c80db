"""Settle what is due: claim orders, run their steps in batches of one or more, and bound the task runs of a run.

A quiet run gives every order its own task runs, named after it. A busy one grows the batches, so that the number of
task runs stays bounded however many orders there are: Prefect's server records a limited number of them a second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prefect import Task

from ledger import LedgerUnavailable
from ledger.leases import Claimed, claim_due, count_due, release_orders
from ledger.queries import next_due
from ledger.steps import After
from models.lifecycle import LIVE_STORE_ORDER, Step
from models.outcome import NotYetError
from tasks.accept import accept_orders
from tasks.batch import BatchResult
from tasks.cancel import cancel_orders
from tasks.fetch import fetch_orders
from tasks.insert import insert_orders
from tasks.runtime import Runtime

MOST_TASK_RUNS = 150
# Counted beside the steps: creates that nobody answered and that had their effect.
FOUND = "found"
# Up to so many orders are shown one by one.
QUIET = 30
# A busy run is cut into about so many batches, each with three steps in the usual case.
BATCHES = 28
PARALLEL_BATCHES = 2
# Task runs kept free for resubmitting stragglers one by one.
FOR_SINGLES = 30
CLAIM_AT_ONCE = 2000
# A poll settles so many orders of history beside the live ones; the rest is left to the backfill that brought them.
HISTORY_SHARE = 500
# An order that is due again within this many seconds is waited for rather than left to the next run.
LINGER = 10.0

_TASKS: dict[Step, Task[Any, Any]] = {
    Step.FETCH: fetch_orders,
    Step.INSERT: insert_orders,
    Step.INSERT_HELD: insert_orders,
    Step.RELEASE: insert_orders,
    Step.PROBE_INSERT: insert_orders,
    Step.ADOPT: insert_orders,
    Step.ACCEPT: accept_orders,
    Step.CHECK_ACCEPT: accept_orders,
    Step.CANCEL_STORE: cancel_orders,
    Step.CANCEL_SOURCE: cancel_orders,
    Step.CHECK_SOURCE_CANCEL: cancel_orders,
    Step.CLOSE: cancel_orders,
}


@dataclass
class Tally:
    """What a run did, counted by step, and what it left undone."""

    done: Counter[str] = field(default_factory=Counter)
    claimed: int = 0
    parked: list[int] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    lost: int = 0
    left: int = 0
    task_runs: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def unfinished(self) -> int:
        """Orders that this run could not bring to their next rest."""
        return len(self.waiting | self.unknown) + self.left


Progress = Callable[[int, int], Awaitable[None]]
# How a task is run: through Prefect with these retry delays, or directly.
Call = Callable[[Task[Any, Any], list[float], dict[str, Any]], Awaitable[Any]]


async def through_prefect(work: Task[Any, Any], delays: list[float], parameters: dict[str, Any]) -> Any:  # noqa: ANN401
    """Run a step as a Prefect task run, with Prefect's own retries."""
    return await work.with_options(retries=len(delays), retry_delay_seconds=delays or [0.0])(**parameters)


async def directly(work: Task[Any, Any], delays: list[float], parameters: dict[str, Any]) -> Any:  # noqa: ANN401, ARG001
    """Run a step without Prefect and without retries within the run: simulations, and rescue work with Prefect down."""
    return await work.fn(**parameters)


async def unaided(work: Task[Any, Any], delays: list[float], parameters: dict[str, Any]) -> Any:  # noqa: ANN401
    """Run a step without Prefect, and try it again as Prefect would: for commands, which work with Prefect down."""
    for delay in delays:
        try:
            return await work.fn(**parameters)
        except (NotYetError, LedgerUnavailable):
            await asyncio.sleep(delay)
    return await work.fn(**parameters)


@dataclass
class _Order:
    id: int
    label: str
    step: Step


class Settler:
    """One run's settling.

    Args:
        runtime: the account's open connections.
        tally: filled while working.
        progress: told how many of how many orders came to rest.
        most_task_runs: the bound on task runs, those of the caller included.
        linger: seconds that a short wait is worth within this run.
        call: how tasks are run.
        history: how many orders of history are taken after the live ones; None for all of them.
        batch: orders for a task; None for as few as the bound on task runs allows.
    """

    def __init__(
        self,
        runtime: Runtime,
        tally: Tally,
        progress: Progress,
        *,
        most_task_runs: int = MOST_TASK_RUNS,
        linger: float = LINGER,
        call: Call = through_prefect,
        history: int | None = HISTORY_SHARE,
        batch: int | None = None,
    ) -> None:
        self.runtime = runtime
        self.tally = tally
        self.progress = progress
        self.most = most_task_runs
        self.linger = linger
        self._call = call
        self._history = history
        self._batch = batch
        self._names: dict[int, str] = {}
        self._stragglers: list[_Order] = []
        self._rested = 0

    async def run(self, limit: int | None) -> None:
        """Settle up to ``limit`` due orders; all of them without one."""
        live, history = await count_due(self.runtime.ledger, self.runtime.key)
        due = live + (history if self._history is None else min(history, self._history))
        left = due if limit is None else min(due, limit)
        total, size = left, self._batch or batch_size(left)
        try:
            while left > 0 and not self._spent(FOR_SINGLES):
                claimed = await claim_due(
                    self.runtime.ledger,
                    self.runtime.key,
                    limit=min(left, CLAIM_AT_ONCE),
                    import_on=self.runtime.rules.import_on,
                    first_probe=self.runtime.rules.first_probe,
                )
                if not claimed:
                    # Another run has the rest.
                    left = 0
                    break
                left -= len(claimed)
                await self._claimed(claimed, size, total)
            self.tally.left += left
            await self._singles()
            if limit is None or limit > total:
                await self._linger()
        finally:
            await release_orders(self.runtime.ledger)

    async def _claimed(self, claimed: list[Claimed], size: int, total: int) -> None:
        self.tally.claimed += len(claimed)
        self._names.update({c.id: c.source_order_id for c in claimed})
        orders = [_Order(c.id, c.source_order_id, c.step) for c in claimed]
        # Orders at the same step stand together, so that a batch needs few tasks.
        orders.sort(key=lambda order: order.step.value)
        batches = [orders[i : i + size] for i in range(0, len(orders), size)]
        waiting = iter(batches)

        async def work() -> None:
            for batch in waiting:
                await self._pipeline(batch)
                self._rested += len(batch)
                await self.progress(min(self._rested, total), total)

        await asyncio.gather(*(work() for _ in range(len(batches) if size == 1 else PARALLEL_BATCHES)))

    async def _singles(self) -> None:
        """Resubmit stragglers one by one, so that Prefect's task retries work on each and it is seen by name."""
        orders, self._stragglers = self._stragglers, []
        room = max(0, self.most - self.tally.task_runs) // 3
        await asyncio.gather(*(self._pipeline([order]) for order in orders[:room]))

    async def _linger(self) -> None:
        """Wait for orders that are due again in a moment, e.g. the first search after a create that timed out."""
        end = self.runtime.ledger.clock() + timedelta(seconds=self.linger)
        while not self._spent(0):
            now = self.runtime.ledger.clock()
            live_only = self._history is not None
            within = max(end - now, timedelta(0))
            due = await next_due(self.runtime.ledger, self.runtime.key, within, live_only=live_only)
            if due is None:
                return
            await asyncio.sleep(max(0.05, (due - now).total_seconds()))
            claimed = await claim_due(
                self.runtime.ledger,
                self.runtime.key,
                limit=max(1, (self.most - self.tally.task_runs) // 3),
                import_on=self.runtime.rules.import_on,
                first_probe=self.runtime.rules.first_probe,
                live_only=live_only,
            )
            for order in claimed:
                self.tally.waiting.discard(order.id)
                self.tally.unknown.discard(order.id)
            self._names.update({c.id: c.source_order_id for c in claimed})
            size = 1 if len(claimed) <= QUIET else len(claimed)
            orders = [_Order(c.id, c.source_order_id, c.step) for c in claimed]
            await asyncio.gather(*(self._pipeline(orders[i : i + size]) for i in range(0, len(orders), size)))
            if self._sides_stopped():
                return

    async def _pipeline(self, orders: list[_Order]) -> None:
        """Take a batch from step to step until each of its orders rests."""
        while orders:
            following: list[_Order] = []
            for step, group in _by_step(orders):
                if self._spent(0):
                    self.tally.left += len(group)
                    continue
                result = await self._submit(step, group)
                if result is not None:
                    following += self._follow(group, result)
            orders = following

    async def _submit(self, step: Step, group: list[_Order]) -> BatchResult | None:
        self.tally.task_runs += 1
        label = group[0].label if len(group) == 1 else f"{len(group)} orders"
        ids = [order.id for order in group]
        try:
            result: BatchResult = await self._call(
                _TASKS[step],
                list(self.runtime.account.policy.task_retry_delays),
                {"order_ids": ids, "step": step.value, "label": label},
            )
        except NotYetError:
            self.tally.waiting.update(ids)
            return None
        except LedgerUnavailable as error:
            self.tally.waiting.update(ids)
            self.tally.problems.append(str(error))
            return None
        return result

    def _follow(self, group: list[_Order], result: BatchResult) -> list[_Order]:
        """Count a batch's ends and pick the orders that have another step due now."""
        step, following = group[0].step, []
        self.tally.problems += result.problems
        self.tally.waiting.update(result.untried)
        single = len(group) == 1
        for after in result.afters:
            self._count(step, after)
            if after.due_now and after.next_step is not None and not after.lost:
                following.append(_Order(after.id, self._names[after.id], after.next_step))
            elif after.id in result.stragglers and not single:
                self._stragglers.append(_Order(after.id, self._names[after.id], after.next_step or step))
        self.tally.left += 0 if result.afters or single else result.skipped
        # Prefect keeps each task's result until the flow run ends; nobody reads these again.
        result.afters.clear()
        return following

    def _count(self, step: Step, after: After) -> None:
        for bucket in (self.tally.waiting, self.tally.unknown):
            bucket.discard(after.id)
        if after.lost:
            self.tally.lost += 1
        elif after.newly_parked:
            self.tally.parked.append(after.id)
        elif after.outcome is not None and after.outcome.value == "done":
            self.tally.done[step.value] += 1
            if step is Step.PROBE_INSERT and after.landing in LIVE_STORE_ORDER:
                self.tally.done[FOUND] += 1
        elif after.outcome is not None and after.outcome.value == "unknown" and not after.due_now:
            self.tally.unknown.add(after.id)
        elif after.outcome is not None and after.outcome.value == "not_yet" and not after.due_now:
            self.tally.waiting.add(after.id)

    def _spent(self, reserve: int) -> bool:
        return self.tally.task_runs >= self.most - reserve or self._sides_stopped()

    def _sides_stopped(self) -> bool:
        return self.runtime.provider_side.stopped is not None and self.runtime.store_side.stopped is not None


def batch_size(due: int) -> int:
    """How many orders a task takes: one in a quiet run, more in a busy one."""
    return 1 if due <= QUIET else -(-due // BATCHES)


def _by_step(orders: Iterable[_Order]) -> list[tuple[Step, list[_Order]]]:
    groups: dict[Step, list[_Order]] = {}
    for order in orders:
        groups.setdefault(order.step, []).append(order)
    return list(groups.items())
