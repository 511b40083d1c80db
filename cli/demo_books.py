"""Do all books agree? Glopal's, the stores' and the ledger's, each read at its own source, compared order by order.

Pure: it gets lines and gives verdicts. No buyer is in any line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

CANCELLED = "CANCELLED"
RECEIVED = "RECEIVED"
ACCEPTED = ("ACCEPTED", "COMPLETED")


@dataclass(frozen=True, slots=True)
class GlopalLine:
    """One order as the simulated Glopal really has it."""

    order: str
    status: str
    accepts: int
    external_id: str | None
    external_number: str | None
    currency: str | None
    total: Decimal | None


@dataclass(frozen=True, slots=True)
class StoreLine:
    """One store order as the store really has it."""

    reference: str
    id: str
    number: str
    state: str
    currency: str
    total: Decimal

    @property
    def live(self) -> bool:
        """Whether the merchant may ship it."""
        return self.state != "cancelled"


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One order as the ledger has it. ``bucket`` is the counting rule of every report."""

    order: str
    reference: str
    bucket: str
    store_id: str | None
    store_number: str | None
    parked_code: str | None = None
    parked_reason: str | None = None


@dataclass(slots=True)
class AccountBooks:
    """Everything that is known about one account, from three sides."""

    name: str
    glopal: list[GlopalLine]
    store: list[StoreLine]
    ledger: list[LedgerLine]
    reference: Callable[[str], str]


@dataclass(slots=True)
class Verdict:
    """One statement that must hold, and every order for which it does not."""

    says: str
    looked_at: int = 0
    against: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.against


def verdicts_of(accounts: Iterable[AccountBooks]) -> list[Verdict]:
    """Every statement about all accounts, in the order of the promise."""
    found = {name: Verdict(says) for name, says in _STATEMENTS.items()}
    for books in accounts:
        _Comparison(books, found).run()
    return list(found.values())


_STATEMENTS = {
    "known": "every order at Glopal is in the ledger, and no other",
    "landed": "each paid order has one live store order, or is parked with a reason",
    "accepted": "each of those is accepted at Glopal, once, with the right id and number",
    "amount": "each live store order has the total that was paid, to the smallest unit",
    "cancelled": "no cancelled order has a live store order",
    "strangers": "no store order without an order at Glopal, and none twice",
    "ledger": "the ledger says the same as Glopal and the store about every order",
    "rest": "nothing is left under way or unknown",
}


class _Comparison:
    """Compares one account's books."""

    def __init__(self, books: AccountBooks, verdicts: dict[str, Verdict]) -> None:
        self.name = books.name
        self.books = books
        self.verdicts = verdicts
        self.ledger = {line.order: line for line in books.ledger}
        self.stored: dict[str, list[StoreLine]] = {}
        for line in books.store:
            self.stored.setdefault(line.reference, []).append(line)

    def run(self) -> None:
        """Look at every order from every side."""
        theirs = {line.order for line in self.books.glopal}
        for order in sorted(set(self.ledger) - theirs):
            self._against("known", order, "is in the ledger and not at Glopal")
        references = {self.books.reference(order) for order in theirs}
        for reference, lines in self.stored.items():
            self.verdicts["strangers"].looked_at += 1
            if reference not in references:
                self._against("strangers", reference, "is in the store and not at Glopal")
            if len(lines) > 1:
                self._against("strangers", reference, f"is in the store {len(lines)} times")
        for line in self.books.glopal:
            self._order(line)

    def _against(self, name: str, order: str, what: str) -> None:
        self.verdicts[name].against.append(f"{self.name} {order}: {what}")

    def _order(self, glopal: GlopalLine) -> None:
        self.verdicts["known"].looked_at += 1
        ours = self.ledger.get(glopal.order)
        if ours is None:
            self._against("known", glopal.order, "is at Glopal and not in the ledger")
            return
        live = [line for line in self.stored.get(ours.reference, []) if line.live]
        self.verdicts["rest"].looked_at += 1
        if ours.bucket in ("under way", "outcome unknown"):
            self._against("rest", glopal.order, ours.bucket)
        self._ledger_agrees(glopal, ours, live)
        if glopal.status == CANCELLED:
            self.verdicts["cancelled"].looked_at += 1
            if live and ours.bucket != "parked":
                self._against("cancelled", glopal.order, f"store order {live[0].number} is {live[0].state}")
        elif glopal.status != RECEIVED:
            self._paid(glopal, ours, live)
        elif live:
            self._against("landed", glopal.order, "is live in the store and not paid yet")

    def _paid(self, glopal: GlopalLine, ours: LedgerLine, live: list[StoreLine]) -> None:
        self.verdicts["landed"].looked_at += 1
        if ours.bucket == "parked" and ours.parked_reason:
            return
        if len(live) != 1:
            self._against("landed", glopal.order, f"has {len(live)} live store orders and is not parked")
            return
        [store] = live
        self.verdicts["accepted"].looked_at += 1
        if glopal.status not in ACCEPTED:
            self._against("accepted", glopal.order, f"is {glopal.status}")
        elif (glopal.external_id, glopal.external_number) != (store.id, store.number):
            told = f"{glopal.external_id}/{glopal.external_number}"
            self._against("accepted", glopal.order, f"Glopal was told {told}, the store has {store.id}/{store.number}")
        elif glopal.accepts != 1:
            self._against("accepted", glopal.order, f"was accepted {glopal.accepts} times")
        self.verdicts["amount"].looked_at += 1
        if (store.currency, store.total) != (glopal.currency, glopal.total):
            paid = f"{glopal.total} {glopal.currency}"
            self._against("amount", glopal.order, f"{paid} were paid, the store has {store.total} {store.currency}")

    def _ledger_agrees(self, glopal: GlopalLine, ours: LedgerLine, live: list[StoreLine]) -> None:
        self.verdicts["ledger"].looked_at += 1
        if ours.bucket == "parked":
            return
        expected = {CANCELLED: "cancelled", RECEIVED: "waiting for the provider"}.get(glopal.status, "landed")
        if ours.bucket != expected:
            self._against("ledger", glopal.order, f"Glopal says {glopal.status}, the ledger says {ours.bucket}")
        elif live and (ours.store_id, ours.store_number) != (live[0].id, live[0].number):
            noted = f"{ours.store_id}/{ours.store_number}"
            self._against("ledger", glopal.order, f"the ledger has {noted}, the store {live[0].id}/{live[0].number}")


def standing(accounts: Iterable[AccountBooks]) -> dict[str, dict[str, int]]:
    """How many orders stand where, by side: what a person compares at a glance."""
    glopal: Counter[str] = Counter()
    store: Counter[str] = Counter()
    ledger: Counter[str] = Counter()
    for books in accounts:
        glopal.update(line.status for line in books.glopal)
        store.update(line.state for line in books.store)
        ledger.update(line.bucket for line in books.ledger)
    return {"glopal": dict(glopal), "store": dict(store), "ledger": dict(ledger)}
