"""The ledger's database: one engine, short transactions, one owner name for leases.

SQLite runs in WAL mode with full sync, so that an intent is on disk before its effect is sent. Writers take the write
lock at once (BEGIN IMMEDIATE): a deferred transaction that upgrades later fails with "database is locked" whatever the
time-out is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from asyncpg import PostgresError  # type: ignore[import-untyped]
from sqlalchemy import Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.asyncio import AsyncSession as CoreSession
from sqlalchemy.util import await_only
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger import sqlite_driver
from models.outcome import CrossdockError
from models.settings import LedgerSettings
from models.time import utc_now

BUSY_SECONDS = 30
# Below SQLite's and PostgreSQL's limits on bound variables, with room for other parameters.
MAX_IN_LIST = 5000


class LedgerUnavailable(CrossdockError):
    """The ledger's database could not be read or written. Nothing was recorded by the failed call."""


class LedgerSession(AsyncSession):
    """SQLModel's session with SQLAlchemy's own ``execute``, for Core statements: SQLModel's warns at every call."""

    execute = CoreSession.execute


class Ledger:
    """A connection to the ledger for one process.

    Args:
        settings: where it is and how long a lease lasts.
        clock: aware UTC now; tests pass their own.
        owner: who leases are given to; a name nobody else has.
    """

    def __init__(
        self, settings: LedgerSettings, *, clock: Callable[[], datetime] = utc_now, owner: str | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.owner = owner or f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.engine = _engine(settings.url)
        self._leased_until: float | None = None
        self._reading = self.engine.execution_options(crossdock_read=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.engine.dialect.name == "sqlite"

    def leased(self, since: float, *, all_of_them: bool = False) -> None:
        """Note that leases were taken (or all of them prolonged) at the monotonic time ``since``."""
        until = since + self.settings.lease_seconds
        self._leased_until = until if all_of_them or self._leased_until is None else min(self._leased_until, until)

    def unleased(self) -> None:
        """Note that every lease was given back."""
        self._leased_until = None

    def lease_left(self) -> float:
        """Seconds for which every lease of this process is certain to hold, by a clock that nobody can set."""
        return 0.0 if self._leased_until is None else self._leased_until - time.monotonic()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """One short write transaction, committed at the end of the block.

        Raises:
            LedgerUnavailable: the database cannot be reached, is locked for too long, is full or has no tables.
        """
        async with self._transaction(self.engine) as session:
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """One read transaction; it never waits for writers on SQLite.

        Raises:
            LedgerUnavailable: as in ``write``.
        """
        async with self._transaction(self._reading) as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            async with LedgerSession(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise LedgerUnavailable(_advice(error)) from error
        except (OSError, PoolTimeout, PostgresError) as error:
            raise LedgerUnavailable(f"the ledger's database cannot be reached ({type(error).__name__})") from error

    async def serialize(self, session: AsyncSession, name: str) -> None:
        """Let one transaction of this name at a time go on. SQLite's writers are one at a time anyway."""
        if not self.is_sqlite:
            await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})

    def insert_ignoring(self, table: type[SQLModel] | Table, rows: Sequence[dict[str, Any]] | None = None) -> Any:  # noqa: ANN401
        """``INSERT … ON CONFLICT DO NOTHING`` for either database; without rows, for execution with many."""
        dialect: Any = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table)
        return (statement.values(list(rows)) if rows is not None else statement).on_conflict_do_nothing()

    async def dispose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _advice(error: DBAPIError) -> str:
    """What happened and what to do, without the statement's parameters (they may hold a buyer's data)."""
    said = next(iter(str(error.orig).splitlines()), "")
    if 'database "' in said and "does not exist" in said:
        return "the ledger's database does not exist; create it, or check ledger.url"
    if "no such table" in said or "does not exist" in said or "no such column" in said:
        return f"the ledger has no tables or old ones ({said}); run: crossdock migrate"
    if "locked" in said:
        return f"the ledger was locked by another writer for over {BUSY_SECONDS} s; the run can be started again"
    if "full" in said:
        return "the disk under the ledger is full; free space, then start the run again; nothing is lost"
    return f"the ledger's database failed ({type(error.orig).__name__}); check ledger.url and the server"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for a database that is no file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def _engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_async_engine(url, pool_size=5, max_overflow=10, pool_pre_ping=True, hide_parameters=True)
    # aiosqlite logs every statement with its values at DEBUG, and these are buyers.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    arguments = {"timeout": BUSY_SECONDS, "async_creator_fn": sqlite_driver.connect}
    engine = create_async_engine(url, pool_size=5, max_overflow=10, hide_parameters=True, connect_args=arguments)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - a DB-API connection
    # The driver must not begin transactions by itself; _begin_sqlite does.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    for pragma in (
        "synchronous=FULL",
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
        "cache_size=-8000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:  # noqa: ANN401 - a DB-API cursor
    """Switch a database to WAL. SQLite does not wait by itself while several connections do that at the same moment."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            await_only(asyncio.sleep(0.02))
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    read = connection.get_execution_options().get("crossdock_read")
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")
