"""What a database error says about an order: the outcome, and in plain words what to do.

    before COMMIT                                       outcome
    locked, full, no connection, deadlock, shutdown     not yet: the transaction was never committed
    wrong user or password                              refused: credentials
    a value the database cannot hold                    refused: invalid_order
    no table, no right, read-only file, a rule          refused: other
    anything else                                       not yet
    during COMMIT
    SQLite says the disk is full                        not yet: the record that would commit did not fit
    anything else                                       unknown

Texts of the database are never passed on: they can hold the statement's values, and so a buyer's.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models.outcome import Failure, NotYet, RefusalCode, Refused, Unknown

# What connecting, a statement, COMMIT or the hard timeout (an OSError) can raise. Our own mistakes are not among them.
DATABASE_ERRORS = (DBAPIError, PoolTimeoutError, PostgresError, InterfaceError, OSError)

_FULL = frozenset({"SQLITE_FULL", "53100"})
_LOCKED = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "40001", "40P01", "55P03"})
_READ_ONLY = frozenset({"SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH", "42501"})
_BROKEN = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store's database is, in words without user or password, and the setting that says so."""

    name: str
    address: str

    def say(self, what: str) -> str:
        """A sentence about this store."""
        return f"Store {self.name!r} ({self.address}): {what}"


def outcome_of(error: BaseException, place: Place, *, committing: bool) -> Failure:
    """The outcome of a transaction that ended with ``error``.

    Args:
        error: one of ``DATABASE_ERRORS``.
        place: for the message.
        committing: whether COMMIT had been sent. Before that, nothing can have happened.
    """
    code = code_of(error)
    named = f"error {code}" if code else f"error {type(error).__name__}"
    if committing and code != "SQLITE_FULL":
        return Unknown(
            place.say(
                f"the database failed while it committed ({named}). The change may or may not be there; the order is "
                "looked up by its reference before anything else is done. Check the database's disk and log."
            )
        )
    return _refusal(code, named, place) or NotYet(place.say(_not_yet(code, named, error)))


def code_of(error: BaseException) -> str | None:
    """SQLite's primary error name (``SQLITE_BUSY``) or PostgreSQL's SQLSTATE, wherever in the chain it stands."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, sqlite3.Error):
            # Extended names (SQLITE_READONLY_DIRECTORY) begin with the primary one.
            name = getattr(seen, "sqlite_errorname", None)
            return "_".join(str(name).split("_")[:2]) if name else None
        state = getattr(seen, "sqlstate", None)
        if isinstance(state, str):
            return state
        original = getattr(seen, "orig", None)
        seen = original if isinstance(original, BaseException) else seen.__cause__
    return None


def _refusal(code: str | None, named: str, place: Place) -> Refused | None:
    if code is None:
        return None
    if code.startswith("28"):
        return Refused(
            RefusalCode.CREDENTIALS,
            place.say(
                f"the database did not accept the user or the password ({named}). Nothing was written. Correct "
                f"stores.{place.name}.url, then run crossdock check."
            ),
        )
    if code.startswith("22"):
        return Refused(
            RefusalCode.INVALID_ORDER,
            place.say(
                f"the database cannot hold a value of the order ({named}). Nothing was written. Compare the raw "
                "document with docs/stores/embedded.md, then retry the order."
            ),
        )
    advice = _advice(code)
    if advice is None:
        return None
    return Refused(RefusalCode.OTHER, place.say(f"{advice[0]} ({named}). Nothing was written. {advice[1]}"))


def _advice(code: str) -> tuple[str, str] | None:
    """What happened and what to do, for errors that a repeat would meet again."""
    if code in _READ_ONLY:
        return (
            "this user may not write there",
            "Give it SELECT, INSERT and UPDATE on the store_* tables, or make the SQLite file and its folder writable.",
        )
    if code in _BROKEN:
        return "the file is no sound SQLite database", "Restore it from a backup, then retry the order."
    if code == "3D000":
        return "the server has no such database", "Create it or correct the url, then retry the order."
    if code == "SQLITE_ERROR" or code.startswith("42"):
        return (
            "a table or column is missing or was changed",
            "Restore the tables listed in docs/stores/embedded.md; if all are gone, a restart creates them.",
        )
    if code == "SQLITE_CONSTRAINT" or code.startswith("23") or code == "P0001":
        return (
            "a constraint or trigger in the database refused the row",
            "Look for rules that were added to the store_* tables, mend or drop them, then retry the order.",
        )
    return None


def _not_yet(code: str | None, named: str, error: BaseException) -> str:
    again = "Nothing was written; it is tried again by itself."
    if code in _FULL:
        return f"the disk under the database is full ({named}). {again} Free space there."
    if code in _LOCKED:
        return f"another program held a lock for too long ({named}). {again} Look for long transactions of the ERP."
    if code == "SQLITE_CANTOPEN":
        return f"the file cannot be opened ({named}). {again} Check that its folder exists and may be written to."
    if isinstance(error, (TimeoutError, PoolTimeoutError)):
        return f"the database did not answer in time. {again} If this goes on, look for locks or a slow disk."
    return f"the database cannot be reached ({named}). {again} If this goes on, run crossdock check."
