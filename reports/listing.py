"""The few orders that a certificate names: those that differ, and those that wait for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from models.ranges import day_of
from models.sides import LedgerSide, SourceSide, StoreSide
from reports.counting import UNEXPLAINED, Counted
from reports.facts import OrderFact
from reports.model import Difference, Listing, ParkedOrder, Tally
from reports.words import UNUSABLE, grouped

T = TypeVar("T")
Key = tuple[int, date, str]


class Firsts(Generic[T]):
    """The first ``most`` entries by their keys, however many are offered and in whatever order."""

    def __init__(self, most: int) -> None:
        self.offered = 0
        self._most = most
        self._kept: list[tuple[Key, T]] = []
        self._last: Key | None = None

    def offer(self, key: Key, make: Callable[[], T]) -> None:
        """Take an entry, which is made only when it may be among the first."""
        self.offered += 1
        if self._last is not None and key >= self._last:
            return
        self._kept.append((key, make()))
        if len(self._kept) >= 2 * self._most + 1:
            self._cut()

    def _cut(self) -> None:
        self._kept.sort(key=lambda entry: entry[0])
        del self._kept[self._most :]
        self._last = self._kept[-1][0] if self._kept else (0, date.min, "")

    def entries(self) -> tuple[T, ...]:
        """The first ones, in order."""
        return tuple(entry for _, entry in sorted(self._kept, key=lambda entry: entry[0])[: self._most])


class Names:
    """Collects what the certificate names."""

    def __init__(self, most: int, zone: ZoneInfo) -> None:
        self._zone, self._most = zone, most
        self._differences: Firsts[Difference] = Firsts(most)
        self._parked: Firsts[ParkedOrder] = Firsts(most)

    def take(self, fact: OrderFact, counted: Counted) -> None:
        """Name the order, if it is one to name."""
        parked = fact.ledger is not None and counted.ledger.state == "parked"
        kind = _kind(counted)
        if not kind and not parked:
            return
        day = day_of(fact.first_event_at, self._zone)
        if kind:
            rank = (UNEXPLAINED, "ledger", "not read").index(kind)
            self._differences.offer((rank, day, fact.order), lambda: _difference(fact, counted, kind, day))
        if parked:
            self._parked.offer((0, day, fact.order), lambda: _parked(fact, day))

    def listing(self) -> Listing:
        """All that was named."""
        return Listing(
            differences=self._differences.entries(),
            parked=self._parked.entries(),
            differences_in_all=self._differences.offered,
            parked_in_all=self._parked.offered,
            most=self._most,
        )


def _kind(counted: Counted) -> str:
    if counted.because == UNEXPLAINED:
        return UNEXPLAINED
    if counted.ledger_says:
        return "ledger"
    return "not read" if counted.unread else ""


def _difference(fact: OrderFact, counted: Counted, kind: str, day: date) -> Difference:
    provider, ledger, store = _provider_words(fact.source), _ledger_words(fact.ledger), _store_words(fact.store)
    says = {"ledger": counted.ledger_says, "not read": counted.unread}.get(kind) or _why(fact, counted)
    adds = {currency: Tally(orders, amount) for currency, orders, amount in counted.adds}
    return Difference(fact.order, day, kind, provider, ledger, store, says, adds)


def _why(fact: OrderFact, counted: Counted) -> str:
    """What an unexplained difference is, in plain words."""
    also = f"; {counted.ledger_says}" if counted.ledger_says else ""
    paid, live = counted.provider.state == "paid", counted.store.state == "live"
    if fact.store is not None and fact.store.several:
        return f"the store has several live orders with our reference{also}"
    if not live:
        return f"paid at the provider and not live in the store{also}"
    if not paid:
        return f"live in the store and not paid at the provider{also}"
    other = "currency" if counted.provider.currency != counted.store.currency else "amount"
    return f"the store has another {other} than the provider{also}"


def _parked(fact: OrderFact, day: date) -> ParkedOrder:
    ledger = fact.ledger
    if ledger is None:
        raise ValueError("an order that the ledger does not know cannot be parked")
    currency, total = _best_amount(fact.source, ledger)
    since = fact.ready_at or fact.first_event_at
    return ParkedOrder(fact.order, day, since, ledger.parked_code, ledger.parked_reason, currency, total)


def _best_amount(source: SourceSide | None, ledger: LedgerSide) -> tuple[str, Decimal]:
    if source is not None and source.total is not None:
        return source.currency, source.total
    return (ledger.currency, ledger.total) if ledger.total is not None else (UNUSABLE, Decimal(0))


def _money(total: Decimal | None, currency: str) -> str:
    return f", {grouped(total, currency)} {currency or UNUSABLE}" if total is not None else ", no amount"


def _provider_words(source: SourceSide | None) -> str:
    if source is None:
        return "not read"
    return f"{source.status}{_money(source.total, source.currency)}" if source.found else "unknown there"


def _ledger_words(ledger: LedgerSide | None) -> str:
    return "missing" if ledger is None else f"{ledger.bucket}{_money(ledger.total, ledger.currency)}"


def _store_words(store: StoreSide | None) -> str:
    if store is None:
        return "not read"
    if store.several:
        return "several live orders"
    return f"{store.state}{_money(store.total, store.currency)}" if store.found else "missing"
