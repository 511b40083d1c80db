"""Creating and upgrading the ledger's tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills SQLModel.metadata
from ledger import Ledger, LedgerUnavailable
from ledger.migrate import current_version, migrate, newest_version
from tests.support import Databases


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


@pytest.mark.asyncio
async def test_empty_database_is_upgraded_to_the_newest_version(empty_url: str) -> None:
    """A database without tables has no version, and the newest one after migrating."""
    ledger = Ledger(Databases.settings(empty_url))
    before = await current_version(ledger)
    said = await migrate(ledger)
    after = await current_version(ledger)
    await ledger.dispose()

    assert (None, newest_version(), newest_version()) == (before, said, after)


@pytest.mark.asyncio
async def test_migrating_again_changes_nothing(ledger: Ledger) -> None:
    """A second upgrade is harmless."""
    await migrate(ledger)
    await migrate(ledger)

    assert newest_version() == await current_version(ledger)


@pytest.mark.asyncio
async def test_two_processes_may_migrate_at_once(empty_url: str) -> None:
    """Two runs that start on an empty database at the same time both end with the tables in place."""
    ledgers = [Ledger(Databases.settings(empty_url)) for _ in range(4)]
    versions = await asyncio.gather(*(migrate(one) for one in ledgers))
    async with ledgers[0].read() as session:
        rows = (await session.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one()
    for one in ledgers:
        await one.dispose()

    assert {newest_version()} == set(versions)
    assert rows == 1


@pytest.mark.asyncio
async def test_migrated_schema_is_the_models_schema(ledger: Ledger) -> None:
    """The tables that the migrations make are the tables that the models describe."""
    async with ledger.read() as session:
        differences = await (await session.connection()).run_sync(_differences)

    assert differences == []


@pytest.mark.asyncio
async def test_unique_keys_are_in_the_database(ledger: Ledger) -> None:
    """The unique keys that guard against doubles exist in the database itself, not only in the models."""

    def keys(connection: Connection) -> set[tuple[str, ...]]:
        inspector = inspect(connection)
        unique = {
            (table, *found["column_names"])
            for table in ("source_order", "source_event", "effect", "order_document", "bad_answer")
            for found in inspector.get_unique_constraints(table)
        }
        return unique | {("open_intent", *inspector.get_pk_constraint("open_intent")["constrained_columns"])}

    async with ledger.read() as session:
        found = await (await session.connection()).run_sync(keys)

    assert {
        ("source_order", "provider", "environment", "account", "source_order_id"),
        ("source_event", "provider", "environment", "account", "event_id"),
        ("effect", "order_id", "seq"),
        ("open_intent", "order_id"),
        ("order_document", "order_id", "sha256"),
        ("bad_answer", "provider", "environment", "account", "sha256"),
    } <= found


@pytest.mark.asyncio
async def test_ledger_of_a_newer_release_is_refused(ledger: Ledger) -> None:
    """A version that this release does not know is refused with what to do, and stays as it is."""
    async with ledger.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(LedgerUnavailable, match=r"version 9999.*release that made it"):
        await migrate(ledger)
    assert await current_version(ledger) == "9999"


@pytest.mark.asyncio
async def test_versions_of_unreachable_databases_are_unavailable(tmp_path: Path) -> None:
    """Asking a file that is no database for its version gives an error of ours."""
    (tmp_path / "ledger.db").write_bytes(b"this is a letter, not a database\n" * 200)
    ledger = Ledger(Databases.settings(f"sqlite+aiosqlite:///{tmp_path}/ledger.db"))

    with pytest.raises(LedgerUnavailable, match=r"check ledger\.url"):
        await current_version(ledger)
    await ledger.dispose()
