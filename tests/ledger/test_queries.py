"""Questions to the ledger: finding and listing orders, and what is parked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import Ledger
from ledger.documents import DocumentReader
from ledger.queries import find_orders, list_orders, parked_orders
from ledger.steps import NewDocument
from models.lifecycle import Landing, Step
from tests.ledger.kit import (
    ACCOUNT,
    Statements,
    bring_to,
    claim,
    end,
    new_account,
    not_yet,
    ready,
    refused,
    row_of,
    start,
    take,
)
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio


async def _some(ledger: Ledger, clock: VirtualClock) -> None:
    await bring_to(ledger, Landing.ACCEPTED, "1-1")
    await bring_to(ledger, Landing.FETCHED, "1-2")
    for order in ("1-3", "1-4"):
        await bring_to(ledger, Landing.FETCHED, order)
        await end(ledger, refused(await take(ledger, Step.INSERT, order)))
        clock.forward(1)


async def test_orders_are_found_by_any_of_their_numbers(ledger: Ledger, clock: VirtualClock) -> None:
    """The provider's id, our reference, the store's id and its number all lead to the order."""
    await _some(ledger, clock)
    for wanted in ("1-1", "glopal.live.912.1-1", "7001", "000092"):
        assert [order.source_order_id for order in await find_orders(ledger, wanted)] == ["1-1"]

    assert await find_orders(ledger, "1") == []


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (None, ["1-4", "1-3", "1-2", "1-1"]),
        ("open", ["1-4", "1-3", "1-2"]),
        ("parked", ["1-4", "1-3"]),
        ("settled", ["1-1"]),
    ],
)
async def test_orders_are_listed_newest_first(
    ledger: Ledger, clock: VirtualClock, only: str | None, found: list[str]
) -> None:
    """All, open, parked and settled orders of one account or of all."""
    await _some(ledger, clock)

    assert [order.source_order_id for order in await list_orders(ledger, only=only)] == found
    assert len(await list_orders(ledger, key=ACCOUNT, only=only, limit=1)) == 1
    assert await list_orders(ledger, key=new_account(), only=only) == []


async def test_parked_orders_are_told_with_reason_and_time(ledger: Ledger, clock: VirtualClock) -> None:
    """Parked orders come newest first, with why and since when."""
    await _some(ledger, clock)
    parked = await parked_orders(ledger, ACCOUNT)

    assert [(one.source_order_id, one.code) for one in parked] == [
        ("1-4", "insert.unknown_sku"),
        ("1-3", "insert.unknown_sku"),
    ]
    assert parked[0].since - parked[1].since == timedelta(seconds=1)
    assert parked[0].reason == "the store does not know SKU X-1"


async def test_documents_are_read_a_few_at_a_time(ledger: Ledger) -> None:
    """Expected documents come with one query for many, each once; one without a canonical order is None."""
    orders = [f"1-{number}" for number in range(100, 160)]
    await ready(ledger, *orders)
    await claim(ledger)
    works = await start(ledger, Step.FETCH, orders)
    texts = [None if index == 7 else f'{{"n": {index}}}' for index in range(60)]
    ends = [
        not_yet(work, document=NewDocument(b"{}", f"sha{work.id}", text, "h"))
        for work, text in zip(works, texts, strict=True)
    ]
    await end(ledger, *ends)
    ids = [(await row_of(ledger, order)).document_id or 0 for order in orders]
    reader = DocumentReader(ledger)
    reader.expect(ids)
    with Statements(ledger) as seen:
        read = [await reader.get(document_id) for document_id in ids]

    assert read == texts
    assert len([statement for statement in seen if "order_document" in statement]) == 2
    assert await reader.get(10**6) is None
