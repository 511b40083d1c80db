"""The ledger's database: locks taken at once, durable writes, and errors in plain words."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

import ledger.engine as engine_module
from ledger import Ledger, LedgerUnavailable
from ledger.events import keep_bad_answer
from models.tables import OpenIntent, SourceOrder
from tests.ledger.kit import ACCOUNT, Statements, id_of, ready, row_of
from tests.support import Canaries, Databases, VirtualClock, assert_no_canary

pytestmark = pytest.mark.asyncio
SQLITE = pytest.mark.parametrize("backend", ["sqlite"])
POSTGRES = pytest.mark.parametrize("backend", ["postgresql"])


@SQLITE
async def test_sqlite_is_durable_and_does_not_block_readers(ledger: Ledger) -> None:
    """SQLite runs in WAL mode with full sync, checks foreign keys and waits for other writers."""
    async with ledger.read() as session:
        found = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@SQLITE
async def test_writers_take_the_lock_at_once(ledger: Ledger, other_ledger: Ledger) -> None:
    """A write transaction holds the write lock before its first statement; a read one never does."""
    other_ledger.engine.sync_engine.dispose()
    async with ledger.write() as session:
        await session.connection()
        async with other_ledger.read() as reading:
            assert (await reading.execute(text("SELECT count(*) FROM source_order"))).scalar_one() == 0
            with pytest.raises(Exception, match="locked"):
                await _write_without_patience(other_ledger)
    await _write_without_patience(other_ledger)


async def _write_without_patience(ledger: Ledger) -> None:
    async with ledger.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.rollback()
        await raw.driver_connection.execute("PRAGMA busy_timeout = 0")
        try:
            await raw.driver_connection.execute("BEGIN IMMEDIATE")
            await raw.driver_connection.rollback()
        finally:
            await raw.driver_connection.execute("PRAGMA busy_timeout = 30000")


@SQLITE
async def test_read_then_write_never_meets_a_lock_that_cannot_be_upgraded(ledger: Ledger, other_ledger: Ledger) -> None:
    """Two writers that read before they write wait for each other instead of failing at the upgrade."""

    async def count_up(one: Ledger) -> None:
        for _ in range(10):
            async with one.write() as session:
                row = (await session.exec(select(SourceOrder))).one()
                await asyncio.sleep(0)
                row.attempts += 1

    await ready(ledger, "100-1")
    await asyncio.gather(count_up(ledger), count_up(other_ledger))

    assert (await row_of(ledger)).attempts == 20


@SQLITE
async def test_locked_ledger_is_unavailable(
    ledger: Ledger, ledger_url: str, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that another writer keeps locked gives an error that says so, and nothing is recorded."""
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0)
    impatient = Ledger(Databases.settings(ledger_url), clock=clock)
    async with ledger.write() as session:
        await session.connection()
        with pytest.raises(LedgerUnavailable, match="locked by another writer"):
            await ready(impatient, "100-1")
    await impatient.dispose()

    async with ledger.read() as session:
        assert list(await session.exec(select(SourceOrder.id))) == []


async def test_ledger_without_tables_says_what_to_do(empty_url: str) -> None:
    """A database that was never migrated names the command to run, on both databases."""
    ledger = Ledger(Databases.settings(empty_url))

    with pytest.raises(LedgerUnavailable, match="run: crossdock migrate"):
        await ready(ledger, "100-1")
    await ledger.dispose()


async def test_ledger_with_old_tables_says_what_to_do(ledger: Ledger) -> None:
    """A missing column counts as old tables."""
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE source_order RENAME COLUMN warned_at TO warned"))

    with pytest.raises(LedgerUnavailable, match=r"no tables or old ones.*run: crossdock migrate"):
        await ready(ledger, "100-1")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://postgres@127.0.0.1:1/nothing",
        "postgresql+asyncpg://postgres@/nothing?host=/nowhere",
        "sqlite+aiosqlite:////proc/nowhere/ledger.db",
    ],
)
async def test_unreachable_databases_are_unavailable(url: str) -> None:
    """A server that is down and a place that cannot be written give an error of ours."""
    with pytest.raises((LedgerUnavailable, OSError)):
        async with Ledger(Databases.settings(url)).read() as session:
            await session.execute(text("SELECT 1"))


@POSTGRES
async def test_missing_database_is_unavailable(ledger_url: str) -> None:
    """A PostgreSQL server that has no such database gives an error of ours, not the driver's."""
    place, socket = ledger_url.split("?")
    ledger = Ledger(Databases.settings(f"{place.rsplit('/', 1)[0]}/nobody?{socket}"))

    with pytest.raises(LedgerUnavailable, match=r"does not exist; create it|cannot be reached"):
        await ready(ledger, "100-1")
    await ledger.dispose()


async def test_errors_show_no_parameters(ledger: Ledger, canaries: type[Canaries]) -> None:
    """A buyer's data that was on its way into the database is in no message and no traceback."""
    async with ledger.write() as session:
        await session.execute(text("DROP TABLE bad_answer"))
    said = ""
    try:
        await keep_bad_answer(
            ledger,
            ACCOUNT,
            what="order 1-1",
            code="unreadable",
            reason="no JSON",
            body=canaries.EMAIL.encode(),
            size=3,
        )
    except LedgerUnavailable:
        said = traceback.format_exc()

    assert "INSERT INTO bad_answer" in said
    assert_no_canary(said)


async def test_failed_blocks_leave_nothing_behind(ledger: Ledger) -> None:
    """When anything in a transaction fails, all of it is undone."""
    await ready(ledger, "100-1")
    with contextlib.suppress(KeyError):
        async with ledger.write() as session:
            (await session.exec(select(SourceOrder))).one().landing = "accepted"
            await session.flush()
            raise KeyError

    assert (await row_of(ledger)).landing == "seen"


async def test_unique_keys_speak_for_themselves(ledger: Ledger) -> None:
    """A broken unique key comes through as what it is, for those who rely on it."""
    await ready(ledger, "100-1")
    order_id = await id_of(ledger)

    async def open_one() -> None:
        async with ledger.write() as session:
            session.add(OpenIntent(order_id=order_id, seq=1, kind="insert", at=ledger.clock(), owner="x"))

    await open_one()
    with pytest.raises(IntegrityError):
        await open_one()


async def test_folders_are_made(tmp_path: Path) -> None:
    """The folder of a SQLite ledger is made when it is missing."""
    ledger = Ledger(Databases.settings(f"sqlite+aiosqlite:///{tmp_path}/a/b/ledger.db"))
    async with ledger.read() as session:
        await session.execute(text("SELECT 1"))
    await ledger.dispose()

    assert (tmp_path / "a" / "b" / "ledger.db").exists()


async def test_owners_are_names_that_nobody_else_has(ledger_url: str) -> None:
    """Two ledgers opened by one process are two owners."""
    one, two = (Ledger(Databases.settings(ledger_url)) for _ in range(2))

    assert one.owner != two.owner
    assert len(one.owner) <= 64


@POSTGRES
async def test_named_transactions_wait_for_each_other(ledger: Ledger, other_ledger: Ledger) -> None:
    """Of two transactions of one name only one goes on; another name is free."""
    order: list[str] = []
    entered = asyncio.Event()

    async def first() -> None:
        async with ledger.write() as session:
            await ledger.serialize(session, "a")
            entered.set()
            async with other_ledger.write() as free:
                await other_ledger.serialize(free, "b")
            order.append("first")

    async def second() -> None:
        await entered.wait()
        async with other_ledger.write() as session:
            await other_ledger.serialize(session, "a")
            order.append("second")

    await asyncio.gather(first(), second())

    assert order == ["first", "second"]


async def test_statements_are_counted_on_both_databases(ledger: Ledger) -> None:
    """The tests' own counter sees every statement."""
    with Statements(ledger) as seen:
        async with ledger.read() as session:
            await session.execute(text("SELECT 1"))

    assert [statement for statement in seen if statement == "SELECT 1"] == ["SELECT 1"]
