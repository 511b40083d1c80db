"""Bring the ledger's tables to the current version with Alembic; safe to run again and beside running flows."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from ledger.engine import Ledger, LedgerUnavailable

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
    async with ledger.read() as session:
        return await (await session.connection()).run_sync(_version)


def _version(connection: Connection) -> str | None:
    if "alembic_version" not in inspect(connection).get_table_names():
        return None
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(ledger: Ledger) -> str:
    """Upgrade to the newest version and return it.

    Raises:
        LedgerUnavailable: a newer release made this database, or it cannot be reached.
    """
    async with ledger.write() as session:
        # Two processes that start together must not both create the tables.
        await ledger.serialize(session, "crossdock migrate")
        connection = await session.connection()
        version = await connection.run_sync(_version)
        if version is not None and not _known(version):
            raise LedgerUnavailable(
                f"the ledger has version {version}, which this release does not know; use the release that made it"
            )
        await connection.run_sync(_upgrade)
    return newest_version()


def _known(version: str) -> bool:
    try:
        return ScriptDirectory.from_config(_config()).get_revision(version) is not None
    except CommandError:
        return False


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
