"""The hot path's rows: order rows as slim objects, read and written in bulk.

A poll of thousands of orders changes each row five times. Through mapped objects that cost more than the HTTP calls
beside it; these rows are plain objects, loaded by one SELECT and saved by one UPDATE for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import MAX_IN_LIST
from models.ids import AccountKey, Provider
from models.tables import Effect, SourceOrder

ORDERS: Table = SourceOrder.__table__  # type: ignore[attr-defined]
EFFECTS: Table = Effect.__table__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Row:
    """One order row; the fields are the table's columns."""

    id: int
    provider: Provider
    environment: str
    account: str
    source_order_id: str
    reference: str
    source_status: str
    document_status: str | None
    landing: str
    store_state: str | None
    source_at: datetime | None
    priority: int
    due_at: datetime | None
    attempts: int
    deadline_at: datetime | None
    deadline_applied_at: datetime | None
    warned_at: datetime | None
    parked_at: datetime | None
    parked_code: str | None
    parked_reason: str | None
    parked_with: str | None
    refused_since: datetime | None
    rechecked_at: datetime | None
    cancel_wanted: str | None
    cancel_by: str | None
    closed_at: datetime | None
    closed_why: str | None
    unknown_since: datetime | None
    probes_missed: int
    currency: str | None
    total: Decimal | None
    base_currency: str | None
    base_total: Decimal | None
    document_id: int | None
    store_order_id: str | None
    store_order_number: str | None
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    effect_seq: int
    effect_hash: str
    first_seen_at: datetime
    ready_at: datetime | None
    inserted_at: datetime | None
    accepted_at: datetime | None
    settled_at: datetime | None
    reconciled_at: datetime | None
    updated_at: datetime

    @property
    def key(self) -> AccountKey:
        """The account that this order belongs to."""
        return AccountKey(self.provider, self.environment, self.account)


_NAMES = [field.name for field in fields(Row)]
_FIXED = {"id", "provider", "environment", "account", "source_order_id", "reference", "first_seen_at"}
_CHANGING = [name for name in _NAMES if name not in _FIXED]
_SELECT = select(*(ORDERS.c[name] for name in _NAMES))
_UPDATE = (
    update(ORDERS)
    .where(ORDERS.c.id == bindparam("row_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)


def rows_where(*conditions: ColumnElement[bool]) -> Select[Any]:
    """A SELECT of whole rows; run it with ``fetch_rows``."""
    return _SELECT.where(*conditions)


async def fetch_rows(session: AsyncSession, query: Select[Any]) -> list[Row]:
    """Run a query made by ``rows_where``."""
    return [Row(*values) for values in await session.execute(query)]


async def load_rows(session: AsyncSession, ids: Iterable[int], *, lock: bool = True) -> dict[int, Row]:
    """Rows by id, locked for this transaction, always in the same order so that two writers cannot deadlock."""
    wanted = sorted(set(ids))
    found: dict[int, Row] = {}
    for start in range(0, len(wanted), MAX_IN_LIST):
        query = rows_where(ORDERS.c.id.in_(wanted[start : start + MAX_IN_LIST])).order_by(ORDERS.c.id)
        if lock:
            # PostgreSQL's foreign keys lock the rows that events point to; FOR UPDATE would deadlock with them.
            query = query.with_for_update(key_share=True)
        found.update({row.id: row for row in await fetch_rows(session, query)})
    return found


async def save_rows(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Write rows back, all in one statement."""
    if rows:
        values = [{"row_id": row.id, **{f"new_{name}": getattr(row, name) for name in _CHANGING}} for row in rows]
        await session.execute(_UPDATE, values)


async def save_effects(session: AsyncSession, lines: Sequence[dict[str, Any]]) -> None:
    """Append effect lines, all in one statement."""
    if lines:
        await session.execute(insert(EFFECTS), list(lines))
