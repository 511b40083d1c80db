"""Sides of one order that are in line with each other, unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from models.compare import compare
from models.lifecycle import LIVE_STORE_ORDER, Landing, SourceStatus
from models.sides import Comparison, LedgerSide, OrderSides, SourceSide, StoreSide

NOW = datetime(2024, 5, 2, 12, 0, tzinfo=UTC)
STUCK_AFTER = timedelta(hours=24)
YOUNG, OLD = NOW - timedelta(hours=24), NOW - timedelta(hours=24, microseconds=1)
PAID, BASE = Decimal("10.00"), Decimal("9.10")
NOT_THERE, NOT_IN_STORE = SourceSide(found=False), StoreSide(found=False)
SEVERAL = StoreSide(found=True, several=True, problem="orders 1001 and 1002 carry it")
WAS_IN_STORE = LIVE_STORE_ORDER | {Landing.STORE_CANCELLED, Landing.CANCELLED}


def source(status: str, **more: Any) -> SourceSide:
    """The provider's side; once accepted, it was told store order S1 with number 1001."""
    told = {"external_id": "S1", "external_number": "1001"} if status in ("ACCEPTED", "COMPLETED") else {}
    amounts = {"currency": "EUR", "total": PAID, "base_currency": "GBP", "base_total": BASE, "content_hash": "h1"}
    return SourceSide(**{"found": True, "status": status, **amounts, **told, **more})


def ledger(landing: Landing, status: str, **more: Any) -> LedgerSide:
    """The ledger's side; store order S1 stands in it once there was one, and the document once it was read."""
    fields: dict[str, Any] = {"bucket": "under way", "landing": landing, "source_status": SourceStatus(status)}
    if landing in WAS_IN_STORE:
        fields |= {"store_order_id": "S1", "store_order_number": "1001"}
    if landing is not Landing.SEEN:
        fields |= {"currency": "EUR", "total": PAID, "base_currency": "GBP", "base_total": BASE, "content_hash": "h1"}
    return LedgerSide(**{**fields, "open_since": YOUNG, **more})


def store(state: str, **more: Any) -> StoreSide:
    """The store's side: order S1 with number 1001, worth what was paid."""
    fields = {"id": "S1", "number": "1001", "state": state, "currency": "EUR", "total": PAID}
    return StoreSide(**{"found": True, **fields, **more})


def compared(source: SourceSide | None, ledger: LedgerSide | None, store: StoreSide | None) -> Comparison:
    """The comparison of one order now."""
    return compare(OrderSides("310678-936140", source, ledger, store), now=NOW, stuck_after=STUCK_AFTER)
