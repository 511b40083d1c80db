"""Read canonical orders a few at a time: one query for many orders, and never all of a large batch in memory."""

from __future__ import annotations

import asyncio
from itertools import islice

from sqlmodel import col, select

from ledger.engine import Ledger
from models.tables import OrderRecord

AT_ONCE = 50


class DocumentReader:
    """Hands out canonical orders by document id; whoever asks first brings the next ``AT_ONCE`` expected ones along."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._expected: dict[int, None] = {}
        self._read: dict[int, str | None] = {}
        self._lock = asyncio.Lock()

    def expect(self, ids: list[int]) -> None:
        """Say which documents will be asked for soon, in that order."""
        self._expected.update(dict.fromkeys(ids))

    async def get(self, document_id: int) -> str | None:
        """The canonical order's JSON, or None when the document could not be mapped. Each is handed out once."""
        async with self._lock:
            if document_id not in self._read:
                await self._fill(document_id)
            return self._read.pop(document_id, None)

    async def _fill(self, document_id: int) -> None:
        self._expected.pop(document_id, None)
        following = list(islice(self._expected, AT_ONCE - 1))
        for key in following:
            del self._expected[key]
        # What nobody came for (its order moved on) must not pile up.
        if len(self._read) > 4 * AT_ONCE:
            self._read.clear()
        async with self._ledger.read() as session:
            wanted = [document_id, *following]
            query = select(OrderRecord.id, OrderRecord.canonical).where(col(OrderRecord.id).in_(wanted))
            self._read.update({key: text for key, text in await session.exec(query) if key is not None})
