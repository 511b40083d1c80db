"""SQLite with one change of threads for each statement.

aiosqlite runs SQLite in a thread of its own, and SQLAlchemy asks that thread four times a statement: make a cursor,
execute, fetch, close. On a busy machine those changes of threads cost more than the statements, so this cursor does all
four in one. Statements run in the same thread and in the same order as before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")
# Rows that come with the first trip. Whoever streams a large table gets the rest in parts, as asked for.
_FIRST = 500


class OneTripCursor:
    """What SQLAlchemy's adapters need of a cursor."""

    __slots__ = ("_connection", "_open", "_rows", "description", "lastrowid", "rowcount")

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None
        self._rows: list[Any] = []
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, statement: str, parameters: Any = ()) -> None:  # noqa: ANN401 - names or a row of values
        """Run a statement and bring its first rows."""
        await self._connection.in_thread(lambda: self._run(lambda cursor: cursor.execute(statement, parameters)))

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run a statement for each of ``parameters``."""
        await self._connection.in_thread(lambda: self._run(lambda cursor: cursor.executemany(statement, parameters)))

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        rows, self._rows = self._rows, []
        if self._open is not None:
            rows += await self._connection.in_thread(self._open.fetchall)
            await self.close()
        return rows

    async def fetchmany(self, size: int) -> list[Any]:
        """The next rows, as many as asked for while there are any."""
        if len(self._rows) < size and self._open is not None:
            open_, missing = self._open, size - len(self._rows)
            self._rows += await self._connection.in_thread(lambda: open_.fetchmany(missing))
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    async def fetchone(self) -> Any:  # noqa: ANN401 - a row
        """The next row, or None."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close what is still open."""
        open_, self._open = self._open, None
        if open_ is not None:
            await self._connection.in_thread(open_.close)

    def _run(self, work: Callable[[sqlite3.Cursor], object]) -> None:
        """All of a statement; runs in the connection's thread."""
        cursor = self._connection.plain.cursor()
        try:
            work(cursor)
            self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
            self._rows = cursor.fetchmany(_FIRST) if cursor.description else []
            if len(self._rows) == _FIRST:
                self._open = cursor
        finally:
            if self._open is None:
                cursor.close()


class OneTripConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors go to its thread once."""

    @property
    def plain(self) -> sqlite3.Connection:
        """The connection itself, for its own thread."""
        return self._conn

    async def cursor(self) -> OneTripCursor:  # type: ignore[override]
        """A cursor, without asking the thread for it."""
        return OneTripCursor(self)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the connection's thread, after everything that was asked of it before."""
        done: T = await self._execute(work)  # type: ignore[no-untyped-call]
        return done


def connect(database: str, **options: Any) -> OneTripConnection:  # noqa: ANN401 - sqlite3.connect's own
    """For SQLAlchemy's ``async_creator_fn``: what its dialect would do, with our connection."""
    connection = OneTripConnection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    # A forgotten connection must not keep the process alive. Before aiosqlite 0.22 the connection was the thread.
    thread: Any = getattr(connection, "_thread", connection)
    thread.daemon = True
    return connection
