"""What the shared fixtures are made of: databases, virtual time and canaries."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills SQLModel.metadata
from ledger import Ledger
from ledger.migrate import migrate
from models.settings import LedgerSettings

_SHAPE = """SELECT string_agg(concat_ws('.', table_name, column_name, data_type), ',' ORDER BY table_name, column_name)
    || (SELECT version_num FROM alembic_version) FROM information_schema.columns WHERE table_schema = 'public'"""
_EMPTY = f"TRUNCATE {', '.join(sorted(SQLModel.metadata.tables))} RESTART IDENTITY CASCADE"


class VirtualClock:
    """Aware UTC time that moves only when the test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time now."""
        return self.now

    def forward(self, seconds: float = 0.0, *, hours: float = 0.0) -> datetime:
        """Let time pass."""
        self.now += timedelta(seconds=seconds, hours=hours)
        return self.now


class Canaries:
    """Values that must never be seen in a log, an exception, a parameter, an artifact or a page."""

    SECRET = "GL.canary-secret-9b41d7"
    NAME = "Canaria Zwitscher"
    EMAIL = "canary.buyer@canary.example"
    PHONE = "+999555010203"
    STREET = "Kanarienweg 42b"
    NOTE = "canary note: leave it with the neighbour"
    ALL = (SECRET, NAME, EMAIL, PHONE, STREET, NOTE)


def assert_no_canary(*texts: object) -> None:
    """Fail when a canary is in one of these texts."""
    for text in texts:
        found = [canary for canary in Canaries.ALL if canary in str(text)]
        assert not found, f"{found} got out: {text}"


class Databases:
    """Makes databases. Ledgers with tables are copied (SQLite) or emptied and used again (PostgreSQL)."""

    # One count for all: they share one PostgreSQL server, where a name can be used once.
    _numbers = itertools.count(1)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._free: dict[str, list[str]] = {}
        self._shapes: dict[str, str] = {}

    @staticmethod
    def settings(url: str, lease_seconds: float = 90.0) -> LedgerSettings:
        """The settings of a ledger at this URL."""
        return LedgerSettings(url=url, lease_seconds=lease_seconds)

    async def empty(self, socket: str | None) -> str:
        """A database without tables: PostgreSQL when a server's socket is given, else SQLite."""
        number = next(self._numbers)
        if socket is None:
            return f"sqlite+aiosqlite:///{self.folder}/ledger{number}.db"
        await _sql(socket, f"CREATE DATABASE ledger{number}")
        return _postgres(socket, f"ledger{number}")

    async def migrated(self, socket: str | None) -> str:
        """A ledger with its tables and nothing in them."""
        number = next(self._numbers)
        if socket is None:
            template = self.folder / "template.db"
            if not template.exists():
                await _migrate(f"sqlite+aiosqlite:///{template}")
            shutil.copyfile(template, self.folder / f"ledger{number}.db")
            return f"sqlite+aiosqlite:///{self.folder}/ledger{number}.db"
        if free := self._free.setdefault(socket, []):
            return free.pop()
        await _sql(socket, f"CREATE DATABASE ledger{number}")
        url = _postgres(socket, f"ledger{number}")
        await _migrate(url)
        self._shapes[url] = await _sql(socket, _SHAPE, f"ledger{number}")
        return url

    async def drop(self, url: str) -> None:
        """Remove a database, or empty it for the next test when that left its tables as they were."""
        if url.startswith("sqlite"):
            for path in self.folder.glob(Path(url).name + "*"):
                path.unlink()
            return
        place, socket = url.split("?host=")
        name = place.rsplit("/", 1)[1]
        if url in self._shapes and self._shapes[url] == await _sql(socket, _SHAPE, name):
            await _sql(socket, _EMPTY, name)
            self._free[socket].append(url)
        else:
            await _sql(socket, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        """Nothing is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _postgres(socket: str, name: str) -> str:
    return f"postgresql+asyncpg://postgres@/{name}?host={socket}"


async def _sql(socket: str, statement: str, database: str = "postgres") -> str:
    """Run a statement; gives the first column of a query's first row."""
    connection = await asyncpg.connect(host=socket, user="postgres", database=database)
    try:
        if statement.startswith("SELECT"):
            return str(await connection.fetchval(statement))
        return str(await connection.execute(statement))
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    ledger = Ledger(Databases.settings(url))
    try:
        await migrate(ledger)
    finally:
        await ledger.dispose()
    # aiosqlite's thread closes the file a moment later.
    await asyncio.sleep(0)
