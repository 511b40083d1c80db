"""Comparisons for the ledger's tests: what the other sides say of an order, and what is written of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from ledger import Ledger
from ledger.reconcile import Judged, Saved, load_to_compare, save_judged
from ledger.steps import Rules
from models.compare import compare
from models.sides import Comparison, Finding, Mismatch, OrderSides, Repair, SourceSide, StoreSide
from models.tables import FindingRow, SourceOrder
from tests.ledger.kit import ACCOUNT, RULES, STORE, id_of
from tests.models.sides_of import PAID, source, store

STUCK_AFTER = timedelta(hours=24)
_IDS = {"id": STORE["store_order_id"], "number": STORE["store_order_number"]}


def says(status: str, **more: Any) -> SourceSide:
    """The provider's side of an order that ``bring_to`` brought somewhere."""
    told = {"external_id": _IDS["id"], "external_number": _IDS["number"]} if status in ("ACCEPTED", "COMPLETED") else {}
    return source(status, **{**told, "base_currency": "EUR", "base_total": PAID, **more})


def has(state: str, **more: Any) -> StoreSide:
    """The store's side of it."""
    return store(state, **{**_IDS, **more})


TOLD, HERE = says("ACCEPTED"), has("open")
TWICE = PAID * 2


@dataclass
class Look:
    """What provider and store say of an order."""

    source: SourceSide | None = TOLD
    store: StoreSide | None = HERE


async def judged(ledger: Ledger, said: dict[str, Look]) -> list[Judged]:
    """Compare orders as a reconciliation does, with these words of the other sides."""
    ids = [await id_of(ledger, order) for order in said]
    made = []
    for order in await load_to_compare(ledger, ids, RULES):
        look = said[order.source_order_id]
        sides = OrderSides(order.source_order_id, look.source, order.side, look.store)
        made.append(Judged(order, sides, compare(sides, now=ledger.clock(), stuck_after=STUCK_AFTER), None))
    return made


async def save(ledger: Ledger, entries: list[Judged], *, repair: bool = True, rules: Rules = RULES) -> Saved:
    """Write what was compared."""
    return await save_judged(ledger, ACCOUNT, rules, entries, repair=repair)


async def look(ledger: Ledger, said: Look | None = None, *, order: str = "100-1", repair: bool = True) -> Saved:
    """Compare one order and write what came of it."""
    return await save(ledger, await judged(ledger, {order: said or Look()}), repair=repair)


def told(order: str, mismatch: Mismatch, repair: Repair, code: str = "") -> Comparison:
    """A comparison with one finding."""
    return Comparison(agrees=False, findings=(Finding(mismatch, f"{order} is different.", repair, code),))


async def findings_now(ledger: Ledger) -> list[tuple[str, str, bool]]:
    """All findings: order, class, whether it is open."""
    async with ledger.read() as session:
        rows = await session.exec(select(FindingRow).order_by(col(FindingRow.id)))
        return [(row.source_order_id, row.mismatch, row.closed_at is None) for row in rows]


async def change(ledger: Ledger, order: str = "", **values: Any) -> None:
    """Overwrite columns of an order's row, or of every order's."""
    statement = update(SourceOrder).where(col(SourceOrder.source_order_id) == order) if order else update(SourceOrder)
    async with ledger.write() as session:
        if values:
            await session.execute(statement.values(**values))


async def findings_of(ledger: Ledger, order: str = "100-1") -> list[FindingRow]:
    """An order's findings, the oldest first."""
    async with ledger.read() as session:
        query = select(FindingRow).where(FindingRow.source_order_id == order).order_by(col(FindingRow.id))
        return list(await session.exec(query))
