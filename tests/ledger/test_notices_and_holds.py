"""What people must hear about survives a killed run, and so does a side's wish to be left alone."""

from __future__ import annotations

import pytest

from ledger import Ledger
from ledger.holds import held, hold
from ledger.notices import mark_told, untold
from models.lifecycle import Landing, Step
from tests.ledger.kit import ACCOUNT, an_event, bring_to, end, new_account, record, refused, take
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio


async def test_notices_are_told_until_they_are_marked(ledger: Ledger, other_ledger: Ledger) -> None:
    """A parked order is told of by whoever comes next, until somebody did, and only to its own account."""
    await bring_to(ledger, Landing.FETCHED)
    await end(ledger, refused(await take(ledger, Step.INSERT)))
    await record(ledger, an_event("../x"))
    first = await untold(ledger, ACCOUNT)

    assert [(one.event, one.source_order_id, one.code) for one in first] == [
        ("crossdock.order.parked", "100-1", "insert.unknown_sku"),
        ("crossdock.order.parked", "../x", "bad_id"),
    ]
    assert await untold(other_ledger, ACCOUNT) == first
    assert await untold(ledger, new_account()) == []
    await mark_told(ledger, first[:1])
    assert await untold(other_ledger, ACCOUNT) == first[1:]


async def test_holds_last_until_their_end(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """A long Retry-After is known to other runs, is never shortened by a later one, and ends."""
    assert await held(ledger, "store:main") is None
    await hold(ledger, "store:main", 3600, "HTTP 429")
    await hold(other_ledger, "store:main", 60, "HTTP 503")

    assert "until 2026-03-01 13:00:00 UTC (HTTP 429)" in str(await held(other_ledger, "store:main"))
    assert await held(ledger, "provider") is None
    clock.forward(3600)
    assert await held(ledger, "store:main") is None
