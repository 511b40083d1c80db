from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.http_status import (
    LONGEST_RETRY_AFTER,
    backoff,
    classify_read,
    classify_write,
    machine_code,
    never_sent,
    parse_http_date,
    parse_retry_after,
)
from models.outcome import OutcomeKind, RefusalCode

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504, 599, 0, 999])
def test_read_without_a_clear_answer_is_retried_quickly(status: int | None) -> None:
    """A read that got no clear answer is "not yet" and may be repeated at once."""
    verdict = classify_read(status)
    assert (verdict.kind, verdict.quick_retry) == (OutcomeKind.NOT_YET, True)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, RefusalCode.BAD_ANSWER),
        (400, RefusalCode.OTHER),
        (401, RefusalCode.CREDENTIALS),
        (403, RefusalCode.CREDENTIALS),
        (404, RefusalCode.NOT_FOUND),
        (409, RefusalCode.CONFLICT),
        (422, RefusalCode.INVALID_ORDER),
        (418, RefusalCode.OTHER),
    ],
)
def test_read_that_was_refused_is_not_repeated(status: int, code: RefusalCode) -> None:
    """A clear no to a read is final and carries its reason."""
    verdict = classify_read(status)
    assert (OutcomeKind.REFUSED, code, False) == (verdict.kind, verdict.code, verdict.quick_retry)


@given(st.one_of(st.none(), st.integers(-10, 1000)), st.booleans())
def test_write_is_never_repeated_quickly(status: int | None, sent: bool) -> None:
    """No answer whatsoever lets a client repeat a write by itself."""
    assert not classify_write(status, sent=sent).quick_retry


@pytest.mark.parametrize("status", [None, 100, 301, 307, 408, 500, 502, 503, 504, 599])
def test_write_without_a_clear_answer_is_unknown(status: int | None) -> None:
    """A write that got no clear answer may have had its effect."""
    assert classify_write(status).kind == OutcomeKind.UNKNOWN


@pytest.mark.parametrize("status", [425, 429])
def test_write_that_was_put_off_did_not_happen(status: int) -> None:
    """The statuses by which the other side says that it did not begin are "not yet"."""
    assert classify_write(status).kind == OutcomeKind.NOT_YET


def test_write_that_was_never_sent_did_not_happen() -> None:
    """Without an answer, only the certainty that nothing left makes a write "not yet"."""
    assert classify_write(None, sent=False).kind == OutcomeKind.NOT_YET


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_write_refusals_are_those_of_reads(status: int) -> None:
    """A clear no means the same for a write as for a read."""
    assert classify_read(status) == classify_write(status)


def test_only_errors_before_the_request_prove_that_it_never_left() -> None:
    """Connecting and pool errors are known by name, in httpx's own classes; all others may have been sent."""
    before = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout]
    after = [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
    assert [never_sent(kind("x")) for kind in before] == [True] * 3
    assert [never_sent(kind("x")) for kind in after] == [False] * 5
    assert not never_sent(TimeoutError())


@given(st.integers(0, 10**12 - 1))
def test_retry_after_in_seconds_is_read_and_bounded(seconds: int) -> None:
    """Whole seconds count as they are, up to half a day."""
    assert min(float(seconds), LONGEST_RETRY_AFTER) == parse_retry_after(f" {seconds} ", NOW)


@given(st.integers(-100_000, 100_000))
def test_retry_after_as_a_date_counts_from_the_given_time(offset: int) -> None:
    """A date is the time until then; the past is now, and half a day is the most."""
    header = format_datetime(NOW + timedelta(seconds=offset), usegmt=True)
    assert min(max(float(offset), 0.0), LONGEST_RETRY_AFTER) == parse_retry_after(header, NOW)


@given(st.text(max_size=80))
def test_retry_after_survives_any_text(text: str) -> None:
    """Whatever stands in the header, the result is a bounded number of seconds or nothing."""
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0.0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize("text", [None, "", "-5", "soon", "1e3", "nan", "inf", "٣", "5 seconds", "9" * 13, "1" * 5000])
def test_nonsense_in_retry_after_is_no_wish(text: str | None) -> None:
    """What is neither seconds nor a date is treated as if the header were missing."""
    assert parse_retry_after(text, NOW) is None


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_all_three_http_dates_are_read(text: str) -> None:
    """The three forms of HTTP's dates give the same aware instant."""
    assert datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC) == parse_http_date(text)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_spread(attempt: int, chance: float) -> None:
    """A pause lies in the upper half of its step and never beyond the longest one."""
    assert 0.125 <= backoff(attempt, chance) <= 4.0
    assert backoff(attempt, 0.0) <= backoff(attempt, chance)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"code":"order_not_ready","message":"Jane Doe"}}', "order_not_ready"),
        (b'{"code":"rate.limited"}', "rate.limited"),
        (b'{"error":"not_found"}', "not_found"),
        (b'{"error":{"code":"Jane Doe"}}', None),
        (b'{"error":{"code":"jane@example.org"}}', None),
        (b'{"error":{"code":"tel.4930123456"}}', None),
        (b'{"error":{"code":"x\\n"}}', None),
        (b'{"error":{"code":12}}', None),
        (b"[1]", None),
        (b"<html>", None),
        (b"", None),
        (b'{"code":"x","pad":"' + b"y" * 20_000 + b'"}', None),
        (b'{"code":' + b"[" * 15_000, None),
    ],
)
def test_only_a_machine_code_is_taken_from_an_error(body: bytes, code: str | None) -> None:
    """Of an error body nothing but a short code is used; sentences may echo a buyer."""
    assert code == machine_code(body)
