"""A poll and a backfill on a ledger that an earlier release wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlmodel import col, select

from ledger.cursor import read_place
from ledger.queries import broken_chains
from models.glopal import load_json
from models.ranges import Span
from models.tables import SourceEvent
from tests.trust.conftest import Worlds
from tests.trust.history import calls_of, done, pages_read, process, proven, put
from tests.trust.world import World

pytestmark = pytest.mark.asyncio
OLD = sorted((Path(__file__).parents[1] / "ledger" / "versions").glob("*.sql"))
WRITTEN = datetime(2026, 1, 10, 12, 30, tzinfo=UTC)


def write_old(old: Path, url: str) -> list[str]:
    """Put an old ledger where a new one is; returns its events as they came."""
    path = Path(make_url(url).database or "")
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(old.read_text())
        return [found for (found,) in connection.execute("SELECT raw FROM source_event ORDER BY id")]


async def old_world(worlds: Worlds, old: Path) -> World:
    """A world whose ledger an earlier release wrote, and whose feed has the events that it had read."""
    world = await worlds.fresh(timeout=10.0)
    put(world, [load_json(text.encode(), "event") for text in write_old(old, world.url)])
    world.clock.now = WRITTEN
    return world


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
async def test_polling_goes_on_where_the_earlier_release_stopped(worlds: Worlds, old: Path) -> None:
    """The first poll upgrades the ledger, reads on from its cursor, lands what is new, and proves from there on."""
    world = await old_world(worlds, old)
    ids = world.sandbox.generate(3, seed=81)
    report = await world.poll()
    assert report is not None
    assert report.pulled is not None
    assert (report.pulled.new, report.pulled.cursor_reset, report.pulled.pages) == (6, False, 1)
    seen = await world.evidence()
    assert {seen.rows[order_id].landing for order_id in ids} == {"accepted"}
    assert [line async for line in broken_chains(world.checker)] == []
    async with world.checker.read() as session:
        query = select(SourceEvent.event_at).where(SourceEvent.event_id == "OLD0000000000017")
        cursor_at = (await session.exec(query)).one()
        last = (await session.exec(select(SourceEvent.event_id).order_by(col(SourceEvent.id).desc()))).first()
    assert await proven(world) == [Span(cursor_at or WRITTEN, WRITTEN - timedelta(minutes=15))]
    place = await read_place(world.checker, world.key)
    assert place.at == place.tail[-1] == last
    before = calls_of(world)
    assert await world.poll() is not None
    assert pages_read(world, before) <= 2


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
async def test_a_backfill_proves_what_the_earlier_release_read(worlds: Worlds, old: Path) -> None:
    """A backfill over the old release's days finds nothing new, makes no order anew, and proves them."""
    world = await old_world(worlds, old)
    async with process(world):
        rows = len((await world.evidence()).rows)
    span = Span(WRITTEN - timedelta(hours=2), WRITTEN - timedelta(hours=1.9))
    result = await done(world, span)
    assert result.new_events == 0
    assert len((await world.evidence()).rows) == rows
    assert await proven(world) == [span]
