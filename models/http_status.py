"""What an HTTP answer, or the lack of one, says about a call. Pure: no httpx, no clock, no network.

Shared by the provider clients and the store adapters, so that "may this be tried again?" is decided in one place:

    answer                    a read (GET)                    a write (create, accept, cancel)
    2xx                       done                            done, if the caller finds the body as expected
    3xx (never followed)      refused: bad_answer             unknown
    401, 403                  refused: credentials            refused: credentials
    404                       refused: not_found              refused: not_found
    408                       not yet, quick retry            unknown: a proxy may have passed it on
    409                       refused: conflict               refused: conflict
    422                       refused: invalid_order          refused: invalid_order
    425, 429                  not yet, quick retry            not yet: the other side says it did not begin
    any other 4xx             refused: other                  refused: other
    5xx, or no HTTP status    not yet, quick retry            unknown
    no answer, not sent       not yet, quick retry            not yet
    no answer, perhaps sent   not yet, quick retry            unknown

A 503 on a write stays unknown even with Retry-After: gateways answer 503 for work that was done behind them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from models.outcome import OutcomeKind, RefusalCode

LONGEST_RETRY_AFTER = 12 * 3600.0
"""Seconds. A longer Retry-After is cut to this: half a day of silence is what an order's deadline can afford."""

# Raised by httpx before the first byte of a request leaves. By name, because models/ does not import httpx.
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "InvalidURL"})
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_MACHINE_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
# A long run of digits in a "code" is an order, a phone or a card number and not the name of an error.
_NUMBER_INSIDE = re.compile(r"[0-9]{5}")
_LONGEST_ERROR_BODY = 16 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means.

    Attributes:
        kind: the class of the outcome.
        code: why it was refused; None unless ``kind`` is ``REFUSED``.
        quick_retry: whether the same call may be repeated at once, inside the client. Never true for a write.
    """

    kind: OutcomeKind
    code: RefusalCode | None = None
    quick_retry: bool = False


_DONE = Verdict(OutcomeKind.DONE)
_NOT_YET = Verdict(OutcomeKind.NOT_YET)
_AGAIN = Verdict(OutcomeKind.NOT_YET, quick_retry=True)
_UNKNOWN = Verdict(OutcomeKind.UNKNOWN)
_REFUSED = {
    401: RefusalCode.CREDENTIALS,
    403: RefusalCode.CREDENTIALS,
    404: RefusalCode.NOT_FOUND,
    409: RefusalCode.CONFLICT,
    422: RefusalCode.INVALID_ORDER,
}


def classify_read(status: int | None) -> Verdict:
    """What the answer to a read means; ``None`` is for no answer at all.

    A read has no effect, so nothing about it is ever unknown.
    """
    if status is None or status in (408, 425, 429) or not 200 <= status <= 499:
        return _AGAIN
    if status <= 299:
        return _DONE
    if status <= 399:
        return Verdict(OutcomeKind.REFUSED, RefusalCode.BAD_ANSWER)
    return Verdict(OutcomeKind.REFUSED, _REFUSED.get(status, RefusalCode.OTHER))


def classify_write(status: int | None, *, sent: bool = True) -> Verdict:
    """What the answer to a write means.

    Args:
        status: the HTTP status, or None for no answer.
        sent: only looked at when there is no answer: False when it is certain that not one byte of the request left
            (see ``never_sent``).
    """
    if status is None:
        return _UNKNOWN if sent else _NOT_YET
    if 200 <= status <= 299:
        return _DONE
    if status in (425, 429):
        return _NOT_YET
    if status == 408 or not 400 <= status <= 499:
        return _UNKNOWN
    return Verdict(OutcomeKind.REFUSED, _REFUSED.get(status, RefusalCode.OTHER))


def never_sent(error: BaseException) -> bool:
    """Whether an httpx error proves that the request never left: no connection, no TLS, no free slot in the pool.

    A read or write time-out, a reset or a protocol error does not prove it.
    """
    return any(kind.__name__ in _NEVER_SENT for kind in type(error).__mro__)


def parse_http_date(value: str | None) -> datetime | None:
    """A ``Date`` or ``Retry-After`` date in any of HTTP's three forms as aware UTC, or None when it is none."""
    if value is None or not 8 <= len(value) <= 64:
        return None
    try:
        parsed = parsedate_to_datetime(value.strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None  # not a date; the callers then do without one


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, in ``[0, LONGEST_RETRY_AFTER]``.

    Args:
        value: the header: whole (or decimal) seconds, or an HTTP date.
        now: aware time that a date is measured against. Pass the answer's own ``Date`` when it has one, so that a
            wrong clock on this machine does not turn a minute into an hour.

    Returns:
        None when the header is missing or nonsense (negative, not a number, not a date). A date in the past is 0.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until = parse_http_date(text)
        if until is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def backoff(attempt: int, chance: float, *, first: float = 0.25, longest: float = 4.0) -> float:
    """Seconds before try ``attempt + 1``: doubled each time, then spread over its upper half.

    Args:
        attempt: how many tries there were, from 1.
        chance: a random number in [0, 1), given by the caller so that tests can fix it.
        first: seconds after the first try.
        longest: bound, in seconds.
    """
    whole = min(first * 2.0 ** min(attempt - 1, 30), longest)
    return float(whole * (0.5 + chance / 2))


def machine_code(raw: bytes) -> str | None:
    """The error's machine-readable name from a small JSON error body, e.g. ``order_not_ready``.

    Looks at ``error.code``, ``error`` and ``code``. Free text is never returned: the other side's sentences may echo
    a buyer's values back to us.
    """
    if not raw or len(raw) > _LONGEST_ERROR_BODY:
        return None
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None  # not JSON; the status alone has to do
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    for candidate in (error.get("code") if isinstance(error, dict) else error, body.get("code")):
        if isinstance(candidate, str) and _MACHINE_CODE.fullmatch(candidate) and not _NUMBER_INSIDE.search(candidate):
            return candidate
    return None
