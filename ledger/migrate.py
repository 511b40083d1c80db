"""Bring the ledger's tables to the current version with Alembic; safe to run again and beside running flows."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from ledger.engine import Ledger

MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def newest_version() -> str:
    """The version that this release expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package ships its migrations
    return head


async def current_version(ledger: Ledger) -> str | None:
    """The version that the database has, or None when it has no tables of ours."""
    async with ledger.engine.connect() as connection:
        return await connection.run_sync(_version)


def _version(connection: Connection) -> str | None:
    if "alembic_version" not in inspect(connection).get_table_names():
        return None
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(ledger: Ledger) -> str:
    """Upgrade to the newest version and return it. A newer database is refused by Alembic with its own message."""
    async with ledger.engine.begin() as connection:
        await connection.run_sync(_upgrade)
    return newest_version()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
