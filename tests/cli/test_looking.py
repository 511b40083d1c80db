"""``why``, ``orders`` and ``decide`` over a real ledger; the fixture searches all output for secrets and buyers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("number", ["100-1", "1001", "id-1001", "glopal.live.912.100-1"])
def test_why_finds_an_order_by_any_of_its_numbers(run: Run, books: Path, number: str) -> None:
    """The provider's id, the store's number and id, and our reference lead to the same story."""
    text = run("why", number).stdout
    assert "landed: in the store and accepted at the provider (store order 1001, id id-1001)" in text
    assert "nothing; it is finished" in text


def test_why_tells_what_happened_in_order(run: Run, books: Path) -> None:
    """Events, the document, intents and outcomes come in the order in which they happened."""
    text = run("why", "100-1").stdout
    steps = [
        "told order.received",
        "told order.ready",
        "read its document",
        "began to write it into the store",
        "done: created: 1001",
        "began to accept it",
        "done: accepted",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_why_says_what_a_person_could_do(run: Run, books: Path) -> None:
    """A parked order comes with its reason, advice that fits it, and the commands to type."""
    text = run("why", "100-2").stdout
    assert "HAT-9 [insert.unknown_sku]" in text
    assert "Create the article in the store" in text
    assert "crossdock decide 100-2 retry" in text
    assert "crossdock decide 100-2 cancel" in text


def test_why_says_what_comes_next_and_by_when(run: Run, books: Path) -> None:
    """An unknown outcome is being looked into; the wait and the deadline are said."""
    text = run("why", "100-3").stdout
    assert "nobody knows whether it happened: no answer within 15 s" in text
    assert "search the store for it before anything else is done, in" in text
    assert "Deadline:" in text


def test_why_offers_no_command_for_an_order_that_cannot_be_named(run: Run, books: Path) -> None:
    """An id that is no id is never put into an address, so a retry would be no use."""
    text = run("why", "../admin").stdout
    assert "Ask the provider about its event" in text
    assert "retry --reason" not in text
    assert "cancel --reason" not in text


def test_why_as_json_has_the_same_story(run: Run, books: Path) -> None:
    """A program gets one object for each order that was found."""
    [told] = json.loads(run("why", "100-2", "--json").stdout)
    assert told["state"] == "parked"
    assert told["parked_code"] == "insert.unknown_sku"
    assert [line["what"] for line in told["timeline"]][-1].startswith("waits for a person")
    assert told["next_step"] is None


def test_why_of_an_unknown_number_says_where_to_look(run: Run, books: Path) -> None:
    """No order by that number is an error with advice."""
    assert "crossdock orders" in run("why", "nothing-like-it", code=1).stderr


def test_an_order_id_cannot_steer_the_terminal(run: Run, books: Path) -> None:
    """Control characters of a number that somebody typed or sent are shown, not sent on."""
    result = run("why", "\x1b[31mred", code=1)
    assert "\x1b" not in result.stderr
    assert "\\x1b[31mred" in result.stderr


def test_orders_lists_each_with_its_state(run: Run, books: Path) -> None:
    """Every order is there, and the counts below add up to them."""
    text = run("orders").stdout
    for order in ("100-1", "100-2", "100-3", "100-4", "100-6", "../admin"):
        assert order in text
    assert "6 orders in all" in text


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("parked", {"100-2", "../admin"}),
        ("settled", {"100-1"}),
        ("open", {"100-2", "100-3", "100-4", "100-6", "../admin"}),
    ],
)
def test_orders_can_be_narrowed(run: Run, books: Path, only: str, expected: set[str]) -> None:
    """--only picks by state, the same for text and for programs."""
    rows = json.loads(run("orders", "--only", only, "--json").stdout)
    assert {row["order"] for row in rows} == expected


def test_orders_of_an_unknown_account_names_the_known_ones(run: Run, books: Path) -> None:
    """A typing mistake in --account does not look like "no orders"."""
    assert "known accounts: main" in run("orders", "--account", "mian", code=1).stderr


def test_orders_says_when_it_shows_only_some(run: Run, books: Path) -> None:
    """A cut list says that it is cut."""
    text = run("orders", "--limit", "2").stdout
    assert "Only the newest 2 are shown" in text
    assert "6 orders in all" in text


def test_without_a_ledger_the_commands_say_what_makes_one(run: Run, config: Path) -> None:
    """A first look before the first run is no crash."""
    assert "there is no ledger yet" in run("orders", code=1).stderr
    assert "made by the first run" in run("why", "1", code=1).stderr


def test_a_retry_puts_the_order_back_in_line_and_keeps_the_reason(run: Run, books: Path) -> None:
    """The decision is in the story, and the order is due."""
    said = run("decide", "100-2", "retry", "--reason", "article HAT-9 made").stdout
    assert "next it is written into the store" in said
    text = run("why", "100-2").stdout
    assert "article HAT-9 made" in text
    assert "at the next poll" in text


def test_a_dry_run_decides_nothing(run: Run, books: Path) -> None:
    """--dry-run says what would follow and leaves the order parked."""
    said = run("decide", "100-2", "cancel", "--reason", "no stock", "--dry-run").stdout
    assert "nothing was written" in said
    assert "cancelled at the provider" in said
    assert json.loads(run("why", "100-2", "--json").stdout)[0]["state"] == "parked"


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("order", "decision", "why_not"),
    [
        ("100-1", "cancel", "settled"),
        ("100-3", "cancel", "insert_unknown"),
        ("no-such", "retry", "no order has the number"),
    ],
)
def test_a_decision_that_does_not_fit_changes_nothing(
    run: Run, books: Path, order: str, decision: str, why_not: str, dry: tuple[str, ...]
) -> None:
    """Settled, unknown and missing orders are refused with the reason, dry or not."""
    assert why_not in run("decide", order, decision, "--reason", "x", *dry, code=1).stderr


def test_a_decision_needs_a_reason_and_a_known_word(run: Run, books: Path) -> None:
    """Blanks are no reason, and other words are a usage error."""
    assert "needs a reason" in run("decide", "100-2", "retry", "--reason", "  ", code=1).stderr
    run("decide", "100-2", "ignore", "--reason", "x", code=2)
    run("decide", "100-2", "retry", code=2)
