"""Write orders into the store, release held ones, and find out what became of a create that nobody answered."""

from __future__ import annotations

from dataclasses import replace

from prefect import task

from ledger.steps import StepEnd, Work
from models.backoff import next_probe
from models.document import OrderDocument
from models.ids import Reference, StoreOrderId
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import Done, NotYet, OutcomeKind, RefusalCode, Refused
from tasks.batch import TASK_OPTIONS, BatchResult, One, run_batch
from tasks.ends import found_in_store, not_yet, refused, still_unknown
from tasks.runtime import Runtime, current


@task(name="insert-orders", task_run_name="{step} {label}", tags=["crossdock", "insert"], **TASK_OPTIONS)
async def insert_orders(order_ids: list[int], step: str, label: str) -> BatchResult:  # noqa: ARG001 - names the run
    """Insert orders into the store, or settle what an earlier insert left open.

    Args:
        order_ids: the ledger's ids, one or more.
        step: insert, insert_held, release, probe_insert or adopt.
        label: what people read: the order's id, or how many orders.
    """
    runtime = current()
    return await run_batch(runtime, order_ids, Step(step), STEPS[Step(step)], runtime.store_side)


async def document_of(runtime: Runtime, work: Work) -> OrderDocument:
    """The canonical order that was mapped last."""
    text = await runtime.documents.get(work.document_id) if work.document_id is not None else None
    if text is None:
        raise AssertionError(f"order {work.source_order_id} came to the store without a mapped document")
    return OrderDocument.model_validate_json(text)


async def insert_one(runtime: Runtime, work: Work) -> StepEnd:
    """Create one store order. The intent is on disk already."""
    side = runtime.store_side
    document = await document_of(runtime, work)
    outcome = await runtime.store.create(document, hold=work.step is Step.INSERT_HELD)
    if isinstance(outcome, Done):
        side.well()
        how = "the store had it already" if outcome.already else "created"
        end = found_in_store(work, outcome.value, document, f"{how}: store order {outcome.value.number}")
        return _hold_checked(work, end)
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused):
        if outcome.code is RefusalCode.REFERENCE_CONFLICT:
            return await _look_at_conflict(runtime, work, document, outcome)
        return refused(runtime, work, side, outcome, "insert")
    side.not_yet(outcome.message)
    return StepEnd(
        work,
        OutcomeKind.UNKNOWN,
        outcome.message,
        landing=Landing.INSERT_UNKNOWN,
        due_in=runtime.account.policy.probe_delays[0],
    )


async def _look_at_conflict(runtime: Runtime, work: Work, document: OrderDocument, refusal: Refused) -> StepEnd:
    """The store has another order with our reference: its ids are taken, so that it is not forgotten."""
    found = await runtime.store.find(Reference(work.reference))
    if isinstance(found, Done) and found.value is not None:
        end = found_in_store(work, found.value, document, refusal.message)
        return end if end.park is not None else _hold_checked(work, end)
    delay = runtime.account.policy.probe_delays[0]
    return StepEnd(work, OutcomeKind.UNKNOWN, refusal.message, landing=Landing.INSERT_UNKNOWN, due_in=delay)


def _hold_checked(work: Work, end: StepEnd) -> StepEnd:
    """A store that ignores the hold would ship an order that is not paid yet; a person is told."""
    held_back = work.source_status is SourceStatus.RECEIVED
    if not held_back or end.landing is not Landing.INSERTED or end.park is not None:
        return end
    reason = (
        f"the store ignored the hold: store order {end.fields['store_order_number']} is open although Glopal has not "
        "confirmed the payment yet; don't ship it before the order is READY"
    )
    return replace(end, park=("insert.hold_ignored", reason))


async def probe_one(runtime: Runtime, work: Work) -> StepEnd:
    """Search the store for our reference; only several spaced misses prove that the create had no effect."""
    side = runtime.store_side
    outcome = await runtime.store.find(Reference(work.reference))
    if not isinstance(outcome, Done):
        if isinstance(outcome, Refused) and outcome.code is not RefusalCode.CREDENTIALS:
            end = still_unknown(runtime, work, side, outcome)
            return StepEnd(
                work, end.outcome, end.detail, due_in=end.due_in, leave=True, park=("probe.conflict", outcome.message)
            )
        return still_unknown(runtime, work, side, outcome)
    side.well()
    there = outcome.value
    if there is None and work.store_order_id is not None:
        # It was there once. A search that comes up empty is not enough to call it gone.
        read = await runtime.store.read(StoreOrderId(work.store_order_id))
        if not isinstance(read, Done) and not (isinstance(read, Refused) and read.code is RefusalCode.NOT_FOUND):
            return still_unknown(runtime, work, side, read)
        there = read.value if isinstance(read, Done) else None
    if there is not None:
        document = await document_of(runtime, work)
        detail = f"found in the store: store order {there.number}"
        return _hold_checked(work, found_in_store(work, there, document, detail))
    return _missed(runtime, work)


def _missed(runtime: Runtime, work: Work) -> StepEnd:
    delays = runtime.account.policy.probe_delays
    missed = work.probes_missed + 1
    now = runtime.ledger.clock()
    wait = next_probe(delays, missed, work.unknown_since or now, now)
    text = f"looked for {work.reference} in the store: not there ({missed} of {len(delays)} looks)"
    if wait is not None:
        fields = {"probes_missed": missed}
        return StepEnd(work, OutcomeKind.UNKNOWN, text, due_in=wait, note_kind="probe", leave=True, fields=fields)
    return StepEnd(
        work,
        OutcomeKind.DONE,
        f"{text}; the create had no effect and may be done again",
        landing=Landing.FETCHED,
        note_kind="probe",
        fields={"store_order_id": None, "store_order_number": None, "store_state": None},
    )


async def release_one(runtime: Runtime, work: Work) -> StepEnd:
    """Take the hold off. Idempotent by the store protocol, so an unclear answer is simply asked again."""
    side = runtime.store_side
    outcome = await runtime.store.release(StoreOrderId(work.store_order_id or ""))
    if isinstance(outcome, Done):
        side.well()
        return StepEnd(
            work,
            OutcomeKind.DONE,
            f"released: store order {outcome.value.number}",
            landing=Landing.INSERTED,
            fields={"store_state": outcome.value.state.value},
        )
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused):
        return refused(runtime, work, side, outcome, "release")
    side.not_yet(outcome.message)
    return StepEnd(work, OutcomeKind.UNKNOWN, outcome.message, due_in=runtime.wait(work.attempts), leave=True)


async def adopt_one(runtime: Runtime, work: Work) -> StepEnd:
    """Glopal says accepted, our ledger does not: ours after all, or somebody else's?"""
    read = await runtime.client.order(work.source_order_id)
    if not isinstance(read, Done):
        return still_unknown(runtime, work, runtime.provider_side, read)
    outcome = await runtime.store.find(Reference(work.reference))
    if not isinstance(outcome, Done):
        return still_unknown(runtime, work, runtime.store_side, outcome)
    order, theirs = outcome.value, read.value.head.external_order_id
    if order is not None and order.state.live and order.id == theirs:
        return StepEnd(
            work,
            OutcomeKind.DONE,
            f"already accepted as our store order {order.number}",
            landing=Landing.ACCEPTED,
            told_status=SourceStatus(read.value.head.status),
            note_kind="adopt",
            fields={
                "store_order_id": order.id,
                "store_order_number": order.number,
                "store_state": order.state.value,
            },
        )
    ours = f"the store's order is {order.id}" if order is not None else "the store has none with our reference"
    reason = f"Glopal has the order as accepted with store order {theirs or '(none)'}, and {ours}; nothing is written"
    return StepEnd(work, OutcomeKind.REFUSED, reason, park=("accept.elsewhere", reason), note_kind="adopt")


STEPS: dict[Step, One] = {
    Step.INSERT: insert_one,
    Step.INSERT_HELD: insert_one,
    Step.PROBE_INSERT: probe_one,
    Step.RELEASE: release_one,
    Step.ADOPT: adopt_one,
}
