"""The embedded store's connections: pragmas, write locks, waiting times and the first start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.outcome import ConfigurationError
from models.settings import EmbeddedStore
from stores.embedded_errors import DATABASE_ERRORS, Place, code_of
from stores.embedded_tables import prepare_tables

BUSY_SECONDS = 30.0
"""Longest wait for SQLite's write lock; less when the call's own limit is shorter (see ``_patience``)."""
# Each connection of aiosqlite is a thread, and SQLite has one writer anyway.
_SQLITE_CONNECTIONS = 4
_WRITES = "crossdock_writes"


class EmbeddedDatabase:
    """One database of one embedded store, for one event loop."""

    def __init__(self, settings: EmbeddedStore, name: str) -> None:
        # aiosqlite logs every statement with its values at DEBUG, and these are buyers.
        logging.getLogger("aiosqlite").setLevel(logging.INFO)
        url = _checked(settings.url, name)
        self._environment = settings.environment
        self._timeout = settings.limits.timeout
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.place = Place(name, _address(url))
        connections = min(settings.limits.concurrency, _SQLITE_CONNECTIONS if self.is_sqlite else 64)
        self._slots = asyncio.Semaphore(connections)
        # Our own writers queue here and not at SQLite's lock, where waiting is polling.
        self._writer = asyncio.Semaphore(1 if self.is_sqlite else connections)
        self._preparing = asyncio.Lock()
        self._prepared = False
        self._folder = Path(url.database).parent if self.is_sqlite and url.database else None
        self._reading = _engine(url, connections, _patience(settings.limits.timeout))
        self._writing = self._reading.execution_options(**{_WRITES: True})

    @asynccontextmanager
    async def session(self, *, writes: bool) -> AsyncIterator[AsyncSession]:
        """A session whose transaction is rolled back unless the caller commits it.

        The time limit starts once a connection is free, so that a long queue of orders does not time out by itself.

        Raises:
            SchemaMismatch: the tables are not ours to write to.
            DATABASE_ERRORS: whatever the database said, ``TimeoutError`` when it said nothing.
        """
        async with AsyncExitStack() as stack:
            if writes:
                await stack.enter_async_context(self._writer)
            await stack.enter_async_context(self._slots)
            await stack.enter_async_context(asyncio.timeout(self._timeout))
            await self._prepare()
            engine = self._writing if writes else self._reading
            yield await stack.enter_async_context(AsyncSession(engine, expire_on_commit=False))

    async def dispose(self) -> None:
        """Close every connection."""
        await self._reading.dispose()

    async def _prepare(self) -> None:
        if self._prepared:
            return
        async with self._preparing:
            while not self._prepared:
                try:
                    if self._folder is not None:
                        self._folder.mkdir(parents=True, exist_ok=True)
                    await prepare_tables(self._writing, self._reading, self._environment)
                    self._prepared = True
                except DATABASE_ERRORS as error:
                    # Two processes that turn the same new file to WAL at once: SQLite refuses one of them without
                    # waiting. The call's time limit ends this loop.
                    if code_of(error) != "SQLITE_BUSY":
                        raise
                    await asyncio.sleep(0.05)


def _patience(timeout: float) -> float:
    """Seconds to wait for a lock: below the call's hard limit, so that the wait ends by itself and cleanly."""
    return min(BUSY_SECONDS, 0.8 * timeout)


def _checked(text: str, name: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        # Not shown: the text may hold a password.
        raise ConfigurationError(f"stores.{name}.url: not a database URL; see docs/stores/embedded.md") from None
    if url.drivername not in ("sqlite+aiosqlite", "postgresql+asyncpg"):
        raise ConfigurationError(
            f"stores.{name}.url: starts with {url.drivername}://; give sqlite+aiosqlite:///path/store.db or "
            "postgresql+asyncpg://user:password@host/database"
        )
    in_memory = url.database in (None, "", ":memory:") or str(url.database).startswith("file:")
    if url.drivername == "sqlite+aiosqlite" and in_memory:
        raise ConfigurationError(
            f"stores.{name}.url: names no file; orders kept in memory are lost. Give sqlite+aiosqlite:///path/store.db"
        )
    return url


def _address(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "local socket"
    port = f":{url.port}" if url.port else ""
    return f"{host if isinstance(host, str) else ','.join(host)}{port}/{url.database or ''}"


def _engine(url: URL, connections: int, patience: float) -> AsyncEngine:
    # hide_parameters: an error that gets out must not carry a buyer's values.
    shared: dict[str, Any] = {"pool_size": connections, "max_overflow": 0, "hide_parameters": True}
    if url.get_backend_name() != "sqlite":
        settings = {"application_name": "crossdock-store"}
        arguments = {"timeout": patience, "server_settings": settings}
        return create_async_engine(url, pool_pre_ping=True, connect_args=arguments, **shared)
    engine = create_async_engine(url, connect_args={"timeout": patience}, **shared)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - a DB-API connection
    # The driver must not begin transactions by itself; _begin_sqlite does.
    connection.isolation_level = None
    cursor = connection.cursor()
    # busy_timeout is set by the driver's own timeout before this.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    # A deferred transaction that writes later fails with "locked" whatever the busy time-out is.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
