"""What reconciliation may change by itself: only moves that are safe whatever else turns out to be true."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ledger.hot import Row
from ledger.rows import effect_line, learn_status, move, park, reschedule, unpark, view_of
from ledger.steps import Rules
from models.lifecycle import NO_STORE_ORDER, UNKNOWN, Landing, SourceStatus, Step, next_step
from models.sides import Comparison, Finding, Mismatch, OrderSides, Repair, StoreSide

# Parkings that end by themselves once the sides are found to agree; for the others a person has to say so.
MENDABLE = frozenset(
    {
        "accept.ids_differ",
        "cancel.store_order_live",
        "insert.store_cancelled",
        "insert.total_differs",
        "source.order_missing",
        "store.duplicate",
        "store.order_missing",
        "store.other_order",
    }
)
_ACCEPTED = frozenset({SourceStatus.ACCEPTED, SourceStatus.COMPLETED})
_WORDS = {
    Repair.NONE: "told only",
    Repair.RECORD: "its events are recorded; it then takes its usual way",
    Repair.TELL_STATUS: "the ledger takes the provider's status over and does what follows",
    Repair.FETCH: "its document is read again",
    Repair.ACCEPT_AGAIN: "it is accepted again with the same store order",
    Repair.LOOK_AGAIN: "the store is searched several times; only then it is created again",
    Repair.CANCEL_STORE: "its store order is cancelled",
    Repair.WAKE: "it is done now",
    Repair.PARK: "parked",
}


@dataclass(slots=True)
class Repaired:
    """What was changed in one row."""

    changed: bool = False
    by: Repair = Repair.NONE
    lines: list[dict[str, Any]] = field(default_factory=list)
    parked: tuple[str, str] | None = None


def mended(row: Row, comparison: Comparison) -> bool:
    """Whether the order waits only for something that is right again."""
    if Landing(row.landing) in UNKNOWN:
        # Nothing is concluded while a call's end is unknown, so nothing is right again either.
        return False
    only_parked = {finding.mismatch for finding in comparison.findings} == {Mismatch.PARKED}
    stays = row.landing == Landing.STORE_CANCELLED.value
    return only_parked and not stays and row.parked_code in MENDABLE


def words_of(finding: Finding, done: Repaired, *, parked: str) -> str:
    """What is done about a finding, for reports; ``parked`` is the code of the parking that the order is in."""
    if parked and finding.repair is Repair.NONE:
        return f"waits for a person: {parked}"
    if finding.repair is Repair.PARK:
        return f"parked: {finding.park_code}" if done.changed else f"would be parked: {finding.park_code}"
    if finding.repair is Repair.NONE or done.changed or finding.repair is Repair.RECORD:
        return _WORDS[finding.repair]
    return f"not repaired in this run: {_WORDS[finding.repair]}"


def repair_row(
    row: Row, finding: Finding | None, sides: OrderSides, rules: Rules, now: datetime, owner: str
) -> Repaired:
    """Set one repair going; without a finding, take an order that is right again out of its parking."""
    done = Repaired(changed=True, by=finding.repair if finding else Repair.NONE)

    def note(text: str) -> None:
        done.lines.append(effect_line(row, phase="note", kind="reconcile", detail=text, now=now, owner=owner))

    if finding is None:
        note(f"all sides agree again, so it waits no longer for a person ({row.parked_code})")
        unpark(row)
        row.deadline_applied_at = None
    elif finding.repair is Repair.PARK:
        note(f"parked: {finding.explanation}")
        park(row, finding.park_code, finding.explanation, now)
        # An edited mapping gives it another chance, and the one in force now does not.
        row.parked_with = rules.mapping
        done.parked = finding.park_code, finding.explanation
    elif finding.repair is Repair.RECORD or not _leads_on(row, finding.repair, rules):
        return Repaired()
    else:
        note(f"{finding.explanation} {_WORDS[finding.repair].capitalize()}.{_taken_over(row, finding.repair, sides)}")
        _CHANGES[finding.repair](row, sides, rules, now)
    reschedule(row, rules.import_on, now)
    return done


def _leads_on(row: Row, repair: Repair, rules: Rules) -> bool:
    """Whether the repair makes a step due; reading a document again does not while nothing of the order is due."""
    if repair is not Repair.FETCH:
        return True
    view = replace(view_of(row, rules.import_on), document_status=None)
    return next_step(view) is Step.FETCH


def _lost(row: Row, repair: Repair, sides: OrderSides) -> StoreSide | None:
    """The one live store order of an order that the ledger has as not inserted, unless somebody accepted it."""
    store, source = sides.store, sides.source
    if repair not in (Repair.TELL_STATUS, Repair.WAKE) or store is None or store.several or not store.live:
        return None
    if Landing(row.landing) not in NO_STORE_ORDER or source is None or source.known_status in _ACCEPTED:
        return None
    return store


def _taken_over(row: Row, repair: Repair, sides: OrderSides) -> str:
    store = _lost(row, repair, sides)
    return f" Taken over, because the store has a live order {store.number} with our reference." if store else ""


def _take_over(row: Row, repair: Repair, sides: OrderSides, now: datetime) -> None:
    """What the ledger lost is in the store: it is never created a second time, whatever the store makes of that."""
    store = _lost(row, repair, sides)
    if store is not None:
        row.store_order_id, row.store_order_number, row.store_state = store.id, store.number, store.state
        move(row, Landing.HELD if store.state == "held" else Landing.INSERTED, now)


def _tell_status(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:
    _take_over(row, Repair.TELL_STATUS, sides, now)
    status = sides.source.known_status if sides.source is not None else None
    if status is not None:
        learn_status(row, status, now, rules.deadline)


def _fetch(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:  # noqa: ARG001 - one signature for all
    row.document_status, row.attempts = None, 0


def _status_again(row: Row, sides: OrderSides) -> None:
    """Take the status as it is, also where it is less than what the ledger believed: both were read just now."""
    status = sides.source.known_status if sides.source is not None else None
    if status is not None:
        row.source_status = row.document_status = status.value


def _accept_again(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:
    _status_again(row, sides)
    move(row, Landing.INSERTED, now, repair=True)
    row.accepted_at, row.attempts, row.settled_at = None, 0, None
    # It kept its time once, and is READY again only now.
    row.ready_at, row.warned_at = now, None
    row.deadline_at, row.deadline_applied_at = now + rules.deadline, None


def _look_again(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:
    _status_again(row, sides)
    move(row, Landing.INSERT_UNKNOWN, now, repair=True)
    row.unknown_since, row.probes_missed, row.attempts = now, 0, 0
    # Its id stays known: each search asks for that, too, and only when all of them found nothing it is forgotten.
    row.store_state = None
    row.inserted_at = row.accepted_at = row.settled_at = None
    row.due_at = now + rules.first_probe


def _cancel_store(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:  # noqa: ARG001
    store = sides.store
    if store is not None and store.found:
        row.store_order_id, row.store_order_number, row.store_state = store.id, store.number, store.state
    row.source_status = SourceStatus.CANCELLED.value
    move(row, Landing.INSERTED, now, repair=True)
    row.settled_at = None


def _wake(row: Row, sides: OrderSides, rules: Rules, now: datetime) -> None:  # noqa: ARG001
    _take_over(row, Repair.WAKE, sides, now)
    row.attempts, row.due_at = 0, now


_CHANGES = {
    Repair.TELL_STATUS: _tell_status,
    Repair.FETCH: _fetch,
    Repair.ACCEPT_AGAIN: _accept_again,
    Repair.LOOK_AGAIN: _look_again,
    Repair.CANCEL_STORE: _cancel_store,
    Repair.WAKE: _wake,
}
