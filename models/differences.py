"""The rules of ``models/compare.py``: each looks at the sides of one order and names at most one difference. Pure.

A rule says what is true and what would mend it by itself; ``compare`` then sees to it that the repairs of one order do
not fight each other, its parking or its closing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from models.difference_words import amount, cut, finding, landed, named, order_of, says
from models.differences_of_two import (
    LEVEL,
    duplicate,
    missing_at_provider,
    other_order,
    status_of,
    unknown_word,
    untold,
)
from models.differences_of_two import unusable as unusable_document
from models.lifecycle import LIVE_STORE_ORDER, NO_STORE_ORDER, Landing, SourceStatus
from models.money import total_of
from models.sides import Finding, LedgerSide, Mismatch, Repair, SourceSide, StoreSide

L, M, R, S = Landing, Mismatch, Repair, SourceStatus


@dataclass(frozen=True, slots=True)
class Case:
    """One order with all three sides read, and how far our own work on it is.

    Attributes:
        source: the provider's side.
        ledger: ours.
        store: the store's side.
        on_its_way: whether a step of ours comes next.
        old: whether it is open for longer than it may be.
    """

    source: SourceSide
    ledger: LedgerSide
    store: StoreSide
    on_its_way: bool
    old: bool

    @property
    def status(self) -> SourceStatus | None:
        """What the provider says, or None when it has no such order or uses a word that we do not know."""
        return status_of(self.source)

    @property
    def waiting(self) -> bool:
        """Whether our own next step may still put the sides in line by itself."""
        return self.on_its_way and not self.old

    @property
    def accepted_there(self) -> bool:
        """Whether the provider was told of a store order."""
        return self.status in (S.ACCEPTED, S.COMPLETED)

    @property
    def live_one(self) -> bool:
        """Whether there is exactly one live store order, so that its fields describe it."""
        return self.store.live and not self.store.several

    @property
    def ahead(self) -> bool:
        """Whether the ledger believes more than the provider says. What we accepted, we believe to be accepted."""
        ours = S.ACCEPTED if self.ledger.landing is L.ACCEPTED else S.UNSEEN
        believed = max(LEVEL[self.ledger.source_status], LEVEL[ours])
        return self.status is not None and believed > LEVEL[self.status]

    @property
    def behind(self) -> bool:
        """Whether the provider says more than the ledger believes."""
        return self.status is not None and LEVEL[self.ledger.source_status] < LEVEL[self.status]


def differences(case: Case) -> Iterator[Finding]:
    """All that is different between three sides that were read, in no order."""
    if case.status is S.CANCELLED:
        # Nothing of it may ship, so that its amounts, numbers and document do not matter any more.
        rules: tuple[Rule, ...] = (_duplicate, _cancelled)
    elif case.status is None:
        rules = (_duplicate, _nothing_known, _id, _number, _money, _missing_in_store, _unusable)
    elif case.waiting and case.ledger.source_status is S.CANCELLED:
        # An event told of the cancel and the document does not show it yet: early, as every late document is.
        rules = (_duplicate,)
    else:
        rules = _ALIVE
    yield from (finding for rule in rules if (finding := rule(case)) is not None)


def _duplicate(case: Case) -> Finding | None:
    return duplicate(case.store)


def _unusable(case: Case) -> Finding | None:
    return unusable_document(case.source)


def _nothing_known(case: Case) -> Finding | None:
    return missing_at_provider(case.source, case.ledger) or unknown_word(case.source)


def _cancelled(case: Case) -> Finding | None:
    """The provider cancelled: no live store order may be left."""
    ledger, store = case.ledger, case.store
    knows = ledger.source_status is S.CANCELLED
    if not store.live:
        return None if ledger.landing is L.CANCELLED else untold(case.source, ledger)
    repair: Repair | str
    if store.state == "shipped" and not store.several:
        repair, why = "cancel.already_shipped", "the goods have to come back"
    elif not knows:
        repair, why = R.TELL_STATUS, f"the ledger was not told and still {says(ledger)}"
    elif store.several:
        repair, why = R.NONE, "which of them to cancel is for a person to see"
    elif ledger.landing is not L.CANCELLED:
        if case.waiting:
            return None
        repair, why = R.WAKE, f"the ledger knows and {landed(ledger)}, and has not cancelled it"
    elif store.id and store.id != ledger.store_order_id:
        repair, why = R.CANCEL_STORE, "the ledger has it as cancelled and never saw this one, which came late"
    else:
        repair, why = "cancel.store_order_live", "the ledger has this one as cancelled, so somebody reopened it"
    live = "more than one store order is live" if store.several else f"{named(store)} is {cut(store.state, 20)}"
    text = f"The provider cancelled the order and pays the buyer back, and {live}: {why}."
    return finding(M.CANCELLED_AT_PROVIDER_ONLY, text, repair)


def _too_early(case: Case) -> Finding | None:
    """The store may ship what is not paid. On hold it may not, so that is fine."""
    if case.status is not S.RECEIVED or not case.live_one or case.store.state == "held":
        return None
    text = f"The provider says RECEIVED, so it is not paid yet, and {named(case.store)} is not on hold: it may ship."
    return finding(M.LIVE_TOO_EARLY, text, "insert.hold_ignored")


def _id(case: Case) -> Finding | None:
    """The provider was told another store order than the one that carries our reference."""
    ledger, store, told = case.ledger, case.store, case.source.external_id
    other = other_order(ledger, store)
    ours = "" if store.several else store.id if store.found else ledger.store_order_id
    if other is not None or not case.accepted_there or not (ours or case.live_one) or (told and told == ours):
        return other
    has = f"{named(store)} carries our reference" if store.found else f"the ledger has store order id {cut(ours)}"
    text = f"The provider was told store order id {cut(told) or '(none)'}, and {has}: another order may ship, or none."
    elsewhere = ledger.landing in NO_STORE_ORDER
    return finding(M.STORE_ID_DIFFERS, text, "accept.elsewhere" if elsewhere else "accept.ids_differ")


def _number(case: Case) -> Finding | None:
    """The number that people see is not the same everywhere, although the order may be."""
    ledger, store, told = case.ledger, case.store, case.source.external_number
    if not case.live_one:
        return None
    at_provider = case.accepted_there and not (told and told == store.number)
    at_ledger = ledger.landing in LIVE_STORE_ORDER and ledger.store_order_number != store.number
    if not at_provider and not at_ledger:
        return None
    theirs = f"the provider was told {cut(told) or '(none)'} and " if case.accepted_there else ""
    text = (
        f"The store calls the order {cut(store.number) or '(none)'}, {theirs}the ledger has "
        f"{cut(ledger.store_order_number) or '(none)'}: people will not find it under one number."
    )
    return finding(M.STORE_NUMBER_DIFFERS, text, "accept.ids_differ")


def _money(case: Case) -> Finding | None:
    """The store order is not worth what was paid, in either of the order's two currencies, to the unit."""
    source, store = case.source, case.store
    # Without a usable total there is nothing to compare; that is a difference of its own.
    if not case.live_one or source.total is None or _is_paid(source, store):
        return None
    paid = {source.currency: source.total}
    if source.base_currency and source.base_total is not None:
        paid.setdefault(source.base_currency, source.base_total)
    both = " or ".join(amount(total, currency) for currency, total in paid.items())
    text = f"In the store, {named(store)} says {amount(store.total, store.currency)}, the paid order is {both}"
    if store.total is None:
        return finding(M.TOTAL_DIFFERS, f"{text}: they cannot be compared.", "insert.total_differs")
    if store.currency not in paid and source.problem:
        return None  # A document that cannot be mapped does not say what the order is worth in the merchant's currency.
    if not store.currency or store.currency not in paid:
        return finding(M.CURRENCY_DIFFERS, f"{text}: that is another currency.", "insert.total_differs")
    # Neither abs() nor a minus sign: both would round to the digits of the default context.
    gap = total_of([store.total, paid[store.currency].copy_negate()])
    text += f": {amount(gap.copy_abs(), store.currency)} too {'much' if gap > 0 else 'little'}."
    return finding(M.TOTAL_DIFFERS, text, "insert.total_differs")


def _is_paid(source: SourceSide, store: StoreSide) -> bool:
    """Whether the store's total is the paid one, exactly."""
    if not store.currency or store.total is None or source.total is None:
        return False
    paid = ((source.currency, source.total), (source.base_currency, source.base_total))
    return (store.currency, store.total) in paid


def _missing_in_store(case: Case) -> Finding | None:
    """The ledger has it in the store, and the store has it not."""
    source, ledger, store = case.source, case.ledger, case.store
    if ledger.landing not in LIVE_STORE_ORDER or store.live or store.found:
        return None
    text = f"The ledger has {order_of(ledger)} for it, and the store has no order with our reference"
    told = case.accepted_there or ledger.landing is L.ACCEPTED or source.external_id
    if told:
        text += (
            f". The provider says {case.status or 'nothing that we know'}: a new one would have another number than "
        )
        return finding(M.MISSING_IN_STORE, f"{text}was told, and the old one may have shipped.", "store.order_missing")
    if case.status is None or case.ahead:
        text += ". The provider does not say that it is still wanted, so that it is not created again."
        return finding(M.MISSING_IN_STORE, text, "store.order_missing")
    # Nobody was told its number yet, so that a new one does no harm once the old one is proven to be gone.
    text += f". The provider says {case.status} and was told no store order, so that one can take its place."
    return finding(M.MISSING_IN_STORE, text, R.LOOK_AGAIN)


def _cancelled_in_store(case: Case) -> Finding | None:
    """The store order is cancelled or gone, and the provider still wants the order."""
    ledger, store = case.ledger, case.store
    ours = ledger.landing is L.STORE_CANCELLED
    gone = ours or (ledger.landing is L.CANCELLED and ledger.store_order_id)
    if store.live or not (store.found or gone) or (ours and case.waiting):
        return None
    if store.found:
        text = f"In the store, {named(store)} is cancelled, and the provider says {case.status}"
    else:
        text = f"The store no longer has {order_of(ledger)}, and the provider says {case.status}"
    if ours and case.on_its_way:
        text += ": cancelling it there, too, is due and was not done in time."
        return finding(M.CANCELLED_IN_STORE_ONLY, text, R.WAKE)
    text += f", the ledger {landed(ledger)}: what the buyer ordered will not ship."
    return finding(M.CANCELLED_IN_STORE_ONLY, text, "insert.store_cancelled")


def _accepted_not_inserted(case: Case) -> Finding | None:
    """Somebody accepted at the provider what is in no store of ours."""
    ledger = case.ledger
    if not case.accepted_there or ledger.landing not in NO_STORE_ORDER or case.store.live or case.store.found:
        return None
    repair = R.TELL_STATUS if case.behind else R.NONE if case.waiting else R.WAKE
    told = cut(case.source.external_number or case.source.external_id) or "(none)"
    text = f"The provider says {case.status} with store order {told}, the store has none with our reference and the "
    return finding(M.ACCEPTED_NOT_INSERTED, f"{text}ledger {landed(ledger)}: nothing of ours will ship.", repair)


def _not_accepted(case: Case) -> Finding | None:
    """The ledger has it accepted, and the provider says that it still waits."""
    source, ledger, store = case.source, case.ledger, case.store
    if case.status is not S.READY or ledger.landing is not L.ACCEPTED or ledger.source_status is S.CANCELLED:
        return None
    text = (
        f"The ledger has it accepted as {order_of(ledger)}, and the provider still says READY: it does not know that "
        "the order is taken."
    )
    ours = (ledger.store_order_id, ledger.store_order_number)
    repair: Repair | str = R.NONE  # The store order itself is not in order, which is a difference of its own.
    if case.live_one and _is_paid(source, store):
        same = all(ours) and ours == (store.id, store.number) and source.external_id in ("", store.id)
        repair = R.ACCEPT_AGAIN if same else "accept.ids_differ"
    return finding(M.INSERTED_NOT_ACCEPTED, text, repair)


def _document(case: Case) -> Finding | None:
    """The provider's document is not the one that the ledger has mapped."""
    source, ledger = case.source, case.ledger
    if source.problem or source.total is None:
        return None
    moved = _other(ledger.currency, ledger.total, source.currency, source.total)
    moved |= _other(ledger.base_currency, ledger.base_total, source.base_currency, source.base_total)
    hashes = {ledger.content_hash, source.content_hash}
    if not moved and ("" in hashes or len(hashes) == 1):
        return None
    now, before = amount(source.total, source.currency), amount(ledger.total, ledger.currency)
    what = f"its total is {now} as before" if before == now else f"its total was {before} and is {now}"
    text = f"The document at the provider is not the one that the ledger has read: {what}. "
    if case.store.live or ledger.landing in LIVE_STORE_ORDER:
        text += "The store order was made from the older one."
        return finding(M.DOCUMENT_CHANGED, text, "document.changed_after_import")
    if case.store.found or ledger.landing not in NO_STORE_ORDER:
        return None  # Cancelled in the store: nothing ships from either document.
    return finding(M.DOCUMENT_CHANGED, f"{text}Nothing of it is in the store.", R.FETCH)


def _other(currency: str, total: Decimal | None, now_in: str, now: Decimal | None) -> bool:
    """Whether an amount is another one now. One that is not known on both sides says nothing."""
    return total is not None and now is not None and (currency, total) != (now_in, now)


def _status(case: Case) -> Finding | None:
    """Provider and ledger, or ledger and store, stand at different points of the order's life."""
    ledger, store = case.ledger, case.store
    if ledger.landing is L.CANCELLED:
        return _cancelled_here(case)
    if ledger.landing is L.STORE_CANCELLED and store.live:
        text = f"The provider says {case.status}, the ledger {landed(ledger)}, and a store order is live there"
        return finding(M.STATUS_DIFFERS, f"{text}: somebody reopened it.", "cancel.store_order_live")
    lost = case.live_one and ledger.landing in NO_STORE_ORDER
    there = f"{named(store)} carries our reference: the ledger lost its insert."
    told = untold(case.source, ledger)
    if told is not None:
        if _accepted_not_inserted(case) is not None:
            return None  # Which says the same, and what follows from it.
        return finding(M.STATUS_DIFFERS, f"{told.explanation} And {there}", told.repair) if lost else told
    if case.ahead:
        return _went_back(case)
    # Its insert finds it by our reference, once it is due; nothing is created twice.
    wake = R.WAKE if case.on_its_way else R.NONE
    return finding(M.STATUS_DIFFERS, f"The ledger {landed(ledger)}, and {there}", wake) if lost else None


def _cancelled_here(case: Case) -> Finding | None:
    """The ledger has closed the order as cancelled, and the provider has not."""
    ledger, store = case.ledger, case.store
    if not store.live and (store.found or ledger.store_order_id):
        return None  # A cancelled or vanished store order is told by itself.
    what = "a store order is live" if store.live else "the store has none"
    text = f"The provider says {case.status}, the ledger {landed(ledger)}, and {what}: it is not cancelled there."
    return finding(M.STATUS_DIFFERS, text, "cancel.not_at_provider")


def _went_back(case: Case) -> Finding | None:
    """The provider says less than it said before. Its documents may be late; not for ever."""
    ledger = case.ledger
    text = f"The provider says {case.status}, and the ledger {says(ledger)} and {landed(ledger)}: it took that back."
    if case.waiting:
        return None
    if ledger.source_status is S.CANCELLED:
        return finding(M.STATUS_DIFFERS, text, "cancel.not_at_provider")
    if ledger.landing is L.STORE_CANCELLED or _not_accepted(case) is not None:
        return None  # We cancel it anyway; and an acceptance that is missing there is told by itself.
    if ledger.landing in NO_STORE_ORDER and not case.store.live:
        return finding(M.STATUS_DIFFERS, text, R.FETCH)
    return finding(M.STATUS_DIFFERS, text, "fetch.status_went_back")


Rule = Callable[[Case], Finding | None]
_ALIVE: tuple[Rule, ...] = (
    _duplicate,
    _too_early,
    _id,
    _number,
    _money,
    _missing_in_store,
    _cancelled_in_store,
    _accepted_not_inserted,
    _not_accepted,
    _document,
    _unusable,
    _status,
)
