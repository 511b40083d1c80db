"""UTC time, exact columns on both databases, and waiting times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from ledger import Ledger
from models.backoff import backoff, next_probe
from models.columns import ExactDecimal
from models.tables import SourceOrder
from models.time import parse_instant, require_utc, to_text, utc_now

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
instants = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | st.builds(lambda m: timezone(timedelta(minutes=m)), st.integers(-1439, 1439)),
)


def _order(number: int, **columns: Any) -> SourceOrder:
    return SourceOrder(
        provider="glopal",
        environment="live",
        account="columns",
        source_order_id=str(number),
        reference=str(number),
        **{"first_seen_at": NOW, "updated_at": NOW} | columns,
    )


def test_naive_times_are_refused() -> None:
    """A time without a zone is an error everywhere, never guessed."""
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - that is the point
    for read in (require_utc, to_text):
        with pytest.raises(ValueError, match="no time zone"):
            read(naive)
    with pytest.raises(ValueError, match="no time zone"):
        parse_instant("2026-03-01T12:00:00")


def test_now_is_aware_utc() -> None:
    """The clock gives aware UTC."""
    assert timedelta(0) == utc_now().utcoffset()


def test_provider_times_are_read() -> None:
    """The contract's form and other zones are read as UTC."""
    assert datetime(2023, 1, 10, 10, tzinfo=UTC) == parse_instant("2023-01-10T10:00:00.000Z")
    assert datetime(2023, 1, 10, 10, tzinfo=UTC) == parse_instant("2023-01-10T12:00:00+02:00")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1690000000", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_texts_that_are_no_instant_are_value_errors(text: str) -> None:
    """Whatever stands there, the only error is ValueError, so that readers may rely on it."""
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@given(first=instants, second=instants)
def test_text_order_is_time_order(first: datetime, second: datetime) -> None:
    """The text form has 27 characters, sorts as time does and reads back the same."""
    texts = to_text(first), to_text(second)

    assert [len(text) for text in texts] == [27, 27]
    assert (first < second) == (texts[0] < texts[1])
    assert first == parse_instant(texts[0])


@pytest.mark.asyncio
async def test_times_come_back_aware_and_in_order(ledger: Ledger) -> None:
    """Both databases give back the same aware UTC instant to the microsecond, and sort by it."""
    times = [
        datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(999, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=timezone(timedelta(hours=5))),
    ]
    async with ledger.write() as session:
        session.add_all([_order(n, due_at=time) for n, time in enumerate(times)])
    async with ledger.read() as session:
        read = list(await session.exec(select(SourceOrder.due_at).order_by(col(SourceOrder.due_at))))

    assert sorted(times) == read
    assert {timedelta(0)} == {time.utcoffset() for time in read if time}


EXACT = [
    "0",
    "0.1",
    "100",
    "1E+3",
    "-12.50",
    "0.000000000000000001",
    "123456789012.123456789012345678",
    "99999999999999999999.999999999999999999",
    "-0.30",
]


@pytest.mark.asyncio
async def test_amounts_come_back_exactly(ledger: Ledger) -> None:
    """Both databases give back every digit of amounts with up to 20 digits before and 18 after the point."""
    async with ledger.write() as session:
        session.add_all([_order(n, total=Decimal(text)) for n, text in enumerate(EXACT)])
    async with ledger.read() as session:
        read = [row.total for row in await session.exec(select(SourceOrder).order_by(col(SourceOrder.id)))]

    assert [Decimal(text) for text in EXACT] == read
    assert [str(amount) for amount in read[:5]] == ["0", "0.1", "100", "1000", "-12.5"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "columns",
    [
        {"total": 1.5},
        {"total": 12},
        {"total": Decimal("NaN")},
        {"total": Decimal("Infinity")},
        {"total": Decimal("1e-19")},
        {"total": Decimal("1e20")},
        {"due_at": datetime(2026, 3, 1)},  # noqa: DTZ001 - that is the point
    ],
    ids=str,
)
async def test_inexact_values_are_refused(ledger: Ledger, columns: dict[str, object]) -> None:
    """Floats, other numbers, endless or too long amounts and naive times never reach either database."""
    with pytest.raises(StatementError):
        async with ledger.write() as session:
            session.add(_order(1, **columns))
    async with ledger.read() as session:
        assert list(await session.exec(select(SourceOrder.id))) == []


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=18, allow_nan=False))
def test_sqlite_form_is_exact(amount: Decimal) -> None:
    """The text form that SQLite stores reads back as the same amount."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only here

    column, dialect = ExactDecimal(), sqlite.dialect()

    assert amount == column.process_result_value(column.process_bind_param(amount, dialect), dialect)


@given(
    attempts=st.integers(0, 10_000),
    first=st.floats(0.1, 600),
    longest=st.floats(0.1, 86_400),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_backoff_stays_in_its_bounds(attempts: int, first: float, longest: float, jitter: float) -> None:
    """A wait lies between half a step and a whole one; a step doubles until the cap."""
    step = min(longest, first * 2.0 ** min(attempts, 30))

    assert step / 2 <= backoff(attempts, first, longest, jitter) <= step


DELAYS = [5.0, 30.0, 120.0, 600.0]


@pytest.mark.parametrize(
    ("missed", "after", "wait"),
    [(0, 0, 5.0), (0, 2, 3.0), (1, 5, 25.0), (2, 30, 90.0), (3, 120, 480.0), (4, 600, None), (9, 600, None)],
)
def test_probes_follow_the_intent_as_planned(missed: int, after: float, wait: float | None) -> None:
    """The n-th search is due at its planned time after the intent; after the last one the order is proven absent."""
    assert wait == next_probe(DELAYS, missed, NOW, NOW + timedelta(seconds=after))


@pytest.mark.parametrize("missed", [1, 2, 3])
def test_late_probes_keep_a_distance(missed: int) -> None:
    """After a long stop the remaining searches are not made in one second."""
    wait = next_probe(DELAYS, missed, NOW, NOW + timedelta(days=1))

    assert wait is not None
    assert wait >= DELAYS[0]
