"""Comparing the three sides of one order: each rule by examples."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from models.lifecycle import UNKNOWN
from models.lifecycle import Landing as L  # noqa: N817 - it stands on every other line
from models.sides import Comparison, Finding, Mismatch, Repair
from tests.models.compare_examples import AGREEING, PENDING, STUCK, UNREAD, Sides
from tests.models.compare_findings import FOUND
from tests.models.sides_of import NOT_IN_STORE, NOT_THERE, OLD, SEVERAL, YOUNG, compared, ledger, source, store


def told(comparison: Comparison) -> list[str]:
    """The findings as short texts: class, repair and code."""
    return ["/".join(filter(None, (f.mismatch, f.repair, f.park_code))) for f in comparison.findings]


def missing(words: str, explanation: str) -> list[str]:
    """Which of the words an explanation does not say."""
    return [word for word in words.split("|") if word not in explanation]


def only(comparison: Comparison) -> Finding:
    """The one finding that there is."""
    (finding,) = comparison.findings
    return finding


@pytest.mark.parametrize("sides", AGREEING.values(), ids=AGREEING)
def test_sides_that_say_the_same_agree(sides: Sides) -> None:
    """Nothing is left to do, and no side says anything else."""
    assert Comparison(agrees=True) == compared(*sides)


@pytest.mark.parametrize("sides", PENDING.values(), ids=PENDING)
def test_an_order_on_its_way_is_pending(sides: Sides) -> None:
    """Our own next step puts the sides in line, so there is nothing to find yet, and nothing is proven either."""
    assert Comparison(agrees=False, pending=True) == compared(*sides)


@pytest.mark.parametrize(
    ("sides", "findings", "says", "pending"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
def test_differences_are_named(sides: Sides, findings: list[str], says: str, pending: bool) -> None:
    """Each difference has its class, a safe repair, and says in words what each side has."""
    comparison = compared(*sides)

    assert findings == told(comparison)
    assert (False, pending, ()) == (comparison.agrees, comparison.pending, comparison.unread)
    assert not missing(says, comparison.findings[0].explanation)


# What the store says of an order of 10.00 EUR or 9.10 GBP, and what is said of it.
AMOUNTS: list[tuple[dict[str, Any], Mismatch, str]] = [
    (
        {"total": Decimal("10.01")},
        Mismatch.TOTAL_DIFFERS,
        "10.01 EUR, the paid order is 10.00 EUR or 9.10 GBP: 0.01 EUR too much",
    ),
    ({"total": Decimal("9.99")}, Mismatch.TOTAL_DIFFERS, "0.01 EUR too little"),
    ({"total": Decimal("9.5")}, Mismatch.TOTAL_DIFFERS, "9.50 EUR|0.50 EUR too little"),
    ({"total": Decimal("9.10")}, Mismatch.TOTAL_DIFFERS, "0.90 EUR too little"),
    ({"total": Decimal("10.000000000000000001")}, Mismatch.TOTAL_DIFFERS, "0.000000000000000001 EUR too much"),
    ({"total": Decimal("10.00"), "currency": "GBP"}, Mismatch.TOTAL_DIFFERS, "0.90 GBP too much"),
    ({"total": Decimal("10.00"), "currency": "USD"}, Mismatch.CURRENCY_DIFFERS, "10.00 USD|another currency"),
    ({"total": Decimal("10.00"), "currency": ""}, Mismatch.CURRENCY_DIFFERS, "no currency"),
    ({"total": None}, Mismatch.TOTAL_DIFFERS, "no total|cannot be compared"),
    (
        {"total": Decimal("123456789012345678901234567890.12")},
        Mismatch.TOTAL_DIFFERS,
        "123456789012345678901234567880.12 EUR too much",
    ),
]


@pytest.mark.parametrize(("says", "mismatch", "words"), AMOUNTS)
@pytest.mark.parametrize("status", ["READY", "ACCEPTED"])
def test_the_store_order_is_worth_what_was_paid(
    says: dict[str, Any], mismatch: Mismatch, words: str, status: str
) -> None:
    """Each difference is told to the unit, with both sums, and a person looks before anything is accepted."""
    landing = L.INSERTED if status == "READY" else L.ACCEPTED
    finding = only(compared(source(status), ledger(landing, status), store("open", **says)))

    assert (mismatch, Repair.PARK, "insert.total_differs") == (finding.mismatch, finding.repair, finding.park_code)
    assert not missing(words, finding.explanation)


def test_amounts_of_any_length_are_told_to_the_unit() -> None:
    """No digit is lost on the way, however many there are."""
    long = {"total": Decimal("100000000000000000000000000000.01"), "content_hash": ""}
    there = store("open", total=Decimal("100000000000000000000000000000.00"))
    finding = only(compared(source("READY", **long), ledger(L.INSERTED, "READY", **long), there))

    assert "100000000000000000000000000000.01 EUR" in finding.explanation
    assert ": 0.01 EUR too little" in finding.explanation


def test_a_currency_that_nobody_names_is_not_the_same() -> None:
    """Two sides that name no currency do not agree on one."""
    bare = {"currency": "", "base_currency": ""}
    found = compared(source("ACCEPTED", **bare), ledger(L.ACCEPTED, "ACCEPTED", **bare), store("open", currency=""))

    assert only(found).mismatch is Mismatch.CURRENCY_DIFFERS


def test_money_without_decimals_is_told_without_them() -> None:
    """A yen is a whole one."""
    yen = {"currency": "JPY", "total": Decimal(500), "base_currency": "", "base_total": None}
    finding = only(
        compared(
            source("READY", **yen),
            ledger(L.INSERTED, "READY", **yen),
            store("open", currency="JPY", total=Decimal(499)),
        )
    )

    assert "499 JPY, the paid order is 500 JPY: 1 JPY too little." in finding.explanation


@pytest.mark.parametrize(
    ("landing", "there", "repair"),
    [
        (L.FETCHED, NOT_IN_STORE, "fetch"),
        (L.INSERTED, store("open"), "park/document.changed_after_import"),
        (L.HELD, store("held"), "park/document.changed_after_import"),
    ],
)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content_hash": "h2"}, "total is 10.00 EUR as before"),
        ({"total": Decimal("11.00"), "content_hash": ""}, "was 10.00 EUR and is 11.00 EUR"),
        ({"currency": "USD", "content_hash": ""}, "was 10.00 EUR and is 10.00 USD"),
        ({"base_total": Decimal("9.11"), "content_hash": ""}, "total is 10.00 EUR as before"),
    ],
)
def test_a_document_that_changed_is_told(
    landing: L, there: Any, repair: str, change: dict[str, Any], words: str
) -> None:
    """It is read again while nothing of it is in the store; after that a person compares."""
    found = compared(source("READY", **change), ledger(landing, "READY"), there)
    changed = next(finding for finding in found.findings if finding.mismatch is Mismatch.DOCUMENT_CHANGED)

    assert f"document_changed/{repair}" in told(found)
    assert words in changed.explanation


@pytest.mark.parametrize(
    "change", [{"content_hash": ""}, {"problem": "no lines", "total": Decimal(3), "base_total": None}]
)
def test_a_document_that_says_less_has_not_changed(change: dict[str, Any]) -> None:
    """What is empty or cannot be mapped is no other document."""
    found = compared(source("READY", **change), ledger(L.FETCHED, "READY"), NOT_IN_STORE)

    assert not [finding for finding in found.findings if finding.mismatch is Mismatch.DOCUMENT_CHANGED]


def test_a_document_that_nobody_read_yet_has_not_changed() -> None:
    """An order known by its events has nothing to compare with."""
    assert Comparison(agrees=True) == compared(source("RECEIVED"), ledger(L.SEEN, "RECEIVED"), NOT_IN_STORE)


@pytest.mark.parametrize("change", [{"problem": "no lines at items"}, {"total": None}])
@pytest.mark.parametrize("status", ["RECEIVED", "READY", "ACCEPTED"])
def test_a_document_that_cannot_be_used_waits_for_a_person(status: str, change: dict[str, Any]) -> None:
    """It says what is wrong with it; without its sums nothing agrees."""
    there = {"RECEIVED": (L.HELD, "held"), "READY": (L.INSERTED, "open"), "ACCEPTED": (L.ACCEPTED, "open")}[status]
    found = compared(source(status, **change), ledger(there[0], status), store(there[1]))

    assert told(found) == ["document_unusable/park/document.unusable"]
    assert (change.get("problem") or "no total") in only(found).explanation


def test_an_unusable_document_does_not_say_what_the_merchant_gets() -> None:
    """A store order in the merchant's currency is not called wrong by a document that has no such amount."""
    unusable = source("ACCEPTED", problem="no rate for GBP", base_currency="", base_total=None)
    found = compared(unusable, ledger(L.ACCEPTED, "ACCEPTED"), store("open", currency="GBP", total=Decimal("9.10")))

    assert only(found).mismatch is Mismatch.DOCUMENT_UNUSABLE


@pytest.mark.parametrize(("sides", "findings", "pending"), STUCK)
def test_an_order_that_does_not_move_is_told_when_it_is_too_old(
    sides: Sides, findings: list[str], pending: bool
) -> None:
    """Up to the limit it is only pending; one microsecond later it is a finding."""
    provider, ours, there = sides
    assert ours is not None

    young = compared(provider, replace(ours, open_since=YOUNG), there)
    assert Comparison(agrees=False, pending=True) == young
    old = compared(provider, replace(ours, open_since=OLD), there)
    assert (findings, pending) == (told(old), old.pending)
    assert Comparison(agrees=False, pending=True) == compared(provider, replace(ours, open_since=None), there)


def test_a_stuck_order_says_since_when_and_where() -> None:
    """Somebody who reads it knows how all three sides stand."""
    said = only(compared(source("READY"), ledger(L.INSERTED, "READY", open_since=OLD), store("held"))).explanation

    assert not missing("2024-05-01 11:59 UTC|READY|not accepted|1001|held", said)


@pytest.mark.parametrize("landing", sorted(UNKNOWN))
@pytest.mark.parametrize(
    "sides", [(source("CANCELLED"), store("open")), (source("READY"), SEVERAL), (NOT_THERE, NOT_IN_STORE)]
)
def test_nothing_is_concluded_while_an_outcome_is_unknown(landing: L, sides: Any) -> None:
    """Whatever the sides say meanwhile, looking comes first and goes on by itself."""
    assert Comparison(agrees=False, pending=True) == compared(sides[0], ledger(landing, "READY"), sides[1])


PARKED = {"parked_code": "insert.out_of_stock", "parked_reason": "SKU-1 is out of stock", "open_since": None}


@pytest.mark.parametrize(
    ("sides", "findings"),
    [
        ((source("READY"), ledger(L.FETCHED, "READY", **PARKED), NOT_IN_STORE), []),
        (
            (source("ACCEPTED"), ledger(L.ACCEPTED, "ACCEPTED", **PARKED), store("open", total=Decimal(1))),
            ["total_differs/none"],
        ),
        ((source("READY"), ledger(L.INSERTED, "READY", **PARKED), NOT_IN_STORE), ["missing_in_store/none"]),
        ((NOT_THERE, ledger(L.INSERTED, "READY", **PARKED), store("open")), ["missing_at_provider/none"]),
        (
            (source("READY", problem="no lines"), ledger(L.SEEN, "READY", **PARKED), NOT_IN_STORE),
            ["document_unusable/none"],
        ),
        ((source("READY"), ledger(L.SEEN, "RECEIVED", **PARKED), NOT_IN_STORE), ["status_differs/none"]),
        (
            (source("READY"), ledger(L.STORE_CANCELLED, "READY", **PARKED), store("cancelled")),
            ["cancelled_in_store_only/none"],
        ),
        (
            (source("CANCELLED"), ledger(L.INSERTED, "CANCELLED", **PARKED), store("open")),
            ["cancelled_at_provider_only/none"],
        ),
        (
            (source("CANCELLED"), ledger(L.INSERTED, "READY", **PARKED), store("open")),
            ["cancelled_at_provider_only/tell_status"],
        ),
        (
            (source("CANCELLED"), ledger(L.INSERTED, "READY", **PARKED), store("shipped")),
            ["cancelled_at_provider_only/tell_status"],
        ),
        ((source("CANCELLED"), ledger(L.FETCHED, "READY", **PARKED), NOT_IN_STORE), ["status_differs/tell_status"]),
        ((source("CANCELLED"), ledger(L.FETCHED, "READY", **PARKED), None), ["status_differs/tell_status"]),
        (
            (source("CANCELLED"), ledger(L.INSERTED, "READY", **PARKED), SEVERAL),
            ["duplicate_in_store/none", "cancelled_at_provider_only/tell_status"],
        ),
        ((source("READY"), ledger(L.INSERTED, "READY", effect_open=True, **PARKED), SEVERAL), []),
        ((None, ledger(L.INSERTED, "READY", **PARKED), None), []),
    ],
)
def test_a_parked_order_keeps_its_findings_and_is_left_to_its_person(sides: Sides, findings: list[str]) -> None:
    """What is true stays in the reports; only the news of a cancel at the provider goes into the ledger."""
    comparison = compared(*sides)

    assert [*findings, "parked/none"] == told(comparison)
    assert comparison.pending
    assert not comparison.agrees
    assert "insert.out_of_stock" in comparison.findings[-1].explanation
    assert "SKU-1 is out of stock" in comparison.findings[-1].explanation


@pytest.mark.parametrize(
    ("sides", "findings"),
    [
        (
            (source("CANCELLED"), ledger(L.INSERTED, "READY", closed=True), store("open")),
            ["cancelled_at_provider_only/none"],
        ),
        (
            (source("CANCELLED"), ledger(L.INSERTED, "CANCELLED", closed=True), store("shipped")),
            ["cancelled_at_provider_only/none"],
        ),
        ((source("READY"), ledger(L.SEEN, "READY", closed=True), SEVERAL), ["duplicate_in_store/none"]),
    ],
)
def test_a_closed_order_is_told_of_when_what_is_live_contradicts(sides: Sides, findings: list[str]) -> None:
    """A person closed it, so that nothing is done; but they may not know this."""
    comparison = compared(*sides)

    assert findings == told(comparison)
    assert not comparison.pending
    assert not comparison.agrees


@pytest.mark.parametrize(("sides", "findings", "unread", "pending"), UNREAD)
def test_nothing_is_concluded_from_a_side_that_was_not_read(
    sides: Sides, findings: list[str], unread: tuple[str, ...], pending: bool
) -> None:
    """Only what the sides that were read say by themselves is found, and the order does not count as agreeing."""
    comparison = compared(*sides)

    assert (findings, unread) == (told(comparison), comparison.unread)
    assert (False, pending) == (comparison.agrees, comparison.pending)
