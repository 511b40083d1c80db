"""``crossdock migrate``: the ledger's tables brought to this release."""

from __future__ import annotations

import asyncio

from cli.ledger_access import place
from ledger import Ledger
from ledger.migrate import current_version, migrate, newest_version
from models.settings import Settings


def run_migrate(settings: Settings) -> str:
    """Upgrade, and say what was done.

    Raises:
        LedgerUnavailable: the database cannot be reached, or a newer release made it.
    """
    return asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> str:
    ledger = Ledger(settings.ledger)
    try:
        before = await current_version(ledger)
        if before == newest_version():
            return f"{place(settings.ledger)}: tables of version {before} already; nothing to do."
        after = await migrate(ledger)
        return f"{place(settings.ledger)}: tables brought from {before or 'none'} to version {after}."
    finally:
        await ledger.dispose()
