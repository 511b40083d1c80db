"""What people must hear about: written in the transaction that it tells of, told afterwards, marked once told.

A run that is killed between the two loses nothing: the next one tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Table, insert, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.hot import ORDERS
from models.ids import AccountKey
from models.tables import Notice

NOTICES: Table = Notice.__table__  # type: ignore[attr-defined]
News = Literal["crossdock.order.parked", "crossdock.order.late", "crossdock.cancel.blocked"]


@dataclass(frozen=True, slots=True)
class Told:
    """One notice. No buyer's data in it."""

    event: str
    order_id: int
    source_order_id: str
    account: str
    code: str
    reason: str
    notice_id: int | None = None


def notice_row(order_id: int, event: News, code: str, reason: str, now: datetime) -> dict[str, Any]:
    """One notice for ``save_notices``."""
    return {"order_id": order_id, "event": event, "code": code, "reason": reason, "at": now, "told_at": None}


async def save_notices(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Write notices, all in one statement."""
    if rows:
        await session.execute(insert(NOTICES), list(rows))


async def untold(ledger: Ledger, key: AccountKey, limit: int = 1000) -> list[Told]:
    """Notices of an account that nobody was told yet, oldest first."""
    async with ledger.read() as session:
        query = (
            select(
                NOTICES.c.id,
                NOTICES.c.event,
                NOTICES.c.order_id,
                ORDERS.c.source_order_id,
                NOTICES.c.code,
                NOTICES.c.reason,
            )
            .join(ORDERS, ORDERS.c.id == NOTICES.c.order_id)
            .where(
                NOTICES.c.told_at.is_(None),
                ORDERS.c.provider == key.provider,
                ORDERS.c.environment == key.environment,
                ORDERS.c.account == key.account,
            )
            .order_by(NOTICES.c.id)
            .limit(limit)
        )
        return [
            Told(event, order_id, source_order_id, str(key), code, reason, notice_id)
            for notice_id, event, order_id, source_order_id, code, reason in await session.execute(query)
        ]


async def mark_told(ledger: Ledger, told: Sequence[Told]) -> None:
    """Mark notices as told."""
    ids = [notice.notice_id for notice in told if notice.notice_id is not None]
    if ids:
        async with ledger.write() as session:
            await session.execute(update(Notice).where(col(Notice.id).in_(ids)).values(told_at=ledger.clock()))
