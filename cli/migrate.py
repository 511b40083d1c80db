"""``crossdock migrate``: the ledger's tables brought to this release."""

from __future__ import annotations

import asyncio

from alembic.util import CommandError

from cli.ledger_access import place, version_of, version_problem
from ledger import Ledger
from ledger.migrate import migrate, newest_version
from models.outcome import ConfigurationError
from models.settings import Settings


def run_migrate(settings: Settings) -> str:
    """Upgrade, and say what was done.

    Raises:
        ConfigurationError: the ledger is of a newer release.
        LedgerUnavailable: the database cannot be reached.
    """
    return asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> str:
    ledger = Ledger(settings.ledger)
    try:
        before = await version_of(ledger)
        if before == newest_version():
            return f"{place(settings.ledger)}: tables of version {before} already; nothing to do."
        try:
            after = await migrate(ledger)
        except CommandError:  # Alembic does not know the version: a newer release made it
            raise ConfigurationError(version_problem(before)) from None
        return f"{place(settings.ledger)}: tables brought from {before or 'none'} to version {after}."
    finally:
        await ledger.dispose()
