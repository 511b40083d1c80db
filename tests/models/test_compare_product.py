"""Comparing the three sides of one order: what holds whatever they say."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compare import GRAVITY
from models.difference_words import finding
from models.differences import Case, differences
from models.lifecycle import LIVE_STORE_ORDER, UNKNOWN, SourceStatus
from models.lifecycle import Landing as L  # noqa: N817 - it stands on every other line
from models.sides import Comparison, LedgerSide, Mismatch, Repair, SourceSide, StoreSide
from tests.models.sides_of import (
    BASE,
    NOT_IN_STORE,
    NOT_THERE,
    OLD,
    PAID,
    SEVERAL,
    YOUNG,
    compared,
    ledger,
    source,
    store,
)

STATUSES = ("RECEIVED", "READY", "ACCEPTED", "COMPLETED", "CANCELLED", "PAUSED", None)
STATES = ("none", "held", "open", "shipped", "cancelled", "several")
ALIVE = ("RECEIVED", "READY", "ACCEPTED", "COMPLETED")
LIVE = ("held", "open", "shipped")
Corner = tuple[str | None, L, SourceStatus, str]
CORNERS: list[Corner] = list(itertools.product(STATUSES, L, SourceStatus, STATES))


def at(corner: Corner, **ours: Any) -> Comparison:
    """The comparison of sides with these states, in line with each other in everything else."""
    status, landing, believed, state = corner
    there = {"none": NOT_IN_STORE, "several": SEVERAL}.get(state) or store(state)
    return compared(NOT_THERE if status is None else source(status), ledger(landing, believed, **ours), there)


def where(repair: Repair, **ours: Any) -> set[Corner]:
    """All states in which a repair is done."""
    return {corner for corner in CORNERS if repair in {each.repair for each in at(corner, **ours).findings}}


def test_no_combination_is_passed_over() -> None:
    """Whatever three sides say, they agree, are on their way, or there is a finding."""
    for corner, since in itertools.product(CORNERS, (None, YOUNG, OLD)):
        comparison = at(corner, open_since=since)
        assert comparison.agrees + comparison.pending + bool(comparison.findings), corner
        assert comparison.agrees is not (comparison.pending or bool(comparison.findings)), corner


def test_only_these_states_agree() -> None:
    """The list of what agrees is short, and each line of it has nothing left to do."""
    rest = set(itertools.product(("ACCEPTED", "COMPLETED"), [L.ACCEPTED], ("ACCEPTED", "COMPLETED"), LIVE))
    ended = set(itertools.product(["CANCELLED"], [L.CANCELLED], SourceStatus, ("none", "cancelled")))
    early = set(itertools.product(["RECEIVED"], (L.SEEN, L.FETCHED), ["RECEIVED"], ["none"]))
    held = set(itertools.product(["RECEIVED"], (L.HELD, L.INSERTED), ["RECEIVED"], ["held"]))
    for since in (None, YOUNG, OLD):
        assert rest | ended | early | held == {corner for corner in CORNERS if at(corner, open_since=since).agrees}


def test_unknown_outcomes_are_only_pending() -> None:
    """In an unknown landing nothing is found, whatever the sides say, until it is too old."""
    for corner in CORNERS:
        if corner[1] in UNKNOWN:
            assert Comparison(agrees=False, pending=True) == at(corner)
            (stuck,) = at(corner, open_since=OLD).findings
            assert (stuck.mismatch, stuck.repair) == (Mismatch.STUCK, Repair.NONE)


def test_orders_are_created_again_only_before_anybody_was_told() -> None:
    """LOOK_AGAIN: in the store by the ledger, not there, and neither side says more than READY."""
    early = itertools.product(("RECEIVED", "READY"), (L.HELD, L.INSERTED), ("UNSEEN", "RECEIVED", "READY"), ["none"])
    allowed = {corner for corner in early if (corner[0], corner[2]) != ("RECEIVED", "READY")}

    assert allowed == where(Repair.LOOK_AGAIN)
    assert allowed == where(Repair.LOOK_AGAIN, open_since=OLD)
    assert not where(Repair.LOOK_AGAIN, parked_code="deadline") | where(Repair.LOOK_AGAIN, closed=True)


def test_orders_are_accepted_again_only_while_live_and_wanted() -> None:
    """ACCEPT_AGAIN: accepted by the ledger, live in the store, and READY at the provider."""
    allowed = set(itertools.product(["READY"], [L.ACCEPTED], ("READY", "ACCEPTED", "COMPLETED"), LIVE))

    assert allowed == where(Repair.ACCEPT_AGAIN)
    assert not where(Repair.ACCEPT_AGAIN, store_order_id="S2") | where(Repair.ACCEPT_AGAIN, store_order_number="")
    assert not where(Repair.ACCEPT_AGAIN, total=Decimal(9)) | where(Repair.ACCEPT_AGAIN, content_hash="h2")


def test_store_orders_are_cancelled_only_when_the_ledger_never_had_them() -> None:
    """CANCEL_STORE: cancelled at the provider and for the ledger, and another order is live that did not ship."""
    allowed = {("CANCELLED", L.CANCELLED, "CANCELLED", state) for state in ("held", "open")}

    assert not where(Repair.CANCEL_STORE)
    assert allowed == where(Repair.CANCEL_STORE, store_order_id="") == where(Repair.CANCEL_STORE, store_order_id="S2")


def test_statuses_are_told_only_when_they_are_news() -> None:
    """TELL_STATUS: the provider says more than the ledger knows; it never takes anything back."""
    order = list(SourceStatus)
    for status, _, believed, _ in where(Repair.TELL_STATUS) | where(Repair.TELL_STATUS, open_since=OLD):
        assert order.index(believed) < order.index(SourceStatus(status or ""))


def test_a_cancel_is_always_told_or_settled() -> None:
    """S4: whatever else is wrong, a cancel that the ledger does not know gets there, or a person sees what shipped."""
    for corner in CORNERS:
        status, landing, believed, state = corner
        if status == "CANCELLED" and believed != "CANCELLED" and landing not in UNKNOWN:
            repairs = {each.repair for each in at(corner).findings} - {Repair.NONE}
            ended = landing is L.CANCELLED and state in ("none", "cancelled")
            assert ([] if ended else [Repair.PARK if state == "shipped" else Repair.TELL_STATUS]) == list(repairs)
            parked = {each.repair for each in at(corner, parked_code="deadline").findings} - {Repair.NONE}
            assert ([] if ended else [Repair.TELL_STATUS]) == list(parked)


def test_every_class_is_reached_and_ranked() -> None:
    """No class of findings is dead, and each has its place from the gravest down."""
    assert set(Mismatch) == set(GRAVITY)
    seen = {each.mismatch for corner in CORNERS for each in at(corner, open_since=OLD).findings}
    assert {
        Mismatch.MISSING_IN_LEDGER,
        Mismatch.STORE_ID_DIFFERS,
        Mismatch.STORE_NUMBER_DIFFERS,
        Mismatch.CURRENCY_DIFFERS,
        Mismatch.TOTAL_DIFFERS,
        Mismatch.DOCUMENT_CHANGED,
        Mismatch.DOCUMENT_UNUSABLE,
        Mismatch.PARKED,
    } == set(Mismatch) - seen


# Everything else that the sides may say, short or endless; mostly in line, so that agreement is met with, too.
LONG = "0123456789 \n" * 40


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """The usual value in most examples."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


def sums(usual: Decimal) -> st.SearchStrategy[Any]:
    """Mostly the usual amount; else near it, far from it, or none."""
    far = st.decimals(min_value=0, max_value=10**12, places=9, allow_nan=False, allow_infinity=False)
    near = st.sampled_from([None, PAID, BASE, usual + Decimal("0.01"), usual * 1000])
    return st.integers(0, 7).flatmap(lambda roll: far if roll == 0 else near if roll == 1 else st.just(usual))


ids = mostly("S1", "S2", "", LONG)
numbers = mostly("1001", "77", "", LONG)
sources = st.builds(
    SourceSide,
    found=mostly(True, False),
    status=st.sampled_from([*ALIVE, "ACCEPTED", "ACCEPTED", "CANCELLED", "PAUSED", "UNSEEN", LONG]),
    currency=mostly("EUR", "GBP", ""),
    total=sums(PAID),
    base_currency=mostly("GBP", "EUR", ""),
    base_total=sums(BASE),
    external_id=ids,
    external_number=numbers,
    content_hash=mostly("h1", "h2", ""),
    problem=mostly("", "no lines", LONG),
)
ledgers = st.builds(
    LedgerSide,
    bucket=st.just("under way"),
    landing=st.sampled_from([*L, L.ACCEPTED, L.ACCEPTED, L.INSERTED]),
    source_status=st.sampled_from([*SourceStatus, SourceStatus.ACCEPTED, SourceStatus.ACCEPTED]),
    currency=mostly("EUR", "GBP", ""),
    total=sums(PAID),
    base_currency=mostly("GBP", "EUR", ""),
    base_total=sums(BASE),
    store_order_id=ids,
    store_order_number=numbers,
    content_hash=mostly("h1", "h2", ""),
    open_since=st.sampled_from([None, YOUNG, OLD]),
    parked_code=mostly("", "deadline", LONG),
    parked_reason=st.sampled_from(["", "no lines", LONG]),
    closed=mostly(False, True),
    effect_open=mostly(False, True),
    due=mostly(False, True),
)
stores = st.builds(
    StoreSide,
    found=mostly(True, False),
    several=mostly(False, True),
    id=ids,
    number=numbers,
    state=st.sampled_from([*LIVE, "cancelled", "", LONG]),
    currency=mostly("EUR", "GBP", "JPY", "nonsense"),
    total=sums(PAID),
    problem=st.sampled_from(["", "no lines", LONG]),
)
any_source, any_ledger, any_store = (st.one_of(st.none(), *[side] * 5) for side in (sources, ledgers, stores))
MANY = settings(max_examples=500)


@MANY
@given(any_source, any_ledger, any_store)
def test_every_comparison_is_well_formed(
    provider: SourceSide | None, ours: LedgerSide | None, there: StoreSide | None
) -> None:
    """It never fails, says itself the same way twice, once for each class, gravest first, in a few words."""
    comparison = compared(provider, ours, there)
    found = comparison.findings

    assert comparison == compared(provider, ours, there)
    assert comparison.agrees is not bool(found or comparison.pending or comparison.unread)
    assert [provider, there].count(None) == len(comparison.unread)
    assert sorted({GRAVITY[each.mismatch] for each in found}) == [GRAVITY[each.mismatch] for each in found]
    assert len({each.repair for each in found} - {Repair.NONE}) <= 1
    for each in found:
        assert 0 < len(each.explanation) < 400
        assert "\n" not in each.explanation
        assert (each.repair is Repair.PARK) is bool(each.park_code)


# One side differs from what is in line in one field, or in none; so up to three fields differ in an example.
CHANGES: list[dict[str, Any]] = [
    {},
    *({"total": total} for total in (Decimal("10.01"), Decimal("10.000"), BASE, None)),
    *({"currency": currency} for currency in ("GBP", "USD", "")),
    {"total": BASE, "currency": "GBP"},
]
NEAR_SOURCES: list[dict[str, Any]] = [
    {"external_id": "S2"},
    {"external_id": ""},
    {"external_number": "77"},
    {"external_number": ""},
]
NEAR_SOURCES += [
    {"base_total": None},
    {"base_total": PAID},
    {"base_currency": "EUR"},
    {"problem": "no lines"},
    *CHANGES,
]
NEAR_LEDGERS: list[dict[str, Any]] = [
    {},
    {"store_order_id": "S2"},
    {"store_order_id": ""},
    {"store_order_number": "77"},
    {"total": BASE},
]
NEAR_STORES: list[dict[str, Any]] = [
    {"id": "S2"},
    {"id": ""},
    {"number": "77"},
    {"number": ""},
    {"several": True},
    *CHANGES,
]


@pytest.mark.parametrize(
    ("status", "landing", "state"),
    [
        ("ACCEPTED", L.ACCEPTED, "open"),
        ("COMPLETED", L.ACCEPTED, "shipped"),
        ("RECEIVED", L.HELD, "held"),
        ("READY", L.ACCEPTED, "open"),
    ],
)
def test_agreement_is_worth_what_was_paid(status: str, landing: L, state: str) -> None:
    """S7: what agrees, or is accepted again, is one store order with one id and number and the paid sum to the unit."""
    right = 0
    for theirs, ours, there in itertools.product(NEAR_SOURCES, NEAR_LEDGERS, NEAR_STORES):
        provider, held, order = source(status, **theirs), ledger(landing, status, **ours), store(state, **there)
        comparison = compared(provider, held, order)
        if not comparison.agrees and Repair.ACCEPT_AGAIN not in {each.repair for each in comparison.findings}:
            continue
        right += 1
        paid = {(provider.currency, provider.total), (provider.base_currency, provider.base_total)}
        assert (order.currency, order.total) in paid
        assert (held.store_order_id, held.store_order_number) == (order.id, order.number)
        assert not order.several
        if status in ("ACCEPTED", "COMPLETED"):
            assert (provider.external_id, provider.external_number) == (order.id, order.number)
    assert right > 5


def test_no_rule_offers_to_accept_what_is_not_worth_what_was_paid() -> None:
    """S2, S7: it is not even thought of, whatever another finding makes of it."""
    for theirs, there in itertools.product(NEAR_SOURCES, NEAR_STORES):
        provider, order = source("READY", **theirs), store("open", **there)
        case = Case(provider, ledger(L.ACCEPTED, "ACCEPTED"), order, on_its_way=False, old=False)
        if Repair.ACCEPT_AGAIN in {each.repair for each in differences(case)}:
            assert order.total in (provider.total, provider.base_total)
            assert (order.id, order.number, order.several) == ("S1", "1001", False)


def test_explanations_are_short_in_the_end() -> None:
    """Whatever a rule puts together is one line of less than 400 characters."""
    text = finding(Mismatch.STUCK, LONG, Repair.WAKE).explanation

    assert len(text) < 400
    assert text.startswith("0123456789 012")
    assert text.endswith("...")


@MANY
@given(sources, ledgers, stores)
def test_repairs_are_safe(provider: SourceSide, ours: LedgerSide, there: StoreSide) -> None:
    """S1 to S5: nothing is cancelled, created or accepted but where all that was read allows it."""
    repairs = {each.repair for each in compared(provider, ours, there).findings}
    one = there.live and not there.several

    if Repair.CANCEL_STORE in repairs:
        assert (provider.status, ours.landing, one) == ("CANCELLED", L.CANCELLED, True)
        assert there.id not in ("", ours.store_order_id)
        assert there.state != "shipped"
    if Repair.ACCEPT_AGAIN in repairs:
        assert (provider.status, ours.landing, one) == ("READY", L.ACCEPTED, True)
        assert (ours.store_order_id, ours.store_order_number) == (there.id, there.number)
        assert all((there.id, there.number))
        paid = {(provider.currency, provider.total), (provider.base_currency, provider.base_total)}
        assert (there.currency, there.total) in paid
        assert ours.source_status != "CANCELLED"
    if Repair.LOOK_AGAIN in repairs:
        assert provider.status in ("RECEIVED", "READY")
        assert ours.landing in LIVE_STORE_ORDER - {L.ACCEPTED}
        assert not there.live
        assert not provider.external_id
    if Repair.FETCH in repairs:
        assert not there.live
        assert ours.landing in (L.SEEN, L.FETCHED)
    if Repair.TELL_STATUS in repairs:
        assert provider.found
        assert list(SourceStatus).index(ours.source_status) < list(SourceStatus).index(SourceStatus(provider.status))
    if ours.parked_code or ours.closed:
        assert repairs <= {Repair.NONE, Repair.TELL_STATUS}


@MANY
@given(any_source, ledgers, any_store)
def test_nothing_is_repaired_while_an_effect_is_open(
    provider: SourceSide | None, ours: LedgerSide, there: StoreSide | None
) -> None:
    """An effect under way says what it did by itself; until then nothing else is started."""
    comparison = compared(provider, replace(ours, effect_open=True), there)

    assert comparison.pending
    assert {each.repair for each in comparison.findings} <= {Repair.NONE}
    assert {each.mismatch for each in comparison.findings} <= {Mismatch.STUCK, Mismatch.PARKED}


@MANY
@given(any_source, ledgers, any_store)
def test_a_parking_is_always_told(provider: SourceSide | None, ours: LedgerSide, there: StoreSide | None) -> None:
    """Whatever else is found, a report lists every order that waits for a person."""
    comparison = compared(provider, replace(ours, parked_code="deadline"), there)

    assert Mismatch.PARKED is comparison.findings[-1].mismatch
    assert not comparison.agrees


@MANY
@given(sources, ledgers, stores)
def test_an_unparked_finding_stays_when_it_is_parked(provider: SourceSide, ours: LedgerSide, there: StoreSide) -> None:
    """What a person is asked to look at does not count as mended by being asked."""
    ours = replace(ours, parked_code="", closed=False, effect_open=False)
    before = compared(provider, ours, there).findings
    asked = next((each for each in before if each.repair is Repair.PARK), None)
    if asked is None:
        return
    parked = replace(ours, parked_code=asked.park_code, parked_reason=asked.explanation, open_since=None)
    after = {each.mismatch for each in compared(provider, parked, there).findings}

    assert {each.mismatch for each in before} - {Mismatch.STUCK} <= after


@pytest.mark.parametrize(
    ("provider", "ours", "there"),
    [
        (source("ACCEPTED", external_id=""), ledger(L.ACCEPTED, "ACCEPTED", store_order_id=""), store("open", id="")),
        (
            source("ACCEPTED", external_number=""),
            ledger(L.ACCEPTED, "ACCEPTED", store_order_number=""),
            store("open", number=""),
        ),
    ],
)
def test_agreement_needs_both_ids(provider: SourceSide, ours: LedgerSide, there: StoreSide) -> None:
    """S2: an accepted order without a store id or number does not agree, even if no side has one."""
    assert not compared(provider, ours, there).agrees
