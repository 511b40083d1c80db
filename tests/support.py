"""What the shared fixtures are made of: databases, virtual time and canaries."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from ledger import Ledger
from ledger.migrate import migrate
from models.settings import LedgerSettings


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
    """Makes databases; a ledger with tables is a copy of one that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        self._template: Path | None = None
        self._templates: set[str] = set()

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
        if socket not in self._templates:
            await _sql(socket, "CREATE DATABASE ledger_template")
            await _migrate(_postgres(socket, "ledger_template"))
            self._templates.add(socket)
        await _sql(socket, f"CREATE DATABASE ledger{number} TEMPLATE ledger_template")
        return _postgres(socket, f"ledger{number}")

    async def drop(self, url: str) -> None:
        """Remove a database and whoever is still connected to it."""
        if url.startswith("sqlite"):
            for path in self.folder.glob(Path(url).name + "*"):
                path.unlink()
            return
        place, socket = url.split("?host=")
        await _sql(socket, f"DROP DATABASE IF EXISTS {place.rsplit('/', 1)[1]} WITH (FORCE)")

    def close(self) -> None:
        """Nothing is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _postgres(socket: str, name: str) -> str:
    return f"postgresql+asyncpg://postgres@/{name}?host={socket}"


async def _sql(socket: str, statement: str) -> None:
    connection = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    try:
        await connection.execute(statement)
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
