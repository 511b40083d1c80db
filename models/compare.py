"""Whether provider, ledger and store agree on one order, and what to do where they do not. Pure: no clock.

What three sides come to that were read, while nothing of ours is under way. *due*: our own next step mends it, so it
is pending; open for too long, it is WAKE (STUCK, where no other class says it better). *park*: a person decides.

    provider says        the ledger has      the store has     so it is
    -------------------  ------------------  ----------------  ------------------------------------------------------
    anything or nothing  any                 several live      DUPLICATE_IN_STORE, park store.duplicate
    no such order        any                 any               MISSING_AT_PROVIDER, park source.order_missing
    an unknown word      any                 any               STATUS_DIFFERS, park fetch.unknown_status
    either of these two  in the store        none              MISSING_IN_STORE, park store.order_missing

    CANCELLED            any                 shipped           CANCELLED_AT_PROVIDER_ONLY, park cancel.already_shipped
    CANCELLED            not told            live              CANCELLED_AT_PROVIDER_ONLY, tell status
    CANCELLED            not told            none, cancelled   STATUS_DIFFERS, tell status
    CANCELLED            told, not closed    live              due; too long: CANCELLED_AT_PROVIDER_ONLY, wake
    CANCELLED            told, not closed    none, cancelled   due
    CANCELLED            cancelled           live, other id    CANCELLED_AT_PROVIDER_ONLY, cancel it in the store
    CANCELLED            cancelled           live, same id     CANCELLED_AT_PROVIDER_ONLY, park cancel.store_order_live
    CANCELLED            cancelled           none, cancelled   agrees

    RECEIVED             any                 open, shipped     LIVE_TOO_EARLY, park insert.hold_ignored
    RECEIVED             nothing in store    none              agrees, or due where the ledger says so
    RECEIVED             held, inserted      held              agrees
    READY                nothing in store    none              due
    READY                held, inserted      live              due
    READY                accepted            live              INSERTED_NOT_ACCEPTED, accept again
    RECEIVED, READY      held, inserted      none              MISSING_IN_STORE, look again
    RECEIVED, READY      accepted            none              MISSING_IN_STORE, park store.order_missing
    ACCEPTED, COMPLETED  nothing in store    none              ACCEPTED_NOT_INSERTED, tell status, or wake once due
    ACCEPTED, COMPLETED  held, inserted      live, same id     due
    ACCEPTED, COMPLETED  accepted            live, same id     agrees
    ACCEPTED, COMPLETED  held to accepted    none              MISSING_IN_STORE, park store.order_missing
    ACCEPTED, COMPLETED  nothing in store    live, other id    STORE_ID_DIFFERS, park accept.elsewhere
    ACCEPTED, COMPLETED  anything else       live, other id    STORE_ID_DIFFERS, park accept.ids_differ

    any of these four    nothing in store    live              STATUS_DIFFERS, wake: the insert finds it
    any of these four    held to accepted    live, not its id  STORE_ID_DIFFERS, park store.other_order
    any of these four    nothing, or live    cancelled         CANCELLED_IN_STORE_ONLY, park insert.store_cancelled
    any of these four    cancelled in store  none, cancelled   due; too long: CANCELLED_IN_STORE_ONLY, wake
    any of these four    cancelled in store  live              STATUS_DIFFERS, park cancel.store_order_live
    any of these four    cancelled           cancelled, gone   CANCELLED_IN_STORE_ONLY, park insert.store_cancelled
    any of these four    cancelled           live, never any   STATUS_DIFFERS, park cancel.not_at_provider

    more than the ledger believes (whatever the store has)     STATUS_DIFFERS, tell status
    less, and nothing is in the store                          due; too long: STATUS_DIFFERS, read the document again
    less, and it is in the store                               due; too long: STATUS_DIFFERS, park
                                                               fetch.status_went_back, or cancel.not_at_provider where
                                                               the ledger was told of a cancel

Beside these come the amounts and numbers of a live store order and the document (``models/differences.py``). One order
gets one kind of repair: a person's look comes before everything but the news that the provider cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from models.difference_words import cut, finding, landed, named, says
from models.differences import Case, differences
from models.differences_of_two import duplicate, status_of, without_source, without_store
from models.lifecycle import UNKNOWN, Landing, OrderView, SourceStatus, next_step
from models.sides import Comparison, Finding, LedgerSide, Mismatch, OrderSides, Repair, SourceSide, StoreSide

# What ships wrongly stands before what does not ship, and that before what is only said differently.
GRAVITY = {
    mismatch: rank
    for rank, mismatch in enumerate(
        (
            Mismatch.DUPLICATE_IN_STORE,
            Mismatch.CANCELLED_AT_PROVIDER_ONLY,
            Mismatch.LIVE_TOO_EARLY,
            Mismatch.STORE_ID_DIFFERS,
            Mismatch.CURRENCY_DIFFERS,
            Mismatch.TOTAL_DIFFERS,
            Mismatch.ACCEPTED_NOT_INSERTED,
            Mismatch.MISSING_IN_STORE,
            Mismatch.CANCELLED_IN_STORE_ONLY,
            Mismatch.MISSING_IN_LEDGER,
            Mismatch.MISSING_AT_PROVIDER,
            Mismatch.INSERTED_NOT_ACCEPTED,
            Mismatch.STORE_NUMBER_DIFFERS,
            Mismatch.DOCUMENT_CHANGED,
            Mismatch.DOCUMENT_UNUSABLE,
            Mismatch.STATUS_DIFFERS,
            Mismatch.STUCK,
            Mismatch.PARKED,
        )
    )
}
# The first of these that an order's findings ask for is the one that is done; a later run sees to the rest.
_ORDER = (
    Repair.PARK,
    Repair.RECORD,
    Repair.CANCEL_STORE,
    Repair.LOOK_AGAIN,
    Repair.TELL_STATUS,
    Repair.FETCH,
    Repair.ACCEPT_AGAIN,
    Repair.WAKE,
)
# What a person who closed an order may not have known.
_IN_SPITE_OF_CLOSING = frozenset({Mismatch.CANCELLED_AT_PROVIDER_ONLY, Mismatch.DUPLICATE_IN_STORE})
_TELLS_OF_CANCEL = frozenset({Mismatch.CANCELLED_AT_PROVIDER_ONLY, Mismatch.STATUS_DIFFERS})


def compare(sides: OrderSides, *, now: datetime, stuck_after: timedelta) -> Comparison:
    """Decide whether the sides of one order agree, and name every difference with a safe repair.

    Args:
        sides: the order as provider, ledger and store have it; all read while nothing of ours was done to it.
        now: when they were read.
        stuck_after: how long an order may be open before its next step counts as missed.

    Returns:
        Agreement, or the findings, the gravest first, at most one of each class. The repairs of one order never fight
        each other: they are all of one kind, or none.
    """
    unread = tuple(name for name, side in (("the provider", sides.source), ("the store", sides.store)) if side is None)
    ledger = sides.ledger
    if ledger is None:
        return _result(_unrecorded(sides), unread, pending=False)
    old = ledger.open_since is not None and now - ledger.open_since > stuck_after
    if ledger.effect_open or ledger.landing in UNKNOWN:
        return _result(_looking(ledger, old=old), unread, pending=True)
    on_its_way = _on_its_way(ledger)
    found = list(_found(sides, ledger, on_its_way=on_its_way, old=old))
    if ledger.parked_code:
        return _result(_of_parked(found, sides.source, ledger), unread, pending=True)
    if ledger.closed:
        kept = (replace(each, repair=Repair.NONE, park_code="") for each in found)
        return _result((each for each in kept if each.mismatch in _IN_SPITE_OF_CLOSING), unread, pending=False)
    if on_its_way and old and not found and not unread:
        found.append(_stuck(sides, ledger))
    found = list(_one_repair(found, sides.source))
    pending = on_its_way and all(each.repair in (Repair.NONE, Repair.WAKE) for each in found)
    return _result(found, unread, pending=pending)


def _result(found: Iterable[Finding], unread: tuple[str, ...], *, pending: bool) -> Comparison:
    findings = tuple(sorted(found, key=lambda each: GRAVITY[each.mismatch]))
    return Comparison(not (findings or pending or unread), findings, pending, unread)


def _on_its_way(ledger: LedgerSide) -> bool:
    """Whether a step of ours comes next. An order cancelled in the store is one that we wanted to cancel."""
    if ledger.parked_code or ledger.closed:
        return False
    wanted = ledger.landing is Landing.STORE_CANCELLED
    return ledger.due or next_step(OrderView(ledger.source_status, ledger.landing, cancel_wanted=wanted)) is not None


def _found(sides: OrderSides, ledger: LedgerSide, *, on_its_way: bool, old: bool) -> Iterator[Finding]:
    source, store = sides.source, sides.store
    if source is not None and store is not None:
        return differences(Case(source, ledger, store, on_its_way=on_its_way, old=old))
    if source is not None:
        return without_store(source, ledger)
    return without_source(ledger, store) if store is not None else iter(())


def _unrecorded(sides: OrderSides) -> Iterator[Finding]:
    """The ledger has no such order: recording it comes first, and the next comparison sees the rest."""
    source, store = sides.source, sides.store
    twice = duplicate(store) if store is not None else None
    if twice is not None:
        # There is no row yet that could be parked.
        yield replace(twice, repair=Repair.NONE, park_code="")
    if source is None:
        return
    if source.found:
        text = (
            f"The provider says {cut(source.status) or 'no status'}, and the ledger has no such order, so that nothing"
        )
        yield finding(Mismatch.MISSING_IN_LEDGER, f"{text} is done about it. {_store_words(store)}", Repair.RECORD)
    elif store is not None and store.live and not store.several:
        text = f"The store has {named(store)}, and neither provider nor ledger has an order for it: who wrote it?"
        yield finding(Mismatch.MISSING_AT_PROVIDER, text, Repair.NONE)


def _store_words(store: StoreSide | None) -> str:
    if store is None:
        return "The store could not be read."
    if store.several:
        return "The store has more than one live order with our reference."
    if store.found:
        return f"In the store, {named(store)} carries our reference and is {cut(store.state, 20) or 'there'}."
    return "The store has no order with our reference."


def _looking(ledger: LedgerSide, *, old: bool) -> Iterator[Finding]:
    """While the end of a call is unknown, nothing is concluded; looking goes on by itself."""
    if ledger.parked_code:
        yield _parked(ledger)
    if old:
        since = f"{ledger.open_since:%Y-%m-%d %H:%M} UTC"
        text = f"Open since {since}, and nobody knows yet how a call of it ended (the ledger {landed(ledger)})."
        yield finding(Mismatch.STUCK, f"{text} Looking goes on by itself.", Repair.NONE)


def _stuck(sides: OrderSides, ledger: LedgerSide) -> Finding:
    """Its next step is known, and it was not done in time."""
    provider = cut(sides.source.status) if sides.source is not None else ""
    text = (
        f"Open since {ledger.open_since:%Y-%m-%d %H:%M} UTC and not moving: the provider says {provider}, the ledger "
        f"{says(ledger)} and {landed(ledger)}. {_store_words(sides.store)}"
    )
    return finding(Mismatch.STUCK, text, Repair.WAKE)


def _parked(ledger: LedgerSide) -> Finding:
    reason = cut(ledger.parked_reason, 250) or "no reason was kept"
    return finding(Mismatch.PARKED, f"It waits for a person ({cut(ledger.parked_code, 64)}): {reason}", Repair.NONE)


def _of_parked(found: Iterable[Finding], source: SourceSide | None, ledger: LedgerSide) -> Iterator[Finding]:
    """What is true stays true, and nothing is done against the person's look, except telling of a cancel."""
    tell = _cancelled_there(source) and ledger.source_status is not SourceStatus.CANCELLED
    for each in found:
        told = tell and each.mismatch in _TELLS_OF_CANCEL
        yield replace(each, repair=Repair.TELL_STATUS if told else Repair.NONE, park_code="")
    yield _parked(ledger)


def _cancelled_there(source: SourceSide | None) -> bool:
    return source is not None and status_of(source) is SourceStatus.CANCELLED


def _one_repair(found: list[Finding], source: SourceSide | None) -> Iterator[Finding]:
    """Findings that ask for one kind of repair only, so that no repair undoes another one."""
    order = (Repair.TELL_STATUS, *_ORDER) if _cancelled_there(source) else _ORDER
    asked = {each.repair for each in found}
    first = next((repair for repair in order if repair in asked), Repair.NONE)
    for each in found:
        yield each if each.repair is first else replace(each, repair=Repair.NONE, park_code="")
