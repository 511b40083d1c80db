"""The counting rule: in which states one order stands on the three sides, what it adds to their difference, and why.

An order's contribution to the difference is what it adds to "paid at the provider" less what it adds to "live in the
store", in each currency. A contribution that is not zero goes under exactly one explanation, or is unexplained. So the
explanations and what is unexplained always add up to the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from models.currencies import EXPONENTS
from models.lifecycle import SourceStatus
from models.money import total_of
from models.sides import LedgerSide, SourceSide, StoreSide
from reports.facts import OrderFact
from reports.words import UNUSABLE, paragraphs

PROVIDER_STATES = ("paid", "waiting", "cancelled", "other", "unknown there", "not read")
LEDGER_STATES = (
    "landed", "cancelled", "parked", "under way", "outcome unknown", "waiting", "closed", "other", "missing",
)  # fmt: skip
STORE_STATES = ("live", "cancelled", "missing", "not read")
EXPLANATIONS = ("parked", "under way", "waiting", "closed", "not read")
UNEXPLAINED = "unexplained"

RULES = paragraphs(
    """
    An order counts on the day, in the time zone above, on which the provider first spoke of it. A day begins at its
    first moment and ends before the next day's.

    Provider: paid means READY, ACCEPTED or COMPLETED; waiting means RECEIVED, before the payment or the screening is
    done. The amount is what the buyer paid, in the currency that the buyer paid in.

    Ledger: what Crossdock has of the order. An order that waits for a person is parked, whatever else it is; then it
    is settled (landed, cancelled, or closed without landing), then its outcome is unknown, then it waits for the
    provider or is under way.

    Store: live means that the store has an order with our reference that is not cancelled.

    A store order in the merchant's own currency of exactly the provider's total in that currency counts with the
    amount that the buyer paid. Any other store order counts with its own currency and amount.

    The difference is paid at the provider less live in the store, in orders and in money, by currency. What each
    order adds to it goes under exactly one of these, and together they are the whole difference: not read (a side was
    never read, was read before the order was accepted, or states no usable status or amount of an order that is not
    parked), parked, closed, under way (only while one side has the order and the other has not), waiting (held in the
    store until the provider says that it is paid), or unexplained.

    A day agrees when each of its orders was read on both sides, nothing is unexplained, the ledger knows every order
    with the provider's amount, and no finding is open but those of parked orders.

    Orders of which no usable currency is known stand under ? and are counted without an amount.

    Nothing is rounded and no currency is converted.
    """
)

PAID = frozenset({SourceStatus.READY, SourceStatus.ACCEPTED, SourceStatus.COMPLETED})
_PROVIDER = {
    **dict.fromkeys(PAID, "paid"),
    SourceStatus.RECEIVED: "waiting",
    SourceStatus.CANCELLED: "cancelled",
}
# By the words of ledger.policy.bucket_of. The two longest are cut to fit a table.
_BUCKETS = {
    "landed": "landed",
    "cancelled": "cancelled",
    "parked": "parked",
    "under way": "under way",
    "outcome unknown": "outcome unknown",
    "waiting for the provider": "waiting",
    "closed without landing": "closed",
}
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an order counts on one side: its state, and the currency and the amount that it adds there."""

    state: str
    currency: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class Counted:
    """One order, counted.

    Attributes:
        provider: where it counts on the provider's side.
        ledger: the same in the ledger.
        store: the same in the store.
        in_base: whether the store keeps it in the merchant's currency, with exactly the provider's total.
        adds: what it adds to the difference: currency, orders and sum. Empty when it adds nothing.
        because: the explanation under which that goes, or ``UNEXPLAINED``; empty when there is nothing to explain.
        unread: why its sides cannot be compared; empty when they can.
        ledger_says: what the ledger has otherwise than the provider; empty when nothing.
    """

    provider: Place
    ledger: Place
    store: Place
    in_base: bool
    adds: tuple[tuple[str, int, Decimal], ...]
    because: str
    unread: str
    ledger_says: str


def state_of_bucket(bucket: str) -> str:
    """The certificate's word for a bucket of the ledger."""
    return _BUCKETS.get(bucket, "other")


def count_order(fact: OrderFact) -> Counted:
    """Count one order."""
    currency = _currency_of(fact)
    provider = _provider_place(fact.source, currency)
    ledger = _ledger_place(fact.ledger, currency)
    store, in_base = _store_place(fact.store, fact.source, currency)
    adds = _adds(provider, store)
    unread = _unread(fact, provider, store)
    several = fact.store is not None and fact.store.several
    because = _because(fact, unread, bool(adds), store.state) if adds or several else ""
    return Counted(provider, ledger, store, in_base, adds, because, unread, _ledger_says(fact, provider, ledger))


def _usable(currency: str, total: Decimal | None) -> bool:
    return currency in EXPONENTS and total is not None and total.is_finite()


def _currency_of(fact: OrderFact) -> str:
    """The order's currency: the provider's word on it, and only without any the ledger's or the store's."""
    if fact.source is not None and fact.source.found:
        told = [fact.source.currency]
    else:
        told = [side.currency for side in (fact.ledger, fact.store) if side is not None]
    return next((currency for currency in told if currency in EXPONENTS), UNUSABLE)


def _provider_place(source: SourceSide | None, currency: str) -> Place:
    if source is None:
        return Place("not read", currency, _ZERO)
    if not source.found:
        return Place("unknown there", currency, _ZERO)
    status = source.known_status
    state = "other" if status is None else _PROVIDER.get(status, "other")
    total = source.total if source.total is not None and _usable(source.currency, source.total) else _ZERO
    return Place(state, currency, total)


def _ledger_place(ledger: LedgerSide | None, currency: str) -> Place:
    if ledger is None:
        return Place("missing", currency, _ZERO)
    state = state_of_bucket(ledger.bucket)
    if ledger.total is not None and _usable(ledger.currency, ledger.total):
        return Place(state, ledger.currency, ledger.total)
    return Place(state, currency, _ZERO)


def _store_place(store: StoreSide | None, source: SourceSide | None, currency: str) -> tuple[Place, bool]:
    if store is None:
        return Place("not read", currency, _ZERO), False
    state = "live" if store.live else "cancelled" if store.found else "missing"
    # Several live orders have several amounts, and none of them is the order's.
    if state == "missing" or store.several or store.total is None or not _usable(store.currency, store.total):
        return Place(state, currency, _ZERO), False
    if source is not None and _in_base(store, source):
        return Place(state, source.currency, source.total or _ZERO), True
    return Place(state, store.currency, store.total), False


def _in_base(store: StoreSide, source: SourceSide) -> bool:
    return (
        _usable(source.currency, source.total)
        and store.currency == source.base_currency != source.currency
        and store.total == source.base_total
    )


def _adds(provider: Place, store: Place) -> tuple[tuple[str, int, Decimal], ...]:
    paid = [(provider.currency, 1, provider.total)] if provider.state == "paid" else []
    # copy_negate and total_of, because a minus sign would round to the context's digits.
    live = [(store.currency, -1, store.total.copy_negate())] if store.state == "live" else []
    if paid and live and provider.currency == store.currency:
        both = total_of([provider.total, live[0][2]])
        return ((provider.currency, 0, both),) if both else ()
    return (*paid, *live)


def _unread(fact: OrderFact, provider: Place, store: Place) -> str:
    """Why the sides cannot be compared, in plain words; empty when they can."""
    source, there = fact.source, fact.store
    missing = [name for name, side in (("the provider", source), ("the store", there)) if side is None]
    if source is None or there is None:
        return f"{' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} not read"
    if fact.read_at is not None and fact.accepted_at is not None and fact.read_at < fact.accepted_at:
        return "provider and store were read before it was accepted, and not since"
    if fact.ledger is not None and state_of_bucket(fact.ledger.bucket) == "parked":
        # What cannot be read in it is why it waits for a person, who has it already.
        return ""
    if provider.state == "other":
        return f"the provider's status {source.status!r} is not known to Crossdock"
    if provider.state == "paid" and not _usable(source.currency, source.total):
        return "the provider's document states no usable amount"
    if store.state == "live" and not there.several and not _usable(there.currency, there.total):
        return "the store states no usable amount"
    return ""


def _because(fact: OrderFact, unread: str, adds: bool, stored: str) -> str:
    """Under which explanation the order's contribution goes. The first that fits."""
    if unread:
        return "not read"
    if fact.ledger is None or fact.source is None or fact.store is None:
        return UNEXPLAINED
    state = state_of_bucket(fact.ledger.bucket)
    if state in {"parked", "closed"}:
        return state
    status = fact.source.known_status
    one_sided = adds and fact.source.found and (status in PAID) != (stored == "live") and not fact.store.several
    if state in {"under way", "outcome unknown"} and one_sided:
        return "under way"
    held = fact.store.state == "held" and status is SourceStatus.RECEIVED
    return "waiting" if state == "waiting" and held and one_sided else UNEXPLAINED


def _ledger_says(fact: OrderFact, provider: Place, ledger: Place) -> str:
    if fact.ledger is None:
        return "the ledger does not know the order"
    source = fact.source
    # A parked order waits for a person, who sees both amounts; a closed one may never have been read.
    if source is None or ledger.state in {"parked", "closed"} or not _usable(source.currency, source.total):
        return ""
    if not _usable(fact.ledger.currency, fact.ledger.total):
        return ""
    same = (ledger.currency, ledger.total) == (provider.currency, provider.total)
    return "" if same else "the ledger has another amount than the provider"
