"""Ledgers that earlier releases wrote, opened by this one: nothing is lost, everything verifies, work goes on.

``versions/*.sql`` were written by the releases themselves, with orders in every kind of state: landed, parked, unknown,
waiting, cancelled, half done by a process that was killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic import command
from sqlalchemy import Connection, MetaData, Table, create_engine, func, insert, select, text

from ledger import Ledger
from ledger.cursor import overlap_anchor, read_place
from ledger.leases import claim_due
from ledger.migrate import _config, current_version, migrate, newest_version
from ledger.notices import untold
from ledger.policy import count_open
from ledger.queries import broken_chains, event_buckets, list_orders, story_of
from ledger.resume import resume_unreadable
from models.ids import AccountKey
from models.lifecycle import Step
from tests.ledger.kit import RULES
from tests.support import Databases, VirtualClock

pytestmark = pytest.mark.asyncio
OLD = sorted((Path(__file__).parent / "versions").glob("*.sql"))
KEY = AccountKey("glopal", "live", "acme")
FIRST_EVENT = datetime(2026, 1, 10, 10, 2, 0, 250000, tzinfo=UTC)
TABLES = ("source_order", "source_event", "effect", "open_intent", "order_document", "bad_answer", "feed_cursor")


def old_file(old: Path, folder: Path) -> Path:
    """The old ledger as a SQLite file."""
    path = folder / f"old{old.stem}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(old.read_text())
    return path


def _fill(connection: Connection, version: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Tables of an old version and an old ledger's rows, on a server."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)
    found = MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name != "alembic_version" and rows[table.name]:
            connection.execute(insert(table), [_for_server(table, row) for row in rows[table.name]])
            if "id" in table.columns:
                highest = func.max(table.c.id)
                connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), highest)))


def _for_server(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """SQLite has times and exact numbers as text."""
    read: dict[type, Any] = {datetime: datetime.fromisoformat, Decimal: Decimal}
    kinds = {column.name: column.type.python_type for column in table.columns}
    return {
        name: read[kinds[name]](value) if isinstance(value, str) and kinds[name] in read else value
        for name, value in row.items()
    }


def _rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    engine = create_engine(f"sqlite:///{path}")
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        tables = {table.name: connection.execute(select(table)).mappings() for table in found.sorted_tables}
        rows = {name: [dict(row) for row in there] for name, there in tables.items()}
    engine.dispose()
    return rows


@pytest_asyncio.fixture(params=OLD, ids=lambda path: path.stem)
async def old(
    request: pytest.FixtureRequest, backend: str, empty_url: str, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Ledger]:
    """An old ledger that is not upgraded yet, on each of the two databases, some hours after it was written."""
    path = old_file(request.param, tmp_path)
    clock.now = datetime(2026, 1, 10, 12, 30, tzinfo=UTC)
    url = f"sqlite+aiosqlite:///{path}" if backend == "sqlite" else empty_url
    ledger = Ledger(Databases.settings(url), clock=clock, owner="new-release")
    if backend != "sqlite":
        async with ledger.write() as session:
            connection = await session.connection()
            await connection.run_sync(_fill, request.param.stem, _rows_of(path))
    yield ledger
    await ledger.dispose()


async def _counts(ledger: Ledger) -> dict[str, int]:
    async with ledger.read() as session:
        counted = {name: select(func.count()).select_from(text(name)) for name in TABLES}
        return {name: int((await session.execute(query)).scalar_one()) for name, query in counted.items()}


async def test_an_old_ledger_keeps_all_that_it_had(old: Ledger) -> None:
    """After the upgrade every row is there, every chain verifies, and each order is where it was."""
    version, before = await current_version(old), await _counts(old)
    assert version != newest_version()
    assert await migrate(old) == newest_version()
    assert await _counts(old) == before
    assert [line async for line in broken_chains(old)] == []
    assert await event_buckets(old, KEY) == {"applied": 15, "kept": 1, "unreadable": 1}
    orders = {order.source_order_id: order for order in await list_orders(old)}
    assert {name: orders[name].landing for name in ("100-1", "100-3", "100-4", "100-5", "100-6")} == {
        "100-1": "accepted",
        "100-3": "insert_unknown",
        "100-4": "seen",
        "100-5": "cancelled",
        "100-6": "fetched",
    }
    buckets = await count_open(old, KEY)
    assert (buckets["landed"], buckets["cancelled"], buckets["parked"], buckets["outcome unknown"]) == (2, 1, 3, 1)
    await _new_columns_are_filled(old)
    expected = [] if version == "0001" else ["insert.unknown_sku", "document.missing_field", "insert.invalid_order"]
    assert [told.code for told in await untold(old, KEY)] == expected
    story = await story_of(old, orders["100-1"])
    assert [line.kind for line in story.effects] == ["insert", "insert", "accept", "accept"]
    assert [event.event_name for event in story.events] == ["order.received", "order.ready", "order.something_new"]


async def test_work_goes_on(old: Ledger) -> None:
    """What was due is due, what a killed process left open is looked into, and the cursor's overlap is found."""
    await migrate(old)
    claimed = await claim_due(old, KEY, limit=10, import_on="ready", first_probe=RULES.first_probe)
    steps = {one.source_order_id: one.step for one in claimed}
    assert {name: steps[name] for name in ("100-3", "100-6", "100-9")} == {
        "100-3": Step.PROBE_INSERT,
        "100-6": Step.INSERT,
        "100-9": Step.PROBE_INSERT,
    }
    assert not {"100-1", "100-2", "100-4", "100-5", "100-7", "100-8", "../admin"} & set(steps)
    assert [line async for line in broken_chains(old)] == []
    place = await read_place(old, KEY)
    assert (place.at, place.tail) == ("OLD0000000000017", ())
    assert await overlap_anchor(old, KEY, 4) == "OLD0000000000012"
    await _old_parkings_get_another_chance(old)


async def _old_parkings_get_another_chance(old: Ledger) -> None:
    """An order whose document an earlier release could not read is read once more; the others wait as they did."""
    assert await resume_unreadable(old, KEY, RULES) == 1
    parked = {order.source_order_id for order in await list_orders(old, only="parked")}
    assert parked == {"100-2", "../admin"}


async def _new_columns_are_filled(old: Ledger) -> None:
    """Every order gets the day of its earliest event, all of them are live ones, and nothing is called proven."""
    orders = await list_orders(old)
    for order in orders:
        events = (await story_of(old, order)).events
        assert order.source_at == min(event.event_at for event in events if event.event_at is not None)
        assert {event.via for event in events} == {"live"}
        assert (order.priority, order.parked_with, order.refused_since) == (0, None, None)
    assert min(order.source_at for order in orders if order.source_at is not None) == FIRST_EVENT
    async with old.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM coverage"))).scalar_one() == 0
