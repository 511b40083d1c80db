"""The embedded store's own promises: its tables, its guards, and what its databases can do to it."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from models.outcome import ConfigurationError, Done, NotYet, RefusalCode, Refused, Unknown
from models.settings import EmbeddedStore, Limits
from stores.embedded import EmbeddedStoreAdapter
from stores.embedded_errors import Place, outcome_of
from stores.embedded_tables import StoreTable
from stores.protocol import StoreState
from tests.stores.backends import an_order, done, failed

pytestmark = pytest.mark.asyncio

ROOT = Path(__file__).parents[2]
Open = Callable[..., Any]


async def test_two_processes_race(database_url: str, sql: Open) -> None:
    """Two processes that start on an empty database at once make each order once, and neither fails."""
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.stores.racer",
            database_url,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        await racer.stdout.readline()
    said = [out.decode().split("\n") for out, _ in await asyncio.gather(*(r.communicate(b"go\n") for r in racers))]
    lines = sorted(line for out in said for line in out if line)
    assert lines == ["done False"] * 5 + ["done True"] * 5
    assert (await sql("SELECT count(*) FROM store_orders"))[0][0] == 5
    assert (await sql("SELECT count(*) FROM store_order_lines"))[0][0] == 5


async def test_columns_hold_the_document(database_url: str, sql: Open, open_embedded: Open) -> None:
    """An ERP reads the order's values, its lines and the whole canonical document from the tables."""
    order = an_order(total="12.345", currency="KWD", lines=3)
    done(await open_embedded(database_url).create(order, hold=True))
    row = (await sql("SELECT * FROM store_orders"))[0]
    assert row.number == "CD-000001"
    assert (Decimal(row.total), Decimal(row.base_total), Decimal(row.rate)) == (
        order.total,
        order.base.total,
        order.rate,
    )
    assert (row.ship_to_city, row.bill_to_country, row.buyer_email) == ("東京", "JP", order.buyer.email)
    assert json.loads(row.document) == json.loads(order.to_json())
    lines = await sql("SELECT * FROM store_order_lines ORDER BY position")
    assert [line.sku for line in lines] == ["SKU-1", "GIFT-0", "GIFT-1"]
    assert Decimal(lines[0].unit_price) * lines[0].quantity == Decimal("12.345")
    assert json.loads(lines[0].options) == {"größe": "XL"}


async def test_sqlite_stores_text(sqlite_url: str, open_sql: Open, open_embedded: Open) -> None:
    """On SQLite amounts are exact text, never floats, and times are 27 characters of UTC."""
    store = open_embedded(sqlite_url)
    order = done(await store.create(an_order(total="999999999999.99"), hold=True))
    done(await store.release(order.id))
    done(await store.cancel(order.id, "x"))
    row = (
        await open_sql(sqlite_url)(
            "SELECT typeof(total), total, created_at, released_at, cancelled_at FROM store_orders"
        )
    )[0]
    assert tuple(row[:2]) == ("text", "999999999999.99")
    assert all(len(time) == 27 and time.endswith("Z") for time in row[2:])
    assert row.created_at <= row.released_at <= row.cancelled_at


async def test_sqlite_pragmas(sqlite_url: str, open_sql: Open, open_embedded: Open) -> None:
    """The file is in WAL mode, foreign keys are enforced and a commit is synced to disk."""
    adapter = EmbeddedStoreAdapter(EmbeddedStore(url=sqlite_url))
    await adapter.check()
    async with adapter._database.session(writes=False) as session:
        connection = await session.connection()
        values = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    await adapter.aclose()
    assert values == ["wal", 2, 1, 12000]


async def test_numbers_have_no_gaps_and_grow_past_six_digits(
    sqlite_url: str, open_sql: Open, open_embedded: Open
) -> None:
    """Numbers follow each other whatever was repeated, are never reused, and have no largest one."""
    store, run = open_embedded(sqlite_url), open_sql(sqlite_url)
    first = [done(await store.create(an_order(number), hold=False)).number for number in (1, 1, 2, 2, 3)]
    assert first == ["CD-000001", "CD-000001", "CD-000002", "CD-000002", "CD-000003"]
    await run("DELETE FROM store_order_lines WHERE order_id = 3")
    await run("DELETE FROM store_orders WHERE id = 3")
    assert done(await store.create(an_order(4), hold=False)).number == "CD-000004"
    await run("UPDATE sqlite_sequence SET seq = 999998 WHERE name = 'store_orders'")
    numbers = [done(await store.create(an_order(number), hold=False)).number for number in (5, 6)]
    assert numbers == ["CD-999999", "CD-1000000"]


async def test_unique_constraint_is_the_guard(database_url: str, sql: Open, open_embedded: Open) -> None:
    """The database itself refuses a second row with the same reference, from whoever it comes."""
    store = open_embedded(database_url)
    done(await store.create(an_order(1), hold=False))
    done(await store.create(an_order(2), hold=False))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await sql("UPDATE store_orders SET reference = 'glopal.live.shop.1' WHERE id = 2")


async def test_metadata_is_apart(sqlite_url: str) -> None:
    """The ledger's migrations never see the store's tables."""
    assert set(StoreTable.metadata.tables) == {"store_meta", "store_orders", "store_order_lines", "store_order_notes"}
    assert not set(StoreTable.metadata.tables) & set(SQLModel.metadata.tables)


async def test_every_column_is_documented() -> None:
    """The page for ERP developers names every column of every table."""
    page = (ROOT / "docs/stores/embedded.md").read_text(encoding="utf-8")
    for table in StoreTable.metadata.tables.values():
        section = page.split(f"### `{table.name}`")[1].split("\n### ")[0]
        assert [c.name for c in table.columns if f"`{c.name}`" not in section] == []


async def test_locked_is_not_yet(sqlite_url: str, open_embedded: Open) -> None:
    """While another program holds the write lock an order is not yet written, and readers go on."""
    store, hasty = open_embedded(sqlite_url), open_embedded(sqlite_url, Limits(timeout=0.5))
    order = done(await store.create(an_order(1), hold=False))
    erp = sqlite3.connect(sqlite_url.split("///")[1], isolation_level=None)
    erp.execute("BEGIN IMMEDIATE")
    assert "tried again" in failed(await hasty.create(an_order(2), hold=False), NotYet)
    assert done(await store.find(order.reference)) == order
    erp.execute("ROLLBACK")
    erp.close()
    done(await store.create(an_order(2), hold=False))


@pytest.mark.parametrize("first_start", [True, False])
async def test_waits_for_another_writer(sqlite_url: str, open_embedded: Open, first_start: bool) -> None:
    """A create waits while another program writes, also on the first start, and goes on after its commit."""
    store = open_embedded(sqlite_url)
    if not first_start:
        done(await store.create(an_order(1), hold=False))
    file = Path(sqlite_url.split("///")[1])
    file.parent.mkdir(exist_ok=True)
    erp = sqlite3.connect(file, isolation_level=None)
    erp.execute("CREATE TABLE erp (a)")
    erp.execute("BEGIN IMMEDIATE")
    erp.execute("INSERT INTO erp VALUES (1)")
    waiting = asyncio.create_task(store.create(an_order(2), hold=False))
    await asyncio.sleep(0.2)
    erp.execute("COMMIT")
    erp.close()
    done(await waiting)


async def test_failed_commit_is_unknown(sqlite_url: str, open_embedded: Open) -> None:
    """When the disk fails during COMMIT nobody knows, and a look settles it."""
    store = open_embedded(sqlite_url)
    done(await store.create(an_order(1), hold=False))
    size = Path(sqlite_url.split("///")[1] + "-wal").stat().st_size  # noqa: ASYNC240 - one stat in a test
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, before[1]))
    try:
        outcome = await store.create(an_order(2), hold=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "may or may not" in failed(outcome, Unknown)
    assert await store.find(an_order(2).reference) == Done(None)
    done(await store.create(an_order(2), hold=False))


@pytest.mark.parametrize("committing", [False, True])
async def test_disk_full_is_not_yet(tmp_path: Path, committing: bool) -> None:
    """A full disk under SQLite is certainly no write, also when COMMIT meets it."""
    database = sqlite3.connect(tmp_path / "full.db")
    database.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as caught:
        database.executescript("CREATE TABLE a (b); CREATE TABLE c (d)")
    database.close()
    error = OperationalError("INSERT", {}, caught.value)
    outcome = outcome_of(error, Place("main", "store.db"), committing=committing)
    assert "full" in failed(outcome, NotYet)


async def test_unreachable_is_not_yet(open_embedded: Open) -> None:
    """A PostgreSQL that refuses connections is tried again later, and its password is not shown."""
    store = open_embedded("postgresql+asyncpg://hub:canary-password@127.0.0.1:9/shop")
    message = failed(await store.create(an_order(), hold=False), NotYet)
    assert "127.0.0.1:9/shop" in message
    assert "run crossdock check" in message


_DIE = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NEW; END'
"""


@pytest.mark.parametrize(
    ("kind", "timing", "outcome_class"),
    [("", "BEFORE INSERT", NotYet), ("CONSTRAINT", "AFTER INSERT", Unknown)],
)
async def test_connection_lost(
    postgres_url: str,
    open_sql: Open,
    open_embedded: Open,
    kind: str,
    timing: str,
    outcome_class: type[NotYet] | type[Unknown],
) -> None:
    """A connection that dies before COMMIT wrote nothing; one that dies during COMMIT leaves it unknown."""
    store, run = open_embedded(postgres_url), open_sql(postgres_url)
    done(await store.create(an_order(1), hold=False))
    await run(_DIE)
    deferred = "DEFERRABLE INITIALLY DEFERRED" if kind else ""
    await run(f"CREATE {kind} TRIGGER t {timing} ON store_orders {deferred} FOR EACH ROW EXECUTE FUNCTION die()")
    failed(await store.create(an_order(2), hold=False), outcome_class)
    assert await store.find(an_order(2).reference) == Done(None)


async def test_idle_connection_lost(postgres_url: str, open_sql: Open, open_embedded: Open) -> None:
    """A server that was restarted while nothing was going on costs no order a failed try."""
    store, run = open_embedded(postgres_url), open_sql(postgres_url)
    done(await store.create(an_order(1), hold=False))
    await run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'crossdock-store' AND datname = current_database()"
    )
    done(await store.create(an_order(2), hold=False))


async def test_waiting_for_a_row_lock_ends(postgres_url: str, open_sql: Open, open_embedded: Open) -> None:
    """A cancel that waits for an ERP's row lock ends within the call's limit as not yet."""
    store, hasty = open_embedded(postgres_url), open_embedded(postgres_url, Limits(timeout=0.5))
    order = done(await store.create(an_order(1), hold=False))
    socket = postgres_url.split("host=")[1]
    name = postgres_url.split("@/")[1].split("?", maxsplit=1)[0]
    erp = await asyncpg.connect(host=socket, user="postgres", database=name)
    transaction = erp.transaction()
    await transaction.start()
    await erp.execute("UPDATE store_orders SET state = 'shipped' WHERE id = 1")
    async with asyncio.timeout(20):
        assert "in time" in failed(await hasty.cancel(order.id, "late"), NotYet)
    await transaction.commit()
    await erp.close()
    assert isinstance(await store.cancel(order.id, "late"), Refused)


async def test_missing_right(postgres_url: str, open_sql: Open, open_embedded: Open) -> None:
    """A user without the right to write is refused with what to grant, one that is not known with credentials."""
    run = open_sql(postgres_url)
    done(await open_embedded(postgres_url).create(an_order(1), hold=False))
    await run("DO 'BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END'")
    await run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = open_embedded(postgres_url.replace("postgres@", "reader@"))
    outcome = await reader.create(an_order(2), hold=False)
    assert "SELECT, INSERT and UPDATE" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.OTHER
    assert (await reader.find(an_order(1).reference)).value.number == "CD-000001"
    await run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader")
    stranger = await open_embedded(postgres_url.replace("postgres@", "nobody_at_all@")).check()
    assert stranger.code is RefusalCode.CREDENTIALS


@pytest.mark.parametrize("table", ["store_orders", "store_order_lines"])
async def test_missing_table(database_url: str, sql: Open, open_embedded: Open, table: str) -> None:
    """A table that was dropped is a refusal that says so, and half an order is never left."""
    store = open_embedded(database_url)
    done(await store.create(an_order(1), hold=False))
    await sql(f"ALTER TABLE {table} RENAME TO gone")
    outcome = await store.create(an_order(2), hold=False)
    assert "missing" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.OTHER
    await sql(f"ALTER TABLE gone RENAME TO {table}")
    assert await store.find(an_order(2).reference) == Done(None)


async def test_nul_is_refused(database_url: str, sql: Open, open_embedded: Open) -> None:
    """A NUL in an order's text is refused by the column's name; in a note it is replaced."""
    store = open_embedded(database_url)
    order = an_order()
    line = order.lines[0].model_copy(update={"name": "a\x00b"})
    outcome = await store.create(order.model_copy(update={"lines": [line]}), hold=False)
    assert "lines[1].name holds a NUL" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.INVALID_ORDER
    created = done(await store.create(order, hold=False))
    assert await store.note(created.id, "späť\x00配送\ud800") == Done(None)
    assert (await sql("SELECT note FROM store_order_notes"))[0][0] == "späť\N{REPLACEMENT CHARACTER}配送?"


@pytest.mark.parametrize("rate", ["0.1234567890123456789", "123456789012345678901"])
async def test_amount_that_does_not_fit(database_url: str, open_embedded: Open, rate: str) -> None:
    """An amount that a database would round or overflow is refused and not changed in silence."""
    order = an_order().model_copy(update={"rate": Decimal(rate)})
    outcome = await open_embedded(database_url).create(order, hold=False)
    assert "field rate" in failed(outcome, Refused)


async def test_long_text_fits(database_url: str, sql: Open, open_embedded: Open) -> None:
    """No text is cut, however long."""
    text = "長" * 100_000
    order = an_order().model_copy(update={"customer_note": text})
    done(await open_embedded(database_url).create(order, hold=False))
    assert (await sql("SELECT customer_note FROM store_orders"))[0][0] == text


async def test_tables_of_another_environment(database_url: str, sql: Open, open_embedded: Open) -> None:
    """A store configured for test never writes into tables of live orders, nor into those of a later version."""
    done(await open_embedded(database_url).create(an_order(1), hold=False))
    test = open_embedded(database_url, environment="test")
    message = failed(await test.create(an_order(2, environment="test"), hold=False), Refused)
    assert "'live'" in message
    await sql("UPDATE store_meta SET schema_version = 2")
    assert "version 2" in failed(await open_embedded(database_url).check(), Refused)
    assert (await sql("SELECT count(*) FROM store_orders"))[0][0] == 1


async def test_somebody_elses_table(database_url: str, sql: Open, open_embedded: Open, tmp_path: Path) -> None:
    """A table of the same name that is not ours is left alone."""
    (tmp_path / "new").mkdir()
    await sql("CREATE TABLE store_orders (id integer)")
    assert "of its own" in failed(await open_embedded(database_url).create(an_order(), hold=False), Refused)


async def test_row_edited_by_hand(sqlite_url: str, open_sql: Open, open_embedded: Open) -> None:
    """A total that is no amount any more is a bad answer that names the table, and never a crash."""
    store = open_embedded(sqlite_url)
    order = done(await store.create(an_order(), hold=False))
    await open_sql(sqlite_url)("UPDATE store_orders SET total = '12,50 EUR'")
    outcome = await store.read(order.id)
    assert "store_orders" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.BAD_ANSWER


async def test_unknown_state_cannot_be_written(database_url: str, sql: Open, open_embedded: Open) -> None:
    """The database refuses a state that the hub does not know."""
    done(await open_embedded(database_url).create(an_order(), hold=False))
    with pytest.raises(Exception, match="ck_store_orders_state"):
        await sql("UPDATE store_orders SET state = 'delivered'")


async def test_cancel_keeps_reason(database_url: str, sql: Open, open_embedded: Open) -> None:
    """The reason and the moment of a cancellation stand in the order's row, and a repeat does not change them."""
    store = open_embedded(database_url)
    order = done(await store.create(an_order(), hold=False))
    assert done(await store.cancel(order.id, "first")).state is StoreState.CANCELLED
    before = (await sql("SELECT cancel_reason, cancelled_at FROM store_orders"))[0]
    await store.cancel(order.id, "second")
    assert (await sql("SELECT cancel_reason, cancelled_at FROM store_orders"))[0] == before
    assert before.cancel_reason == "first"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
    ],
)
async def test_useless_url(url: str) -> None:
    """A URL without a file is a mistake in the configuration."""
    with pytest.raises(ConfigurationError, match=r"stores\.main\.url"):
        EmbeddedStoreAdapter(EmbeddedStore(url=url), name="main")


@pytest.mark.parametrize("url", ["sqlite:///store.db", "mysql://hub:canary@host/shop", "hub:canary@host"])
async def test_useless_driver(url: str) -> None:
    """A URL with another driver is refused by the settings, told without the password."""
    with pytest.raises(ValidationError, match=r"sqlite\+aiosqlite") as caught:
        EmbeddedStore(url=url)
    assert "canary" not in str(caught.value)
