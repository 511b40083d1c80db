"""The counting rule: states, the difference, and the one explanation of each order's part of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.policy import bucket_of
from models.lifecycle import Landing, SourceStatus
from models.sides import SourceSide, StoreSide
from reports.counting import (
    EXPLANATIONS,
    LEDGER_STATES,
    PROVIDER_STATES,
    RULES,
    STORE_STATES,
    UNEXPLAINED,
    count_order,
    state_of_bucket,
)
from reports.facts import OrderFact
from reports.words import UNUSABLE
from tests.reports.kit import BUCKETS, fact, facts_of_any_kind, ledger, source, store

GONE = StoreSide(found=False)
UNDER_WAY = ledger(bucket="under way")
WAITING = ledger(bucket="waiting for the provider")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("READY", "paid"),
        ("ACCEPTED", "paid"),
        ("COMPLETED", "paid"),
        ("RECEIVED", "waiting"),
        ("CANCELLED", "cancelled"),
        ("UNSEEN", "other"),
        ("PAUSED", "other"),
        ("", "other"),
    ],
)
def test_the_providers_words_become_states(status: str, state: str) -> None:
    """Paid are the three statuses after the payment; a word that we do not know is no payment."""
    assert state == count_order(fact(source=source(status=status))).provider.state


def test_every_bucket_of_the_ledger_has_a_state() -> None:
    """Whatever the ledger's counting rule answers has a place of its own in the certificate."""
    answers = {
        bucket_of(landing, status, parked=parked, settled=settled, closed=closed)
        for landing in Landing
        for status in SourceStatus
        for parked in (True, False)
        for settled in (True, False)
        for closed in (True, False)
    }

    assert set(LEDGER_STATES) - {"other", "missing"} == {state_of_bucket(answer) for answer in answers}
    assert state_of_bucket("a word of tomorrow") == "other"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({}, ""),
        ({"store": GONE}, UNEXPLAINED),
        ({"store": store("99.99")}, UNEXPLAINED),
        ({"store": store(currency="USD")}, UNEXPLAINED),
        ({"source": source(status="CANCELLED")}, UNEXPLAINED),
        ({"source": source(status="CANCELLED"), "store": GONE}, ""),
        ({"source": source(status="RECEIVED")}, UNEXPLAINED),
        ({"source": SourceSide(found=False)}, UNEXPLAINED),
        ({"ledger": None, "store": GONE}, UNEXPLAINED),
        ({"ledger": ledger(bucket="parked"), "store": GONE}, "parked"),
        ({"ledger": ledger(bucket="parked"), "store": store("99.99")}, "parked"),
        ({"ledger": ledger(bucket="closed without landing"), "store": GONE}, "closed"),
        ({"ledger": ledger(bucket="cancelled"), "store": GONE}, UNEXPLAINED),
        ({"ledger": UNDER_WAY, "store": GONE}, "under way"),
        ({"ledger": ledger(bucket="outcome unknown"), "store": GONE}, "under way"),
        ({"ledger": UNDER_WAY, "source": source(status="CANCELLED")}, "under way"),
        ({"ledger": WAITING, "source": source(status="RECEIVED"), "store": store(state="held")}, "waiting"),
        ({"ledger": WAITING, "source": source(status="RECEIVED"), "store": store(state="open")}, UNEXPLAINED),
        ({"ledger": WAITING, "store": GONE}, UNEXPLAINED),
        ({"source": None}, "not read"),
        ({"store": None}, "not read"),
        ({"source": source(None), "ledger": ledger(bucket="parked"), "store": GONE}, "parked"),
        ({"source": None, "ledger": ledger(bucket="parked")}, "not read"),
        ({"source": source(None), "store": GONE}, "not read"),
        ({"store": store(None)}, "not read"),
        ({"store": store(currency="XXX")}, "not read"),
        ({"source": source(status="PAUSED")}, "not read"),
    ],
)
def test_each_part_of_the_difference_has_one_explanation(changes: dict[str, Any], because: str) -> None:
    """What an order adds to the difference goes under the first explanation that fits, or under none."""
    assert because == count_order(fact(**changes)).because


@pytest.mark.parametrize("state", [UNDER_WAY, ledger(bucket="outcome unknown"), WAITING])
def test_what_is_under_way_explains_no_other_amount(state: Any) -> None:
    """An order that both sides have must have one amount, whatever is still to be done about it."""
    assert count_order(fact(ledger=state, store=store("99.99"))).because == UNEXPLAINED


def test_what_the_provider_denies_is_not_explained_by_being_under_way() -> None:
    """A live store order of which the provider knows nothing is nobody's next step."""
    assert count_order(fact(source=SourceSide(found=False), ledger=UNDER_WAY)).because == UNEXPLAINED


@pytest.mark.parametrize(
    ("bucket", "because"), [("landed", UNEXPLAINED), ("under way", UNEXPLAINED), ("parked", "parked")]
)
@pytest.mark.parametrize("total", ["100.00", "0.00", None])
@pytest.mark.parametrize("status", ["ACCEPTED", "CANCELLED", "RECEIVED"])
def test_several_live_store_orders_are_never_fine(bucket: str, because: str, total: str | None, status: str) -> None:
    """More than one live store order is a difference, even where the amounts would add up to none."""
    twice = store(total, several=True, state="")
    counted = count_order(
        fact(source=source(total or "0.00", status=status), ledger=ledger(bucket=bucket), store=twice)
    )

    assert because == counted.because
    assert (counted.store.state, counted.store.total) == ("live", Decimal(0))


def test_a_reading_older_than_the_acceptance_proves_nothing() -> None:
    """Provider and store, read before the order was accepted, have not been compared with what is now."""
    read = fact().accepted_at
    assert read is not None

    assert count_order(fact(read_at=read)).unread == ""
    assert "before it was accepted" in count_order(fact(read_at=read - timedelta(microseconds=1))).unread


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": None}, "the provider was not read"),
        ({"store": None}, "the store was not read"),
        ({"source": None, "store": None}, "the provider and the store were not read"),
        ({"source": source(status="PAUSED")}, "'PAUSED' is not known"),
        ({"source": source(None)}, "the provider's document states no usable amount"),
        ({"source": source("1.00", "XXX")}, "the provider's document states no usable amount"),
        ({"store": store(None)}, "the store states no usable amount"),
        ({"store": store("NaN")}, "the store states no usable amount"),
    ],
)
def test_what_cannot_be_compared_says_why(changes: dict[str, Any], words: str) -> None:
    """An order whose sides cannot be compared is told as that, and never as agreeing."""
    assert words in count_order(fact(**changes)).unread


def test_a_cancelled_order_needs_no_amount() -> None:
    """Nothing of it counts in the difference, so that an unusable document of it is no reason to doubt."""
    cancelled = fact(source=source(None, status="CANCELLED"), store=store(None, state="cancelled"))

    assert (count_order(cancelled).unread, count_order(cancelled).because) == ("", "")


def test_an_order_kept_in_the_merchants_currency_counts_with_what_was_paid() -> None:
    """A store order of exactly the provider's total in the base currency stands for the amount that the buyer paid."""
    paid = source("161.30", "USD", base_total=Decimal("148.00"))
    counted = count_order(fact(source=paid, store=store("148.00", "EUR")))

    assert ("USD", Decimal("161.30"), True) == (counted.store.currency, counted.store.total, counted.in_base)
    assert counted.adds == ()


@pytest.mark.parametrize("total", ["147.99", "148.01", "161.30"])
def test_nearly_the_base_total_is_another_amount(total: str) -> None:
    """One cent more or less in the merchant's currency is a difference in both currencies."""
    paid = source("161.30", "USD", base_total=Decimal("148.00"))
    counted = count_order(fact(source=paid, store=store(total, "EUR")))

    assert not counted.in_base
    assert counted.adds == (("USD", 1, Decimal("161.30")), ("EUR", -1, -Decimal(total)))
    assert counted.because == UNEXPLAINED


def test_the_base_total_counts_in_another_currency_only() -> None:
    """Where both currencies are one, the store must have what the buyer paid, whatever the merchant's total is."""
    counted = count_order(fact(source=source(base_total=Decimal("99.00")), store=store("99.00")))

    assert not counted.in_base
    assert counted.adds == (("EUR", 0, Decimal("1.00")),)


def test_a_small_difference_of_large_amounts_is_exact() -> None:
    """What two amounts differ in is not rounded to Python's usual 28 digits."""
    counted = count_order(fact(source=source("999999999999.000000000000000001"), store=store("0.5")))

    assert counted.adds == (("EUR", 0, Decimal("999999999998.500000000000000001")),)


@pytest.mark.parametrize(
    ("changes", "currency"),
    [
        ({}, "EUR"),
        ({"source": source(currency="XXX")}, UNUSABLE),
        ({"source": source(currency="")}, UNUSABLE),
        ({"source": None, "ledger": ledger(currency="JPY")}, "JPY"),
        ({"source": source(found=False), "ledger": ledger(currency=""), "store": store(currency="KWD")}, "KWD"),
        ({"source": None, "ledger": None, "store": None}, UNUSABLE),
    ],
)
def test_the_providers_currency_is_the_orders(changes: dict[str, Any], currency: str) -> None:
    """Only without the provider's word do the ledger and then the store say in which currency an order counts."""
    assert currency == count_order(fact(**changes)).provider.currency


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"ledger": None}, "does not know"),
        ({"ledger": ledger("99.99")}, "another amount"),
        ({"ledger": ledger(currency="USD")}, "another amount"),
        ({"ledger": ledger(None)}, ""),
        ({"ledger": ledger("99.99", bucket="parked")}, ""),
        ({"ledger": ledger("99.99", bucket="closed without landing")}, ""),
        ({"source": None, "ledger": ledger("99.99")}, ""),
    ],
)
def test_the_ledger_must_have_the_providers_amount(changes: dict[str, Any], words: str) -> None:
    """A missing order or another amount in the ledger is told, but of parked and closed orders, whom somebody saw."""
    said = count_order(fact(**changes)).ledger_says

    assert words in said
    assert bool(words) == bool(said)


@given(facts_of_any_kind)
def test_an_order_is_in_one_known_state_on_each_side(each: OrderFact) -> None:
    """Whatever the sides say, each has one of its states, and there is a reason exactly where something is added."""
    counted = count_order(each)

    assert counted.provider.state in PROVIDER_STATES
    assert counted.ledger.state in LEDGER_STATES
    assert counted.store.state in STORE_STATES
    assert counted.because in {"", UNEXPLAINED, *EXPLANATIONS}
    assert not counted.adds or counted.because
    assert all(orders or amount for _, orders, amount in counted.adds)


@given(facts_of_any_kind, st.sampled_from(BUCKETS))
def test_our_own_state_never_changes_the_difference(each: OrderFact, bucket: str) -> None:
    """The ledger explains the difference between provider and store, and has no part in it."""
    other = replace(each, ledger=ledger("7.00", "USD", bucket=bucket))
    before = count_order(replace(each, ledger=ledger("7.00", "USD"))).adds

    assert before == count_order(other).adds


def test_the_rules_are_told() -> None:
    """Each explanation is described in the rules that stand on the page."""
    assert all(any(name in rule for rule in RULES) for name in (*EXPLANATIONS, UNEXPLAINED))
