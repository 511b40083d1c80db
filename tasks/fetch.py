"""Fetch an order's document, keep it as received, map it and prove its sums."""

from __future__ import annotations

import hashlib

from prefect import task
from sqlmodel import col, select

from clients.glopal import RawOrder
from ledger.steps import NewDocument, StepEnd, Work
from models.document import OrderDocument
from models.glopal_order import map_order
from models.lifecycle import Landing, SourceStatus, Step, at_least
from models.outcome import BadDocument, Done, NotYet, OutcomeKind, RefusalCode, Refused
from models.tables import OrderRecord
from tasks.batch import TASK_OPTIONS, BatchResult, run_batch
from tasks.ends import not_yet, refused, still_unknown
from tasks.runtime import Runtime, current

# A document that lags behind its own event is read again this many times before the wait grows.
STALE_WAIT = 2.0
# Parts of an order that may change at Glopal without making its store order wrong.
NOT_IN_STORE = {
    "extra",
    "internal_note",
    "customer_note",
    "language",
    "rate_source",
    "transaction_id",
    "payment_method",
}


@task(name="fetch-orders", task_run_name="fetch {label}", tags=["crossdock", "fetch"], **TASK_OPTIONS)
async def fetch_orders(order_ids: list[int], step: str, label: str) -> BatchResult:  # noqa: ARG001 - names the run
    """Read orders at the provider.

    Args:
        order_ids: the ledger's ids, one or more.
        step: the lifecycle step.
        label: what people read: the order's id, or how many orders.
    """
    runtime = current()
    return await run_batch(runtime, order_ids, Step(step), fetch_one, runtime.provider_side)


async def fetch_one(runtime: Runtime, work: Work) -> StepEnd:
    """Read one order; park it with a reason when its document cannot be used."""
    side = runtime.provider_side
    outcome = await runtime.client.order(work.source_order_id)
    if isinstance(outcome, Done):
        side.well()
        return await _read(runtime, work, outcome.value)
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused):
        if outcome.code is RefusalCode.NOT_FOUND and work.attempts < 2:
            # The event can be visible before the order is; a second and third 404 settle it.
            return not_yet(runtime, work, side, NotYet(outcome.message))
        return refused(runtime, work, side, outcome, "fetch")
    return still_unknown(runtime, work, side, outcome)


async def _read(runtime: Runtime, work: Work, got: RawOrder) -> StepEnd:
    head = got.head
    try:
        told = SourceStatus(head.status)
    except ValueError:
        reason = f"Glopal says status {head.status[:40]!r}, which Crossdock does not know; nothing is done on a guess"
        return StepEnd(
            work,
            OutcomeKind.REFUSED,
            reason,
            park=("fetch.unknown_status", reason),
            document=NewDocument(got.raw, got.sha256),
            note_kind="fetch",
        )
    if told is SourceStatus.CANCELLED:
        return StepEnd(
            work,
            OutcomeKind.DONE,
            "Glopal says the order is cancelled",
            told_status=told,
            document=NewDocument(got.raw, got.sha256),
            fields={"document_status": told.value},
        )
    try:
        order = map_order(head, runtime.account.mapping, runtime.key, runtime.account.base_currency)
    except BadDocument as bad:
        return StepEnd(
            work,
            OutcomeKind.REFUSED,
            bad.message,
            told_status=told,
            park=(f"document.{bad.code}", bad.message),
            document=NewDocument(got.raw, got.sha256),
            note_kind="fetch",
            # What cannot be mapped is read again before anything else is done with the order.
            fields={"document_status": None},
        )
    return await _mapped(runtime, work, got, order, told)


async def _mapped(runtime: Runtime, work: Work, got: RawOrder, order: OrderDocument, told: SourceStatus) -> StepEnd:
    canonical = order.to_json()
    content = content_of(order)
    changed = None
    if work.store_order_id is not None and work.document_id is not None:
        before = await content_hash(runtime, work.document_id)
        if before and before != content:
            changed = "the order changed at Glopal after it was written into the store; compare both and decide"
    # The event came, and the document does not show it yet: not an error, only early.
    floor = SourceStatus.ACCEPTED if at_least(work.source_status, SourceStatus.ACCEPTED) else work.source_status
    stale = at_least(floor, SourceStatus.READY) and not at_least(told, floor)
    return StepEnd(
        work,
        OutcomeKind.NOT_YET if stale else OutcomeKind.DONE,
        f"Glopal's document still says {told.value}" if stale else f"read, {order.total} {order.currency}",
        landing=Landing.FETCHED if work.landing is Landing.SEEN else None,
        told_status=told,
        due_in=min(STALE_WAIT * 2**work.attempts, runtime.account.policy.backoff_longest) if stale else None,
        park=("document.changed_after_import", changed) if changed else None,
        document=NewDocument(got.raw, got.sha256, canonical, content),
        fields={
            "document_status": told.value,
            "currency": order.currency,
            "total": order.total,
            "base_currency": order.base_currency,
            "base_total": order.base.total,
        },
    )


def content_of(order: OrderDocument) -> str:
    """The hash of all that concerns the store order; its status is no part of the document."""
    return hashlib.sha256(order.model_dump_json(exclude=NOT_IN_STORE).encode()).hexdigest()


async def content_hash(runtime: Runtime, document_id: int) -> str:
    """The hash of the canonical order kept under ``document_id``."""
    async with runtime.ledger.read() as session:
        query = select(OrderRecord.content_hash).where(col(OrderRecord.id) == document_id)
        return (await session.exec(query)).one_or_none() or ""
