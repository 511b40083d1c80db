"""Read orders afresh at the provider and in the store, compare them with the ledger, write down what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from prefect import task

from clients.glopal import RawOrder
from ledger.reconcile import Judged, Saved, ToCompare, load_to_compare, save_judged
from models.compare import compare
from models.glopal import OrderHead
from models.glopal_order import dig, map_order
from models.ids import Reference, StoreOrderId, is_safe_source_id
from models.money import MoneyError, parse_amount, round_minor
from models.outcome import BadDocument, Done, Failure, NotYet, Outcome, RefusalCode, Refused
from models.sides import Comparison, Finding, Mismatch, OrderSides, Repair, SourceSide, StoreSide
from stores.protocol import StoreOrder
from tasks.batch import TASK_OPTIONS
from tasks.ends import LONGEST_WAIT_IN_RUN
from tasks.fetch import content_of
from tasks.runtime import Runtime, Side, current

# A reading lasts as long as its chunk: shorter chunks are fresher, longer ones need fewer statements.
CHUNK = 500
# Seconds between two looks at an order that differs, how many there are at most, and tries of a side without an answer.
SECOND_LOOK = 1.0
MOST_LOOKS = 3
# Up to so many orders (or a tenth of those compared) may have the same difference and be parked for it in one go.
LEAST_STRANGE = 10
LEAST_CREATED = 3
TRIES = 3


@dataclass
class ChunkResult:
    """What comparing some orders came to."""

    compared: int = 0
    unread: int = 0
    pending: int = 0
    saved: Saved = field(default_factory=Saved)
    strange: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"ChunkResult({self.compared} orders, {self.saved.agreeing} agree, {len(self.saved.opened)} new findings)"
        )


@task(name="compare-orders", task_run_name="compare {label}", tags=["crossdock", "reconcile"], **TASK_OPTIONS)
async def compare_orders(
    order_ids: list[int],
    repair: bool,
    stuck_after_hours: float,
    label: str,  # noqa: ARG001 - names the run
) -> ChunkResult:
    """Compare orders on all three sides.

    Args:
        order_ids: the ledger's ids.
        repair: set safe repairs going, and park what needs a person.
        stuck_after_hours: from when on an order that is under way is a finding.
        label: what people read: how many orders, or which one.
    """
    runtime = current()
    result = ChunkResult()
    for start in range(0, len(order_ids), CHUNK):
        judged = await judge(runtime, order_ids[start : start + CHUNK], timedelta(hours=stuck_after_hours))
        judged, strange = too_many(judged)
        result.strange += strange
        saved = await save_judged(runtime.ledger, runtime.key, runtime.rules, judged, repair=repair)
        result.compared += len(judged)
        result.unread += sum(bool(entry.comparison.unread) for entry in judged)
        result.pending += sum(entry.comparison.pending for entry in judged)
        _add(result.saved, saved)
    return result


def too_many(judged: Sequence[Judged]) -> tuple[list[Judged], list[str]]:
    """Let nothing be done about differences that so many orders have at once: then it is not the orders.

    A store that answers from an empty copy, a provider that forgot its documents, or an edited mapping would else park
    every order there is, or have each created again.

    Returns:
        The orders, and what looks wrong in plain words.
    """
    counts = Counter(
        finding.mismatch
        for entry in judged
        for finding in entry.comparison.findings
        if finding.repair in (Repair.PARK, Repair.LOOK_AGAIN)
    )
    again = sum(finding.repair is Repair.LOOK_AGAIN for entry in judged for finding in entry.comparison.findings)
    most = max(LEAST_STRANGE, len(judged) // 10)
    strange = {mismatch: number for mismatch, number in counts.items() if number > most}
    if again > max(LEAST_CREATED, len(judged) // 50):
        # What may end in a second create is believed of a few orders only.
        strange[Mismatch.MISSING_IN_STORE] = counts[Mismatch.MISSING_IN_STORE]
    if not strange:
        return list(judged), []
    told = [
        f"{number} of {len(judged)} orders are {mismatch.value.replace('_', ' ')} at once: that is not these orders. "
        "Nothing was done about them; look at the provider, the store and the account's mapping, then run it again"
        for mismatch, number in strange.items()
    ]
    return [_left_alone(entry, strange) for entry in judged], told


def _left_alone(entry: Judged, strange: Mapping[Mismatch, int]) -> Judged:
    if not any(finding.mismatch in strange for finding in entry.comparison.findings):
        return entry
    findings = tuple(replace(finding, repair=Repair.NONE, park_code="") for finding in entry.comparison.findings)
    return replace(entry, comparison=replace(entry.comparison, findings=findings))


def _add(total: Saved, saved: Saved) -> None:
    total.agreeing += saved.agreeing
    total.newly += saved.newly
    total.opened += saved.opened
    total.still += saved.still
    total.closed += saved.closed
    total.repaired += saved.repaired
    total.parked += saved.parked
    total.moved += saved.moved


async def judge(runtime: Runtime, ids: Sequence[int], stuck_after: timedelta) -> list[Judged]:
    """Read both outer sides of these orders now, and compare; a difference counts only when it is seen twice.

    A read can lag behind a write, on either side. What one look says may be gone at the next, and nobody is to be
    woken for that, let alone a call made.
    """
    looks = [await _judge_once(runtime, ids, stuck_after)]
    agreed = {entry.order.id: entry for entry in looks[0] if entry.order is not None}
    doubtful = [row_id for row_id, entry in agreed.items() if _seen(entry)]
    for _ in range(MOST_LOOKS - 1):
        if not doubtful:
            break
        await asyncio.sleep(SECOND_LOOK)
        looks.append(await _judge_once(runtime, doubtful, stuck_after))
        chosen = _by_order(looks, doubtful)
        agreed |= {row_id: _seen_twice(entries) for row_id, entries in chosen.items()}
        doubtful = [row_id for row_id, entries in chosen.items() if _seen(entries[-1]) != _seen(entries[-2])]
    return list(agreed.values())


def _by_order(looks: Sequence[Sequence[Judged]], ids: Iterable[int]) -> dict[int, list[Judged]]:
    found: dict[int, list[Judged]] = {row_id: [] for row_id in ids}
    for look in looks:
        for entry in look:
            if entry.order is not None and entry.order.id in found:
                found[entry.order.id].append(entry)
    return {row_id: entries for row_id, entries in found.items() if len(entries) > 1}


def _seen(entry: Judged) -> frozenset[tuple[Mismatch, str]]:
    """The differences of one look; a changed document is the same one only when it changed to the same."""
    content = entry.sides.source.content_hash if entry.sides.source is not None else ""
    return frozenset(
        (finding.mismatch, content if finding.mismatch is Mismatch.DOCUMENT_CHANGED else "")
        for finding in entry.comparison.findings
        if finding.mismatch is not Mismatch.PARKED
    )


def _seen_twice(entries: Sequence[Judged]) -> Judged:
    """The newest look that another one bears out; without one, the newest without what only it has seen."""
    for number in range(len(entries) - 1, 0, -1):
        if any(_seen(entries[number]) == _seen(earlier) for earlier in entries[:number]):
            return entries[number]
    last, others = entries[-1], frozenset().union(*(_seen(entry) for entry in entries[:-1]))
    twice = {mismatch for mismatch, _ in _seen(last) & others} | {Mismatch.PARKED}
    kept = tuple(finding for finding in last.comparison.findings if finding.mismatch in twice)
    # It differs in some way, so it does not agree; what it is, the next reconciliation sees.
    return replace(last, comparison=replace(last.comparison, agrees=False, findings=kept, pending=True))


async def _judge_once(runtime: Runtime, ids: Sequence[int], stuck_after: timedelta) -> list[Judged]:
    """One look. The ledger is read first: what it says is older than what the others say."""
    orders = await load_to_compare(runtime.ledger, ids, runtime.rules)
    sources, stores = await asyncio.gather(
        _sources(runtime, [order.source_order_id for order in orders]), _stores(runtime, orders)
    )
    now = runtime.ledger.clock()
    judged = []
    for order in orders:
        sides = OrderSides(
            order.source_order_id, sources.get(order.source_order_id), order.side, stores.get(order.reference)
        )
        compared = compare(sides, now=now, stuck_after=stuck_after)
        if not is_safe_source_id(order.source_order_id):
            # Nobody can be asked about it. That it waits for a person is all there is to say.
            parked = tuple(finding for finding in compared.findings if finding.mismatch is Mismatch.PARKED)
            compared = replace(compared, findings=parked)
        judged.append(Judged(order, sides, compared, order.first_event_at))
    return judged


async def judge_missing(runtime: Runtime, found: Mapping[str, datetime | None]) -> list[Judged]:
    """Read orders that the provider speaks of and the ledger lacks, by their ids and first events."""
    names = list(found)
    references = {name: runtime.key.reference(name) for name in names}
    sources = await _sources(runtime, names)
    held = await _found(runtime, [references[name] for name in names])
    now = runtime.ledger.clock()
    judged = []
    for name in names:
        sides = OrderSides(name, sources.get(name), None, held.get(references[name]))
        compared = compare(sides, now=now, stuck_after=timedelta(days=1))
        if compared.unread:
            # Its events are proof enough that the ledger lacks it, whatever its sides say later.
            text = "the provider's feed speaks of it, and the ledger has no such order"
            finding = Finding(Mismatch.MISSING_IN_LEDGER, text, repair=Repair.RECORD)
            compared = Comparison(agrees=False, findings=(finding,), unread=compared.unread)
        judged.append(Judged(None, sides, compared, found[name]))
    return judged


async def _sources(runtime: Runtime, names: Sequence[str]) -> dict[str, SourceSide]:
    """The provider's side of each order that could be read."""
    found: dict[str, SourceSide] = {}

    async def one(name: str) -> None:
        if not is_safe_source_id(name):
            found[name] = SourceSide(found=True, problem="its id is never put into a web address, so nobody can ask")
            return
        async with runtime.flight:
            if runtime.provider_side.stopped is None:
                outcome = await runtime.client.order(name)
                side = _source_side(runtime, outcome)
                if side is not None:
                    found[name] = side

    for _ in range(TRIES):
        left = [name for name in names if name not in found]
        if not left or runtime.provider_side.stopped is not None:
            break
        await asyncio.gather(*(one(name) for name in left))
    return found


def _source_side(runtime: Runtime, outcome: Outcome[RawOrder]) -> SourceSide | None:
    if isinstance(outcome, Done):
        runtime.provider_side.well()
        return read_source(runtime, outcome.value.head)
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.NOT_FOUND:
        return SourceSide(found=False)
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.BAD_ANSWER:
        return None
    _not_read(runtime.provider_side, outcome)
    return None


def read_source(runtime: Runtime, head: OrderHead) -> SourceSide:
    """What an order document says, as far as it can be read."""
    try:
        order = map_order(head, runtime.account.mapping, runtime.key, runtime.account.base_currency)
    except BadDocument as bad:
        return SourceSide(
            found=True,
            status=head.status,
            currency=head.currency,
            total=_stated_total(head, runtime.account.mapping.total),
            external_id=head.external_order_id,
            external_number=head.external_order_number,
            problem=bad.message,
        )
    return SourceSide(
        found=True,
        status=head.status,
        currency=order.currency,
        total=order.total,
        base_currency=order.base_currency,
        base_total=order.base.total,
        external_id=head.external_order_id,
        external_number=head.external_order_number,
        content_hash=content_of(order),
    )


def _stated_total(head: OrderHead, path: str) -> Decimal | None:
    """The total that the document names, even where its parts do not add up to it."""
    try:
        return round_minor(parse_amount(dig(head.document, path)), head.currency)
    except MoneyError:
        return None


async def _stores(runtime: Runtime, orders: Sequence[ToCompare]) -> dict[str, StoreSide]:
    """The store's side of each order that could be read, by our reference."""
    found = await _found(runtime, [Reference(order.reference) for order in orders])
    # A search can lag behind; an order that we know by its id is asked for by that before it is called missing.
    missing = [
        order
        for order in orders
        if order.side.store_order_id and order.reference in found and not found[order.reference].live
    ]

    async def by_id(order: ToCompare) -> None:
        async with runtime.flight:
            outcome = await runtime.store.read(StoreOrderId(order.side.store_order_id))
        if isinstance(outcome, Done):
            if outcome.value is not None and outcome.value.reference == order.reference:
                found[order.reference] = _store_side(outcome.value)
        elif not (isinstance(outcome, Refused) and outcome.code is RefusalCode.NOT_FOUND):
            del found[order.reference]
            _not_read(runtime.store_side, outcome)

    await asyncio.gather(*(by_id(order) for order in missing if not found[order.reference].found))
    return found


async def _found(runtime: Runtime, references: Sequence[Reference]) -> dict[str, StoreSide]:
    found: dict[str, StoreSide] = {}
    for _ in range(TRIES):
        left = [reference for reference in references if reference not in found]
        if not left or runtime.store_side.stopped is not None:
            break
        _take(runtime, found, await runtime.store.find_many(left))
    return found


def _take(
    runtime: Runtime, found: dict[str, StoreSide], answers: Mapping[Reference, Outcome[StoreOrder | None]]
) -> None:
    for reference, outcome in answers.items():
        if isinstance(outcome, Done):
            runtime.store_side.well()
            found[reference] = StoreSide(found=False) if outcome.value is None else _store_side(outcome.value)
        elif isinstance(outcome, Refused) and outcome.code is RefusalCode.CONFLICT and outcome.status is None:
            # The adapter's own finding; a store that answers 409 to a search has said nothing about the order.
            found[reference] = StoreSide(found=True, several=True, problem=outcome.message)
        else:
            _not_read(runtime.store_side, outcome)


def _store_side(order: StoreOrder) -> StoreSide:
    return StoreSide(
        found=True,
        id=order.id,
        number=order.number,
        state=order.state.value,
        currency=order.currency,
        # A database takes "NaN" for a number, which cannot be compared with any.
        total=order.total if order.total.is_finite() else None,
    )


def _not_read(side: Side, outcome: Failure) -> None:
    """Note how a side behaves; one that is down is not asked a thousand times more."""
    if isinstance(outcome, Refused):
        side.refused(outcome)
        return
    side.not_yet(outcome.message)
    if isinstance(outcome, NotYet) and (outcome.retry_after or 0.0) > LONGEST_WAIT_IN_RUN:
        side.asked_to_wait(outcome.retry_after or 0.0, outcome.message)
