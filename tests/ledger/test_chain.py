"""S9: an order's story only grows; whatever is changed, removed or added beside the ledger's verbs is found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger
from ledger.queries import broken_chains, story_of
from ledger.rows import append_effect
from models.lifecycle import Landing
from models.tables import Effect, SourceOrder
from tests.ledger.kit import bring_to, effects_of, row_of

pytestmark = pytest.mark.asyncio
Tamper = Callable[[Ledger], Awaitable[None]]


async def _broken(ledger: Ledger) -> list[str]:
    return [line async for line in broken_chains(ledger)]


def _sql(statement: str) -> Tamper:
    async def tamper(ledger: Ledger) -> None:
        async with ledger.write() as session:
            await session.execute(text(statement))

    return tamper


async def _copy_of_the_last_line(ledger: Ledger) -> None:
    """A line that is chained well, but was never written by the ledger."""
    async with ledger.write() as session:
        row = (await session.exec(select(SourceOrder).order_by(col(SourceOrder.id)))).first()
        assert row is not None
        forged = append_effect(row, phase="note", kind="park", detail="forged", now=ledger.clock(), owner="x")
        session.expunge(row)
        session.add(forged)


TAMPERED: dict[str, Tamper] = {
    "detail changed": _sql("UPDATE effect SET detail = 'forged' WHERE seq = 2"),
    "outcome changed": _sql("UPDATE effect SET outcome = 'done' WHERE seq = 1"),
    "kind changed": _sql("UPDATE effect SET kind = 'accept' WHERE seq = 1"),
    "phase changed": _sql("UPDATE effect SET phase = 'note' WHERE seq = 1"),
    "owner changed": _sql("UPDATE effect SET owner = 'x' WHERE seq = 3"),
    "fence changed": _sql("UPDATE effect SET fence = fence + 1 WHERE seq = 3"),
    "amount added": _sql("UPDATE effect SET amount = 5 WHERE seq = 3"),
    "line in the middle removed": _sql("DELETE FROM effect WHERE seq = 2"),
    "first line removed": _sql("DELETE FROM effect WHERE seq = 1"),
    "last line removed": _sql("DELETE FROM effect WHERE seq = 4"),
    "all removed": _sql("DELETE FROM effect"),
    "moved to another order": _sql("UPDATE effect SET order_id = (SELECT max(id) FROM source_order) WHERE seq = 4"),
    "numbers changed": _sql("UPDATE effect SET seq = 9 WHERE seq = 4"),
    "line added": _copy_of_the_last_line,
    "hash changed": _sql("UPDATE effect SET hash = 'x' WHERE seq = 4"),
    "head changed": _sql("UPDATE source_order SET effect_hash = 'x' WHERE effect_seq = 4"),
}


async def test_stories_are_whole(ledger: Ledger) -> None:
    """Stories that the ledger's own verbs wrote have no broken place, amounts and odd texts included."""
    await bring_to(ledger, Landing.ACCEPTED, "1-1")
    await bring_to(ledger, Landing.INSERTED, "1-2")
    async with ledger.write() as session:
        row = (await session.exec(select(SourceOrder).order_by(col(SourceOrder.id)))).first()
        assert row is not None
        for amount in ("0", "1E+3", "12.50", "999999999999.123456789012345678"):
            detail = "odd: \x00 \ud800 Ωμέγα"
            now, line = ledger.clock(), {"phase": "note", "kind": "x", "detail": detail, "owner": "o"}
            session.add(append_effect(row, now=now, amount=Decimal(amount), **line))  # type: ignore[arg-type]

    assert await _broken(ledger) == []
    assert [line.seq for line in await effects_of(ledger, "1-1")] == list(range(1, 9))


@pytest.mark.parametrize("kind", TAMPERED)
async def test_tampering_is_found(ledger: Ledger, kind: str) -> None:
    """A line that was changed, moved, removed or added is found, and named by its order."""
    await bring_to(ledger, Landing.ACCEPTED, "1-1")
    await bring_to(ledger, Landing.FETCHED, "1-2")
    await TAMPERED[kind](ledger)
    broken = await _broken(ledger)

    assert broken
    assert all(line.startswith("order row ") for line in broken)


async def test_time_changes_are_found(ledger: Ledger) -> None:
    """The time of a line is part of its proof."""
    await bring_to(ledger, Landing.ACCEPTED)
    async with ledger.write() as session:
        line = (await session.exec(select(Effect).where(Effect.seq == 2))).one()
        line.at = line.at.replace(microsecond=1)

    assert len(await _broken(ledger)) == 1


async def test_story_tells_all_that_is_known(ledger: Ledger) -> None:
    """An order's story has its events and its effects, oldest first."""
    await bring_to(ledger, Landing.ACCEPTED, "1-1")
    await bring_to(ledger, Landing.FETCHED, "1-2")
    told = await story_of(ledger, await row_of(ledger, "1-1"))

    assert [event.source_order_id for event in told.events] == ["1-1"]
    assert [line.seq for line in told.effects] == [1, 2, 3, 4]
    assert told.bad_answers == []
