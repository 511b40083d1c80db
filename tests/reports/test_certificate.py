"""Certificates: sums, days, verdicts, findings, and that the orders themselves are not kept."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import FunctionType, ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from models.ranges import Span
from models.sides import StoreSide
from reports.certificate import Certificate, CertificateBuilder
from reports.facts import OrderFact, Proven
from reports.model import Tally
from reports.proof import Proof
from reports.sums import less, merged, together
from tests.reports.kit import (
    BERLIN,
    KEY,
    NOW,
    SPAN,
    START,
    certificate,
    fact,
    ledger,
    life,
    lists_of_facts,
    proven,
    source,
    store,
)

DAY = timedelta(days=1)
GONE = StoreSide(found=False)


@pytest.mark.parametrize(
    ("currency", "totals", "total"),
    [
        ("EUR", ["0.10", "0.20", "99999999999.70"], "100000000000.00"),
        ("JPY", ["100", "1", "999999999999"], "1000000000100"),
        ("KWD", ["0.001", "1.002", "2.500"], "3.503"),
    ],
)
def test_sums_are_exact(currency: str, totals: list[str], total: str) -> None:
    """Each side's sum is exact in the currency's smallest unit."""
    facts = [
        fact(f"1-{number}", source=source(each, currency), ledger=ledger(each, currency), store=store(each, currency))
        for number, each in enumerate(totals)
    ]
    line = certificate(facts).total[0]

    for side in (line.provider["paid"], line.ledger["landed"], line.store["live"]):
        assert Tally(3, Decimal(total)) == side
    assert Tally(0, Decimal(0)) == line.difference


def test_sums_lose_no_digit_of_many_large_amounts() -> None:
    """A sum with more digits than Python's usual 28 is still exact."""
    large = "999999999999.000000000000000001"
    facts = [fact(f"1-{number}", source=source(large, "EUR"), store=GONE) for number in range(3)]
    line = certificate(facts).total[0]

    assert Decimal("2999999999997.000000000000000003") == line.provider["paid"].total
    assert line.difference.total == line.unexplained.total == line.provider["paid"].total


def test_a_month_by_hand() -> None:
    """One order of each kind, added up on three sides, with the difference and all that explains it."""
    facts = [
        fact("1-1"),
        fact("1-2", source=source("50.00", status="CANCELLED"), ledger=ledger("50.00", bucket="cancelled"), store=GONE),
        fact("1-3", source=source("30.00"), ledger=ledger("30.00", bucket="parked"), store=GONE),
        fact("1-4", source=source("20.00"), ledger=ledger("20.00", bucket="under way"), store=GONE),
        fact("1-5", source=source("9.00", status="RECEIVED"), ledger=ledger("9.00"), store=GONE),
        fact("1-6", source=source("8.00"), ledger=ledger("8.00"), store=GONE),
        fact("1-7", source=source("7.00", status="CANCELLED"), ledger=ledger("7.00"), store=store("7.00")),
        fact("1-8", source=None, ledger=ledger("6.00"), store=store("6.00")),
    ]
    line = certificate(facts).total[0]

    assert Tally(4, Decimal("158.00")) == line.provider["paid"]
    assert Tally(2, Decimal("57.00")) == line.provider["cancelled"]
    assert Tally(1, Decimal("9.00")) == line.provider["waiting"]
    assert Tally(1, Decimal(0)) == line.provider["not read"]
    assert Tally(5, Decimal("130.00")) == line.ledger["landed"]
    assert Tally(3, Decimal("113.00")) == line.store["live"]
    assert Tally(1, Decimal("45.00")) == line.difference
    assert Tally(1, Decimal("30.00")) == line.explained["parked"]
    assert Tally(1, Decimal("20.00")) == line.explained["under way"]
    assert Tally(-1, Decimal("-6.00")) == line.explained["not read"]
    assert Tally(0, Decimal("1.00")) == line.unexplained


def test_differences_that_cancel_each_other_out_are_still_differences() -> None:
    """One order paid twice as much and one half as much add up to nothing, and the day does not agree."""
    facts = [fact("1-1", store=store("90.00")), fact("1-2", store=store("110.00"))]
    made = certificate(facts)

    assert Tally(0, Decimal(0)) == made.total[0].unexplained
    assert not made.standing.agrees
    assert made.standing.verdict == "proven, 2 differences"


@given(lists_of_facts)
def test_explanations_add_up_to_the_difference(facts: list[OrderFact]) -> None:
    """In each day, currency and total: paid less live is the explained and the unexplained, exactly."""
    made = certificate(facts)

    for line in [*made.total, *(line for day in made.days for line in day.currencies)]:
        assert less(line.provider["paid"], line.store["live"]) == line.difference
        assert together([*line.explained.values(), line.unexplained]) == line.difference
    assert made.total == merged(line for day in made.days for line in day.currencies)


@given(lists_of_facts)
def test_each_order_counts_once_on_each_side(facts: list[OrderFact]) -> None:
    """Every order of the range is in one state on each side and on one day, and none outside of it counts."""
    made = certificate(facts)
    inside = sum(SPAN.contains(each.first_event_at) for each in facts)

    assert inside == made.orders == sum(day.orders for day in made.days)
    for side in ("provider", "ledger", "store"):
        assert inside == sum(tally.orders for line in made.total for tally in getattr(line, side).values())
    assert inside == sum(number for day in made.days for number in day.by_state.values())


@given(lists_of_facts)
def test_the_order_of_adding_says_nothing(facts: list[OrderFact]) -> None:
    """The same facts in another order make the same certificate, the names in it and the hash included."""
    shuffled = random.Random(len(facts)).sample(facts, len(facts))

    assert certificate(facts, most_named=2) == certificate(shuffled, most_named=2)


@given(lists_of_facts)
def test_agreeing_means_that_nothing_is_left(facts: list[OrderFact]) -> None:
    """A day that agrees has no unexplained order, no order that was not read and none that the ledger lacks."""
    for day in certificate(facts).days:
        if day.standing.agrees:
            for line in day.currencies:
                assert Tally(0, Decimal(0)) == line.unexplained == line.explained["not read"]
                assert line.provider["not read"].orders == line.store["not read"].orders == 0
                assert line.ledger["missing"].orders == 0


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 3, 28, 22, 59, 59, 999999, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 28, 23, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 21, 59, 59, 999999, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, tzinfo=UTC), date(2026, 3, 30)),
    ],
)
def test_a_day_is_the_zones_day_when_clocks_change(at: datetime, day: date) -> None:
    """The day on which clocks are put forward has 23 hours, and each moment belongs to one day."""
    made = certificate([fact(at=at)])

    assert [day] == [each.day for each in made.days if each.orders]
    assert timedelta(hours=23) == made.days[28].proof.window.span.length


def test_the_range_is_half_open() -> None:
    """The first moment of the range counts, its end does not, and a time zone of the fact does not matter."""
    microsecond = timedelta(microseconds=1)
    builder = CertificateBuilder(account="main", key=KEY, span=SPAN, zone=BERLIN, made_at=NOW)
    moments = (SPAN.start - microsecond, SPAN.start, SPAN.end - microsecond, SPAN.end)
    counted = [builder.add(fact(f"1-{number}", at=at)) for number, at in enumerate(moments)]

    assert counted == [False, True, True, False]
    made = builder.finish([proven()], [])
    assert (made.orders, made.days[0].orders, made.days[-1].orders) == (2, 1, 1)
    assert {"1-1"} == builder.added(["1-0", "1-1", "1-9"])


@pytest.mark.parametrize("field", ["first_event_at", "read_at", "ready_at", "accepted_at"])
def test_times_without_a_zone_are_refused(field: str) -> None:
    """A naive time is an error, not a guess."""
    changes: dict[str, Any] = {field: datetime(2026, 3, 3, 12)}  # noqa: DTZ001 - that is the mistake
    naive = replace(fact(), **changes)

    with pytest.raises((ValueError, TypeError), match=r"time zone|naive"):
        certificate([naive])


def test_an_order_added_twice_is_an_error() -> None:
    """Sums that count an order twice are never given out."""
    with pytest.raises(ValueError, match="1 of the orders were added more than once"):
        certificate([fact("1-1"), fact("1-1"), fact("1-2")])


def test_only_intervals_of_the_range_are_told() -> None:
    """A proven interval outside of the range is no part of the certificate."""
    before = Proven(Span(SPAN.start - DAY, SPAN.start), "live", NOW, "")

    assert [proven()] == list(certificate(intervals=[before, proven()]).proven)


def test_gaps_have_their_reasons() -> None:
    """A given reason comes first, then the future, then the safety margin, then that nothing is recorded."""
    now = START + 10 * DAY
    made = certificate(
        intervals=[proven(Span(START + DAY, START + 9 * DAY))],
        made_at=now,
        margin=timedelta(hours=2),
        reasons={Span(START - DAY, START + DAY / 2): "the feed begins later"},
    )

    assert [
        (START, "the feed begins later"),
        (START + DAY / 2, "no proof recorded"),
        (START + 9 * DAY, "no proof recorded"),
        (now - timedelta(hours=2), "younger than the safety margin of 2 hours"),
        (now, "not over yet"),
    ] == [(gap.span.start, gap.reason) for gap in made.gaps]
    assert made.days[-1].proof.proof == Proof.FUTURE


def test_a_part_of_a_day_is_proven_as_that_part() -> None:
    """A range that ends at noon is complete when it is proven until noon, and its last day is told as a part."""
    half = Span(START, START + 1.5 * DAY)
    made = certificate(span=half, made_at=NOW)

    assert [(day.standing.complete, day.proof.window.whole) for day in made.days] == [(True, True), (True, False)]


@pytest.mark.parametrize(("seconds", "bucket"), [(-5, 0), (59, 0), (60, 1), (299, 1), (300, 2), (3600, 4), (259200, 7)])
def test_the_time_to_land_falls_into_half_open_buckets(seconds: int, bucket: int) -> None:
    """A time on the edge belongs to the longer bucket; clocks that disagree make it short, not wrong."""
    ready = START + DAY
    series = certificate([fact(ready_at=ready, accepted_at=ready + timedelta(seconds=seconds))]).series

    assert [bucket] == [index for index, number in enumerate(series.landing_time) if number]


def test_what_has_not_landed_yet_is_shown_as_that() -> None:
    """Orders that are paid and not accepted are not yet; landed ones without a time are told apart; others are not."""
    facts = [
        fact("1-1", ledger=ledger(bucket="under way"), store=GONE, accepted_at=None),
        fact("1-2", ready_at=None),
        fact("1-3", ledger=ledger(bucket="cancelled"), source=source(status="CANCELLED"), store=GONE, accepted_at=None),
    ]
    series = certificate(facts).series

    assert (series.landing_time[-1], sum(series.landing_time), series.untimed) == (1, 1, 1)


def test_ages_of_what_is_open() -> None:
    """Open orders age from when they became open, parked ones from when they were paid or first seen."""
    facts = [
        fact("1-1", ledger=ledger(bucket="under way", open_since=NOW - timedelta(minutes=59))),
        fact("1-2", ledger=ledger(bucket="parked"), ready_at=NOW - timedelta(hours=1)),
        fact("1-3", START, ledger=ledger(bucket="outcome unknown"), ready_at=None),
        fact("1-4"),
    ]
    ages = certificate(facts).series.open_ages

    assert list(ages["under way"]) == [1, 0, 0, 0, 0, 0]
    assert list(ages["parked"]) == [0, 1, 0, 0, 0, 0]
    assert list(ages["outcome unknown"]) == [0, 0, 0, 0, 0, 1]
    assert sum(map(sum, ages.values())) == 3


def many() -> Iterator[OrderFact]:
    """Twenty thousand orders, every tenth of them not compared."""
    for index, each in enumerate(life(20_000)):
        yield replace(each, store=None) if index % 10 == 0 else each


def test_orders_are_not_kept() -> None:
    """What the builder holds after twenty thousand orders is a few megabytes."""
    builder = CertificateBuilder(account="main", key=KEY, span=SPAN, zone=BERLIN, made_at=NOW)
    for each in many():
        builder.add(each)
    seen: dict[int, object] = {}
    left: list[object] = [vars(builder)]
    while left:
        held = left.pop()
        if id(held) not in seen and not isinstance(held, type | ModuleType | FunctionType):
            seen[id(held)] = held
            left += gc.get_referents(held)

    assert not any(isinstance(held, OrderFact) for held in seen.values())
    assert sum(map(sys.getsizeof, seen.values())) < 3_000_000


@pytest.mark.slow
def test_memory_stays_small_at_every_moment() -> None:
    """Never while twenty thousand orders are added and finished is more than a few megabytes taken."""
    facts = list(many())
    builder = CertificateBuilder(account="main", key=KEY, span=SPAN, zone=BERLIN, made_at=NOW)
    tracemalloc.start()
    try:
        for each in facts:
            builder.add(each)
        made = builder.finish([proven()], [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert made.orders == 20_000
    assert peak < 6_000_000


def test_the_zone_decides_the_days() -> None:
    """The same range has other days in another zone, and the same sums."""
    facts = list(life(200))
    there: Certificate = certificate(facts, zone=ZoneInfo("Asia/Kathmandu"))

    assert certificate(facts).total == there.total
    assert (len(certificate(facts).days), len(there.days)) == (30, 31)
    assert certificate(facts).sha256 != there.sha256
