"""The four ends of an effect, and the error tree that carries them through retries.

    Outcome = Done | Refused | NotYet | Unknown

    CrossdockError
    ├── ConfigurationError      a setting is wrong; nothing was sent
    ├── BadDocument             a provider's document cannot be used; the raw bytes are kept
    ├── LeaseLost               somebody else may act on this order now; nothing more is written
    └── EffectFailed            an effect did not end as done
        ├── NotYetError         retryable: the effect certainly did not happen
        ├── RefusedError        permanent: the other side said no
        └── UnknownOutcomeError nobody knows; look before anything else is done

The fourth outcome is the one that decides trust: a create that timed out may have succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class OutcomeKind(StrEnum):
    """The class of an outcome as it is stored in the ledger."""

    DONE = "done"
    REFUSED = "refused"
    NOT_YET = "not_yet"
    UNKNOWN = "unknown"


class RefusalCode(StrEnum):
    """Why the other side said no, in the words that policies and reports use."""

    UNKNOWN_SKU = "unknown_sku"
    OUT_OF_STOCK = "out_of_stock"
    INVALID_ADDRESS = "invalid_address"
    INVALID_ORDER = "invalid_order"
    REFERENCE_CONFLICT = "reference_conflict"
    ALREADY_SHIPPED = "already_shipped"
    ORDER_CANCELLED = "order_cancelled"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    CREDENTIALS = "credentials"
    BAD_ANSWER = "bad_answer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The effect happened, and ``value`` says what it made. ``already`` when it had happened before this call."""

    value: T
    already: bool = False
    kind: OutcomeKind = field(default=OutcomeKind.DONE, init=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side said no for good. Not retried; parked or left to the failure policy."""

    code: RefusalCode
    message: str
    status: int | None = None
    kind: OutcomeKind = field(default=OutcomeKind.REFUSED, init=False)


@dataclass(frozen=True, slots=True)
class NotYet:
    """The effect certainly did not happen and may be tried again.

    ``retry_after`` is the other side's own wish in seconds, when it gave one.
    """

    message: str
    retry_after: float | None = None
    status: int | None = None
    kind: OutcomeKind = field(default=OutcomeKind.NOT_YET, init=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the effect happened. Look first; no second try, no cancel, no refund until it is settled."""

    message: str
    status: int | None = None
    kind: OutcomeKind = field(default=OutcomeKind.UNKNOWN, init=False)


Failure = Refused | NotYet | Unknown
Outcome = Done[T] | Refused | NotYet | Unknown


class CrossdockError(Exception):
    """Base of every error that the hub raises on purpose."""


class ConfigurationError(CrossdockError):
    """A setting is missing or wrong. The message names the key and what to put there."""


class BadDocument(CrossdockError):
    """A provider's answer or document cannot be used. Its raw bytes are kept by whoever raised this.

    Attributes:
        code: a stable word for reports, e.g. ``sum_mismatch`` or ``unreadable``.
        raw: the bytes as received (possibly cut, see ``size``).
        size: how many bytes were received, when known.
    """

    def __init__(self, code: str, message: str, raw: bytes = b"", size: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.raw = raw
        self.size = len(raw) if size is None else size


class LeaseLost(CrossdockError):
    """The lease on an order (or on a feed) passed to somebody else; this writer must stop touching it."""


class EffectFailed(CrossdockError):
    """An effect did not end as done. ``outcome`` tells which of the other three ends it had."""

    def __init__(self, outcome: Failure, subject: str) -> None:
        super().__init__(f"{subject}: {outcome.message}")
        self.outcome = outcome
        self.subject = subject


class NotYetError(EffectFailed):
    """Retryable: Prefect's task retries work on this one."""


class RefusedError(EffectFailed):
    """Permanent: a retry would get the same answer."""


class UnknownOutcomeError(EffectFailed):
    """Unknown: a retry could do it twice. The order's next step is to look."""


def error_for(outcome: Failure, subject: str) -> EffectFailed:
    """The exception that carries ``outcome``; ``subject`` names the order or the feed."""
    if isinstance(outcome, NotYet):
        return NotYetError(outcome, subject)
    if isinstance(outcome, Refused):
        return RefusedError(outcome, subject)
    return UnknownOutcomeError(outcome, subject)
