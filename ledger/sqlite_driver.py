"""SQLite with one change of threads for each statement.

aiosqlite runs SQLite in a thread of its own, and SQLAlchemy asks that thread four times a statement: make a cursor,
execute, fetch, close. On a busy machine those changes of threads cost more than the statements, so this cursor does all
four in one. Statements run in the same thread and in the same order as before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import aiosqlite

_CHUNK = 64  # rows at a time of aiosqlite's own cursors, which are not used


class OneTripCursor:
    """What SQLAlchemy's adapter needs of a cursor; all rows are here once ``execute`` returned."""

    __slots__ = ("_connection", "_rows", "description", "lastrowid", "rowcount")

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, statement: str, parameters: Any = ()) -> None:  # noqa: ANN401 - names or a row of values
        """Run a statement and take its rows."""
        await self._connection.in_thread(lambda cursor: cursor.execute(statement, parameters), self._take)

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a statement for each of ``parameters``."""
        await self._connection.in_thread(lambda cursor: cursor.executemany(statement, parameters), self._take)

    async def fetchall(self) -> list[Any]:
        """The rows."""
        return self._rows

    async def close(self) -> None:
        """Nothing: the real cursor was closed in its thread."""

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
        self._rows = cursor.fetchall() if cursor.description else []


class OneTripConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors go to its thread once."""

    async def cursor(self) -> OneTripCursor:  # type: ignore[override]
        """A cursor, without asking the thread for it."""
        return OneTripCursor(self)

    async def in_thread(self, work: Callable[[sqlite3.Cursor], object], take: Callable[[sqlite3.Cursor], None]) -> None:
        """Make a cursor, work with it, take from it and close it, all in the connection's thread."""
        connection = self._conn

        def trip() -> None:
            cursor = connection.cursor()
            try:
                work(cursor)
                take(cursor)
            finally:
                cursor.close()

        await self._execute(trip)  # type: ignore[no-untyped-call]


def connect(database: str, **options: Any) -> OneTripConnection:  # noqa: ANN401 - sqlite3.connect's own
    """For SQLAlchemy's ``async_creator_fn``: what its dialect would do, with our connection."""
    connection = OneTripConnection(lambda: sqlite3.connect(database, **options), _CHUNK)
    # A forgotten connection must not keep the process alive. Before aiosqlite 0.22 the connection was the thread.
    thread: Any = getattr(connection, "_thread", connection)
    thread.daemon = True
    return connection
