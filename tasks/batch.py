"""A batch of one or more: run one step for some orders concurrently, each order's outcome recorded by itself.

A batch of one raises on "not yet", so that Prefect's task retries work on it and a person sees that order by name. A
batch of many never raises for an order; it returns its stragglers, and the flow resubmits those one by one.

An error of ours that one order runs into is that order's alone: the others go on, and the run says so at its end.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from ledger import LedgerUnavailable
from ledger.rows import unknown_landing
from ledger.steps import After, StepEnd, Work, begin
from models.lifecycle import EFFECTS, Step
from models.outcome import NotYet, NotYetError, OutcomeKind
from tasks.runtime import Runtime, Side

logger = logging.getLogger("crossdock")
# Seconds of a lease that are kept for writing the outcome down.
LEASE_MARGIN = 1.0
One = Callable[[Runtime, Work], Awaitable[StepEnd]]


@dataclass
class BatchResult:
    """What a batch did: where each of its orders stands now, and which of them were not reached or not landed."""

    step: str
    afters: list[After] = field(default_factory=list)
    stragglers: list[int] = field(default_factory=list)
    skipped: int = 0
    untried: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"BatchResult({self.step}: {len(self.afters)} orders, {len(self.stragglers)} not yet)"


def may_retry(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Prefect's retry condition for every step: only the outcome class decides."""
    return isinstance(state.data, (NotYetError, LedgerUnavailable))


TASK_OPTIONS: dict[str, Any] = {
    # Prefect's caching would skip a second call with equal inputs, and its results are no record of effects.
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": may_retry,
}


async def run_batch(runtime: Runtime, ids: list[int], step: Step, one: One, side: Side) -> BatchResult:
    """Run ``one`` for every order of the batch whose next step is still ``step``.

    Raises:
        NotYetError: the batch is a single order and it could not be done yet, for a reason that a retry may mend.
        LedgerUnavailable: the ledger could not take the intents; nothing was sent.
    """
    result = BatchResult(step.value)
    if side.stopped is not None:
        result.untried = ids
        return result
    works = await begin(runtime.ledger, ids, step, runtime.rules)
    result.skipped = len(ids) - len(works)
    runtime.documents.expect([work.document_id for work in works if work.document_id is not None])

    async def guarded(work: Work) -> None:
        async with runtime.flight:
            try:
                end = await _run_one(runtime, work, one, side)
            except LedgerUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - a bug that one order runs into must not stop the others
                result.problems.append(_told(work, error))
                end = _stopped_by_bug(runtime, work, error)
            after = await runtime.recorder.record(end)
        result.afters.append(after)
        if end.outcome is OutcomeKind.NOT_YET and not end.leave and not after.due_now:
            result.stragglers.append(work.id)

    ends = await asyncio.gather(*(guarded(work) for work in works), return_exceptions=True)
    for work, end in zip(works, ends, strict=True):
        # An open intent stays behind each of these; whoever comes next treats it as unknown and looks.
        if isinstance(end, LedgerUnavailable) or (end is not None and not isinstance(end, Exception)):
            raise end
        if end is not None:
            result.problems.append(_told(work, end))
    if len(ids) == 1 and result.stragglers:
        raise _not_yet(works[0], result)
    return result


async def _run_one(runtime: Runtime, work: Work, one: One, side: Side) -> StepEnd:
    if side.stopped is not None:
        return StepEnd(
            work, OutcomeKind.NOT_YET, f"not tried: {side.stopped}", due_in=runtime.wait(work.attempts), leave=True
        )
    if work.step not in EFFECTS:
        return await one(runtime, work)
    # Nothing may be sent, or still be under way, once somebody else may hold this order.
    left = runtime.ledger.lease_left() - LEASE_MARGIN
    if left <= 0:
        text = "not tried: the lease could not be prolonged in time, so another run may take this order"
        return StepEnd(work, OutcomeKind.NOT_YET, text, due_in=runtime.wait(work.attempts), leave=True)
    try:
        async with asyncio.timeout(left):
            return await one(runtime, work)
    except TimeoutError:
        text = "given up before the lease on the order ended; nobody knows how the call went"
        return StepEnd(work, OutcomeKind.UNKNOWN, text, landing=unknown_landing(work.step.value))


def _told(work: Work, error: Exception) -> str:
    """Log where a bug is, without its own words: they may hold a buyer's values."""
    name = type(error).__name__
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("order %s: %s failed with %s\n%s", work.source_order_id, work.step.value, name, place)
    return f"order {work.source_order_id}: {work.step.value} met an error of Crossdock itself ({name}); see the log"


def _stopped_by_bug(runtime: Runtime, work: Work, error: Exception) -> StepEnd:
    """Nobody knows how far a step came that ended in a bug; it is looked into, or tried again until the deadline."""
    effect = work.step in EFFECTS
    first_look = work.step in (Step.INSERT, Step.INSERT_HELD)
    return StepEnd(
        work,
        OutcomeKind.UNKNOWN if effect else OutcomeKind.NOT_YET,
        f"stopped by an error of Crossdock itself ({type(error).__name__}); the log says where",
        landing=unknown_landing(work.step.value) if effect else None,
        due_in=runtime.account.policy.probe_delays[0] if first_look else runtime.wait(work.attempts),
        leave=True,
    )


def _not_yet(work: Work, result: BatchResult) -> NotYetError:
    outcome = NotYet(f"{result.step} could not be done yet; it is tried again")
    return NotYetError(outcome, f"order {work.source_order_id}")
