"""What provider and store said of an order when they were read last: kept for the certificate. No buyer in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from models.glopal import clean_text
from models.ids import AccountKey
from models.sides import OrderSides, SourceSide, StoreSide
from models.tables import Reading

READINGS: Table = Reading.__table__  # type: ignore[attr-defined]
_KEY = ("provider", "environment", "account", "source_order_id")


def reading_row(
    key: AccountKey,
    order_id: int | None,
    sides: OrderSides,
    first_event_at: datetime | None,
    now: datetime,
    *,
    agrees: bool,
) -> dict[str, Any]:
    """One reading for ``write_readings``."""
    source, store = sides.source, sides.store
    told = source or SourceSide(found=False)
    held = store or StoreSide(found=False)
    return {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "source_order_id": sides.order,
        "order_id": order_id,
        "first_event_at": first_event_at,
        "read_at": now,
        "agrees": agrees,
        "source_read": source is not None,
        "source_found": told.found,
        "source_status": clean_text(told.status)[:64],
        "source_currency": clean_text(told.currency)[:16],
        "source_total": told.total,
        "source_base_currency": told.base_currency,
        "source_base_total": told.base_total,
        "source_external_id": clean_text(told.external_id)[:255],
        "source_external_number": clean_text(told.external_number)[:255],
        "source_content_hash": told.content_hash,
        "source_problem": clean_text(told.problem),
        "store_read": store is not None,
        "store_found": held.found,
        "store_several": held.several,
        "store_order_id": held.id[:255],
        "store_order_number": held.number[:255],
        "store_state": held.state,
        "store_currency": held.currency[:16],
        "store_total": held.total,
        "store_problem": clean_text(held.problem),
    }


async def write_readings(session: AsyncSession, ledger: Ledger, rows: Sequence[dict[str, Any]]) -> None:
    """Write readings, each in the place of the order's one before, all in one statement."""
    if not rows:
        return
    dialect: Any = sqlite if ledger.is_sqlite else postgresql
    statement = dialect.insert(READINGS)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in _KEY}
    await session.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=changed), list(rows))


def sides_of(row: Reading) -> tuple[SourceSide | None, StoreSide | None]:
    """The provider's and the store's side, as they were read."""
    source = SourceSide(
        found=row.source_found,
        status=row.source_status,
        currency=row.source_currency,
        total=row.source_total,
        base_currency=row.source_base_currency,
        base_total=row.source_base_total,
        external_id=row.source_external_id,
        external_number=row.source_external_number,
        content_hash=row.source_content_hash,
        problem=row.source_problem,
    )
    store = StoreSide(
        found=row.store_found,
        several=row.store_several,
        id=row.store_order_id,
        number=row.store_order_number,
        state=row.store_state,
        currency=row.store_currency,
        total=row.store_total,
        problem=row.store_problem,
    )
    return source if row.source_read else None, store if row.store_read else None
