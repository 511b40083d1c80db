"""How a difference between the sides of an order is put into words: short, whatever the other side wrote. Pure."""

from __future__ import annotations

from decimal import Decimal

from models.lifecycle import Landing, SourceStatus
from models.money import MoneyError, round_minor
from models.sides import Finding, LedgerSide, Mismatch, Repair, StoreSide

L, S = Landing, SourceStatus
LONGEST_EXPLANATION = 399
_LANDED = {
    L.SEEN: "knows it by its events only",
    L.FETCHED: "has its document and nothing in the store",
    L.INSERT_UNKNOWN: "does not know yet whether it is in the store",
    L.HELD: "has it in the store, on hold",
    L.INSERTED: "has it in the store, not accepted",
    L.ACCEPT_UNKNOWN: "does not know yet whether it is accepted at the provider",
    L.ACCEPTED: "has it in the store, accepted",
    L.STORE_CANCELLED: "has it as cancelled in the store",
    L.SOURCE_CANCEL_UNKNOWN: "does not know yet whether it is cancelled at the provider",
    L.CANCELLED: "has it as cancelled for good",
}


def finding(mismatch: Mismatch, explanation: str, then: Repair | str) -> Finding:
    """A finding, with its repair or with the code under which a person gets it."""
    text = cut(explanation, LONGEST_EXPLANATION - 1)
    if not text.endswith((".", "?")):
        text += "."
    if isinstance(then, Repair):
        return Finding(mismatch, text, then)
    return Finding(mismatch, text, Repair.PARK, then)


def cut(text: str, most: int = 32) -> str:
    """Somebody else's text on one line and no longer than ``most``."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def landed(ledger: LedgerSide) -> str:
    """What the ledger has done, as the end of "the ledger ..."."""
    return _LANDED[ledger.landing]


def says(ledger: LedgerSide) -> str:
    """The status that the ledger believes, as the end of "the ledger ..."."""
    return "has no status" if ledger.source_status is S.UNSEEN else f"says {ledger.source_status}"


def named(store: StoreSide) -> str:
    """The store order by its number and id."""
    return _order(store.number, store.id)


def order_of(ledger: LedgerSide) -> str:
    """The store order that the ledger has, by its number and id."""
    return _order(ledger.store_order_number, ledger.store_order_id)


def _order(number: str, identifier: str) -> str:
    return f"store order {cut(number) or '(no number)'} (id {cut(identifier) or 'none'})"


def amount(value: Decimal | None, currency: str) -> str:
    """An amount with its currency, in all of its decimals and at least in the currency's."""
    if value is None:
        return "no total"
    shown = value
    try:
        if (rounded := round_minor(value, currency)) == value:
            shown = rounded
    except (MoneyError, ArithmeticError):
        pass  # The store names a currency or an amount that is none; it is shown as it came.
    return f"{cut(f'{shown:f}', 40)} {cut(currency, 8) or '(no currency)'}"
