"""Verdicts of days and ranges, findings, and what a certificate names."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from models.ranges import Span
from models.sides import StoreSide
from reports.facts import FindingFact
from reports.model import Tally
from tests.reports.kit import NOW, SPAN, START, certificate, fact, ledger, proven, source, store

DAY = timedelta(days=1)
GONE = StoreSide(found=False)


def finding(order: str, mismatch: str = "missing_in_store", **changes: object) -> FindingFact:
    """An open finding."""
    given: dict[str, Any] = {"explanation": "It is not in the store.", "since": NOW - DAY, "closed_at": None}
    return FindingFact(order=order, mismatch=mismatch, action="", **(given | changes))


def test_a_day_with_nothing_is_a_statement() -> None:
    """A proven day without orders says so: proven and agreed, 0 orders."""
    made = certificate()

    assert (made.days[4].orders, made.days[4].currencies, made.days[4].standing.verdict) == (0, (), "proven and agreed")
    assert (made.proven_days, made.standing.verdict) == (30, "proven and agreed")


def test_parked_and_under_way_orders_do_not_speak_against_agreement() -> None:
    """What waits for a person or for its next step is explained, and the certificate is clean."""
    facts = [
        fact("1-1", ledger=ledger(bucket="parked", parked_code="insert.unknown_sku"), store=GONE, accepted_at=None),
        fact("1-2", ledger=ledger(bucket="under way"), store=GONE, accepted_at=None),
    ]
    made = certificate(facts, findings=[finding("1-1", "parked")])

    assert made.standing.verdict == "proven and agreed; 1 parked order for a person"
    assert made.standing.agrees
    assert [entry.order for entry in made.listing.parked] == ["1-1"]


def test_a_finding_of_a_parked_order_does_not_speak_against_its_day() -> None:
    """A person has the order already, so what was found about it is listed, and its day agrees."""
    parked = ledger(bucket="parked", parked_code="insert.total_differs")
    made = certificate([fact("1-1", ledger=parked, store=store("99.00"))], findings=[finding("1-1", "total_differs")])

    assert (made.standing.findings, made.standing.differing, made.standing.agrees) == (0, 0, True)
    assert [found.mismatch for found in made.open_findings] == ["total_differs"]


def test_verdicts_of_days() -> None:
    """Each day says whether it is proven, what differs and what was not compared."""
    facts = [
        fact("1-1", START + DAY, store=GONE),
        fact("1-2", START + DAY, store=None),
        fact("1-3", START + 2 * DAY, source=None),
        fact("1-4", START + 3 * DAY, store=GONE),
    ]
    known = [proven(Span(SPAN.start, START + 3.5 * DAY)), proven(Span(START + 5 * DAY, SPAN.end))]
    made = certificate(facts, known)

    assert [day.standing.verdict for day in made.days[:5]] == [
        "proven and agreed",
        "proven, 1 difference, 1 order not compared",
        "proven, 1 order not compared",
        "partly proven: no proof recorded, 1 difference",
        "not proven: no proof recorded",
    ]
    assert (
        made.standing.verdict
        == "not proven: 2 of 30 days are not proven complete (no proof recorded), 2 differences, 2 orders not compared"
    )
    assert [made.standing.complete, made.days[1].standing.complete] == [False, True]


def test_an_open_finding_speaks_against_its_orders_day() -> None:
    """A finding on an order whose sums agree makes its day differ, once however many there are of it."""
    facts = [fact("1-1", START + DAY), fact("1-2", START + 2 * DAY)]
    found = [finding("1-1"), finding("1-1", "stuck"), finding("1-2", closed_at=NOW)]
    made = certificate(facts, findings=found)

    assert [day.standing.verdict for day in made.days[1:3]] == ["proven, 1 difference", "proven and agreed"]
    assert (made.standing.findings, made.days[1].standing.findings) == (2, 2)
    assert len(made.open_findings) == 2


def test_a_finding_that_is_also_a_difference_counts_once() -> None:
    """The number of differences is a number of orders."""
    made = certificate([fact("1-1", store=GONE), fact("1-2", store=None)], findings=[finding("1-1"), finding("1-2")])

    assert (made.standing.differing, made.standing.unread) == (2, 0)


def test_a_finding_of_no_known_order_counts_for_the_range() -> None:
    """An open finding is never left out, even when nobody knows the day that it belongs to."""
    made = certificate([fact("1-1")], findings=[finding("2-7"), finding("2-7", "stuck")])

    assert made.standing.verdict == "proven, 1 difference"
    assert (made.standing.agrees, made.days[0].standing.agrees, made.standing.findings) == (False, True, 2)


def test_an_order_missing_in_the_ledger_is_a_difference() -> None:
    """Provider and store may agree, but what the ledger does not have is not proven."""
    made = certificate([fact("1-1", ledger=None)])

    assert Tally(0, Decimal(0)) == made.total[0].difference
    assert made.standing.verdict == "proven, 1 difference"
    assert made.listing.differences[0].says == "the ledger does not know the order"


def test_names_are_listed_up_to_a_number_the_worst_first() -> None:
    """However many orders differ, the unexplained are named first, then by day, and all are counted."""
    facts = [fact(f"a-{number:03}", START + number % 30 * DAY, store=None) for number in range(300)]
    facts += [fact(f"z-{number}", START + (9 - number) * DAY, store=GONE) for number in range(3)]
    facts.append(fact("m-1", ledger=ledger("99.00")))
    listing = certificate(facts, most_named=5).listing

    assert [entry.order for entry in listing.differences] == ["z-2", "z-1", "z-0", "m-1", "a-000"]
    assert (listing.differences_in_all, listing.parked_in_all) == (304, 0)


def test_what_is_wrong_is_said_in_words() -> None:
    """Each unexplained difference says what each side has and what that means."""
    facts = [
        fact("1-1", store=GONE),
        fact("1-2", source=source(status="CANCELLED")),
        fact("1-3", store=store("99.00")),
        fact("1-4", store=store(currency="USD")),
        fact("1-5", store=store(several=True)),
        fact("1-6", source=source(found=False), ledger=None),
    ]
    entries = certificate(facts).listing.differences

    assert [entry.says for entry in entries] == [
        "paid at the provider and not live in the store",
        "live in the store and not paid at the provider",
        "the store has another amount than the provider",
        "the store has another currency than the provider",
        "the store has several live orders with our reference",
        "live in the store and not paid at the provider; the ledger does not know the order",
    ]
    assert (
        entries[0].provider,
        entries[0].ledger,
        entries[0].store,
    ) == ("ACCEPTED, 100.00 EUR", "landed, 100.00 EUR", "missing")
    assert {"EUR": Tally(0, Decimal("1.00"))} == entries[2].adds
