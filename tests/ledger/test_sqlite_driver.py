"""The cursor that goes to SQLite's thread once: the same rows, however many and however they are asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ledger.sqlite_driver import OneTripConnection, connect

pytestmark = pytest.mark.asyncio
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n"


@pytest_asyncio.fixture
async def connection() -> AsyncIterator[OneTripConnection]:
    """A connection to an empty database in memory."""
    connection = await connect(":memory:")
    assert isinstance(connection, OneTripConnection)
    yield connection
    await connection.close()


@pytest.mark.parametrize("rows", [1, 499, 500, 501, 1700])
async def test_all_rows_come_once_and_in_order(connection: OneTripConnection, rows: int) -> None:
    """At once, in parts and one by one, around the size of the first trip."""
    wanted = list(range(1, rows + 1))
    cursor = await connection.cursor()
    await cursor.execute(NUMBERS.format(rows))
    assert [i for (i,) in await cursor.fetchall()] == wanted
    assert await cursor.fetchall() == []

    await cursor.execute(NUMBERS.format(rows))
    parts = [await cursor.fetchmany(300) for _ in range(7)]
    assert [i for part in parts for (i,) in part] == wanted
    assert all(len(part) <= 300 for part in parts)

    await cursor.execute(NUMBERS.format(rows))
    assert await cursor.fetchone() == (1,)
    assert [i for (i,) in await cursor.fetchall()] == wanted[1:]
    assert await cursor.fetchone() is None
    await cursor.close()


async def test_a_cursor_that_is_left_early_holds_no_lock(connection: OneTripConnection) -> None:
    """Closing it ends its statement, so that the table can be dropped."""
    cursor = await connection.cursor()
    await cursor.execute("CREATE TABLE t (i INTEGER)")
    await cursor.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1200)])
    assert cursor.rowcount == 1200
    assert cursor.description is None
    reading = await connection.cursor()
    await reading.execute("SELECT i FROM t")
    assert reading.description[0][0] == "i"
    await reading.fetchmany(10)
    await reading.close()
    await cursor.execute("DROP TABLE t")


async def test_an_error_comes_as_sqlite_says_it(connection: OneTripConnection) -> None:
    """And the cursor can be used again."""
    cursor = await connection.cursor()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await cursor.execute("SELECT * FROM missing")
    await cursor.execute("SELECT ?", (5,))
    assert await cursor.fetchall() == [(5,)]
