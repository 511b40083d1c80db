"""The ledger for commands that look: opened as it is, never upgraded on the way, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from ledger import Ledger
from ledger.migrate import current_version, newest_version
from models.ids import AccountKey
from models.outcome import ConfigurationError
from models.settings import LedgerSettings, Settings


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for other databases."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def place(settings: LedgerSettings) -> str:
    """Where the ledger is, without a password."""
    return make_url(settings.url).render_as_string(hide_password=True)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, when its tables are of this release.

    Raises:
        ConfigurationError: it has no tables yet, or those of another release.
        LedgerUnavailable: the database cannot be reached.
    """
    file = sqlite_file(settings.ledger.url)
    if file is not None and not file.exists():
        raise ConfigurationError(
            f"there is no ledger yet at {file}. It is made by the first run: crossdock serve, or crossdock migrate"
        )
    ledger = Ledger(settings.ledger)
    try:
        version = await current_version(ledger)
        if version != newest_version():
            raise ConfigurationError(version_problem(version))
        yield ledger
    finally:
        await ledger.dispose()


def version_problem(version: str | None) -> str:
    """Why the tables do not fit this release, and what to do."""
    if version is None:
        return "the ledger has no tables yet. They are made by the first run, or by: crossdock migrate"
    return (
        f"the ledger's tables are of version {version} and this release works with {newest_version()}. Nothing was "
        "changed. If the ledger is older, stop its workers and run: crossdock migrate. If it is newer, update Crossdock"
    )


def account_names(settings: Settings) -> dict[AccountKey, str]:
    """The configured names of accounts by their keys."""
    return {account.key_of: name for name, account in settings.accounts.items()}
