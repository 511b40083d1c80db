"""JSON and CSV: what was written is read back as it was, and what was changed since is noticed."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ranges import Span
from models.sides import StoreSide
from reports.canon import Unreadable
from reports.export import OtherOrders, as_dict, days_csv, orders_csv, read_orders_csv, to_json
from reports.facts import OrderFact
from reports.sheets import text_cell
from reports.verify import verify
from tests.reports.kit import (
    FINDING,
    FULL,
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
GAP = Span(START + 3 * DAY, START + 4 * DAY)
PARTS = [proven(Span(SPAN.start, GAP.start)), proven(Span(GAP.end, SPAN.end), "live")]


def document(facts: list[OrderFact], *, orders: bool = True, **changes: Any) -> dict[str, Any]:
    """A certificate's JSON, read back."""
    made = certificate(facts, PARTS, [FINDING], reasons={GAP: "the feed was down"}, most_named=3, **changes)
    read = json.loads("".join(to_json(made, facts if orders else None)))
    assert isinstance(read, dict)
    return read


@given(lists_of_facts)
def test_a_document_with_its_orders_verifies(facts: list[OrderFact]) -> None:
    """Made anew from its own orders, the document comes out word for word, hash included."""
    assert verify(document(facts)) == ()


def test_a_month_of_orders_verifies() -> None:
    """The same for a month that looks like life, with a margin and a note."""
    assert verify(document(list(life(300)), margin=timedelta(minutes=15), sources_note="read at night")) == ()


def test_a_document_without_orders_verifies_by_its_hash_and_with_them_from_elsewhere() -> None:
    """Without orders the hash must fit what is said of them, and the orders of the CSV fit it."""
    facts = list(life(40))
    written = document(facts, orders=False)

    assert "orders" not in written
    assert verify(written) == ()
    assert verify(written, read_orders_csv(orders_csv(facts))) == ()
    assert "total does not follow from the orders" in verify(written, facts[1:])


def _set(path: str, value: object) -> Any:
    def change(written: dict[str, Any]) -> None:
        *way, last = path.split(".")
        at: Any = written
        for step in way:
            at = at[int(step)] if step.isdigit() else at[step]
        at[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_set("verdict", "proven and agreed"), "verdict does not follow"),
        (_set("agrees", True), "agrees does not follow"),
        (_set("total.0.provider.paid.sum", "1.00"), "total does not follow"),
        (_set("days.3.orders", 0), "days does not follow"),
        (_set("days.2.currencies.0.unexplained.sum", "1.00"), "days does not follow"),
        (_set("gaps", []), "gaps does not follow"),
        (_set("differences", []), "differences does not follow"),
        (_set("orders.5.order", "1-1"), "hash does not follow"),
        (_set("orders.5.source", None), "hash does not follow"),
        (_set("orders", []), "order_count does not follow"),
        (_set("proven.0.to", "2026-03-05T00:00:00.000000Z"), "sha256 is not the hash"),
        (_set("findings", []), "sha256 is not the hash"),
        (_set("key", "glopal/test/acme"), "sha256 is not the hash"),
        (_set("zone", "UTC"), "sha256 is not the hash"),
        (_set("hash.sha256", "0" * 64), "hash does not follow"),
        (_set("hash.orders_sum", "0" * 64), "sha256 is not the hash"),
        (_set("more", "words"), "more does not follow"),
        (_set("charts.ready_to_accepted.not yet", 0), "charts does not follow"),
    ],
)
def test_a_document_that_was_changed_is_noticed(change: Any, problem: str) -> None:
    """Change a number, a word or an order in the document, and checking it says so."""
    written = document(
        [*life(60), fact("9-1", store=StoreSide(found=False)), fact("9-2", ledger=ledger(bucket="parked"))]
    )
    assert verify(written) == ()
    change(written)

    assert any(problem in found for found in verify(written))


@pytest.mark.parametrize(
    "change",
    [
        _set("format", "crossdock certificate 99"),
        _set("orders.0", "an order"),
        _set("orders.0.first_event_at", "yesterday"),
        _set("proven.0", None),
        _set("findings.0", {}),
        _set("hash", None),
        _set("zone", "Europe/Atlantis"),
        _set("from", "2027-01-01T00:00:00.000000Z"),
        _set("margin_seconds", "long"),
        _set("days", None),
        lambda written: written.pop("gaps"),
        lambda written: written.pop("hash"),
        lambda written: written["orders"].append(written["orders"][0]),
    ],
)
def test_a_document_that_is_none_is_told_and_no_error(change: Any) -> None:
    """Whatever is put in its place, checking a document answers in words."""
    written = document([fact()])
    change(written)

    assert verify(written) != ()


@pytest.mark.parametrize("written", [None, [], "certificate", {}, 7])
def test_anything_else_is_no_certificate(written: object) -> None:
    """Checking something else says that it is none."""
    assert verify(written) == ("this is no 'crossdock certificate 1'",)


def test_other_orders_than_the_certificates_are_never_written_in_silence() -> None:
    """Orders that changed since the certificate was made end the writing with an error."""
    facts = list(life(10))
    made = certificate(facts)

    with pytest.raises(OtherOrders, match="make the certificate anew"):
        list(to_json(made, facts[1:]))
    with pytest.raises(OtherOrders):
        list(to_json(made, [replace(facts[0], store=None), *facts[1:]]))


def test_orders_outside_of_the_range_are_left_out() -> None:
    """The caller may give more orders than the certificate is about."""
    facts = [fact("1-1"), fact("1-2", at=SPAN.end)]
    made = certificate(facts)

    assert [record["order"] for record in json.loads("".join(to_json(made, facts)))["orders"]] == ["1-1"]
    assert [facts[0]] == list(read_orders_csv(orders_csv(facts, SPAN)))


def test_orders_stand_one_a_line_as_they_are_hashed() -> None:
    """Each order's line in the document is the very text whose hash counts."""
    lines = "".join(to_json(certificate([FULL]), [FULL])).splitlines()
    line = next(line for line in lines if '"first_event_at"' in line)

    assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) == line.strip()


def test_amounts_in_json_are_texts() -> None:
    """No amount is a JSON number, which other programs would read as a float."""
    written = document(list(life(50)))

    def walk(value: object, name: str = "") -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)
        else:
            assert not isinstance(value, float) or name == "margin_seconds"
            assert name not in {"sum", "total"} or isinstance(value, str)

    walk(written)


@given(lists_of_facts)
def test_the_csv_of_orders_is_exact(facts: list[OrderFact]) -> None:
    """What is read back equals what was written, hash and all, whatever is in the texts."""
    back = list(read_orders_csv(io.StringIO("".join(orders_csv(facts)), newline="")))

    assert facts == back
    assert certificate(facts).sha256 == certificate(back).sha256


def test_the_csv_of_an_older_release_is_read() -> None:
    """A column that a later release added is empty for older files."""
    rows = list(csv.reader(orders_csv([fact()])))
    at = rows[0].index("ledger.due")
    older = [",".join(cell for index, cell in enumerate(row) if index != at) for row in rows]

    assert [fact()] == list(read_orders_csv(older))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "line 0: the columns are order"),
        (["order,order\r\n"], "line 1: the columns are order"),
        (["order,colour\r\n"], "line 1: the columns are order"),
        (["order,first_event_at\r\n", "1-1\r\n"], "line 2: 1 cells instead of 2"),
        (["order,first_event_at\r\n", "1-1,yesterday\r\n"], "line 2: "),
        (["order,first_event_at\r\n", '1-1,"yest"erday\r\n'], "line 2: "),
    ],
)
def test_csv_that_is_none_of_ours_is_refused(lines: list[str], says: str) -> None:
    """A file that cannot be read says in which line and why."""
    with pytest.raises(Unreadable, match=says):
        list(read_orders_csv(lines))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'"])
def test_no_text_is_a_formula(start: str) -> None:
    """A text that a spreadsheet would run gets an apostrophe before it, which reading takes away again."""
    evil = f"{start}HYPERLINK(1)"
    facts = [fact(evil, ledger=ledger(bucket="parked", parked_code=evil, parked_reason=evil))]
    row = list(csv.reader(io.StringIO("".join(orders_csv(facts)), newline="")))[1]

    assert row[0] == f"'{evil}"
    assert not any(cell.startswith(start) for cell in row if start != "'")
    assert facts == list(read_orders_csv(orders_csv(facts)))


def test_amounts_are_no_texts() -> None:
    """A negative amount keeps its minus sign, and nothing stands before it."""
    facts = [fact(store=store("-5.00"))]
    rows = list(csv.reader(orders_csv(facts)))

    assert rows[1][rows[0].index("store.total")] == "-5.00"
    assert text_cell("-5.00") == "'-5.00"


def test_the_csv_of_days_adds_up() -> None:
    """Each day and currency has a line, days without orders have one, and the columns add up to the total."""
    facts = [*life(200), fact("9-1", source=source(status="CANCELLED", total="5.00"), store=store("5.00"))]
    facts = [each for each in facts if not START + 5 * DAY <= each.first_event_at < START + 6 * DAY]
    made = certificate(facts, PARTS)
    text = days_csv(made)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert text.count("\r\n") == len(rows) + 1
    assert [row["day"] for row in rows if row["currency"] == ""] == ["2026-03-06"]
    assert {"0"} == {row["day_orders"] for row in rows if row["currency"] == ""}
    for line in made.total:
        mine = [row for row in rows if row["currency"] == line.currency]
        assert line.provider["paid"].total == sum(Decimal(row["provider_paid_sum"]) for row in mine)
        assert line.ledger["landed"].orders == sum(int(row["ledger_landed_orders"]) for row in mine)
        assert line.store["live"].total == sum(Decimal(row["store_live_sum"]) for row in mine)
        assert line.difference.total == sum(Decimal(row["difference_sum"]) for row in mine)
        assert line.explained["under way"].total == sum(Decimal(row["explained_under_way_sum"]) for row in mine)
        assert line.in_base == sum(int(row["store_orders_in_base_currency"]) for row in mine)
    assert "not proven" in {row["proof"] for row in rows}


def test_the_csv_of_days_names_the_account_without_running_it() -> None:
    """The account's name is a text, too."""
    rows = list(csv.DictReader(io.StringIO(days_csv(certificate(account="=1+1")), newline="")))

    assert {"'=1+1"} == {row["account"] for row in rows}
    assert (rows[0]["from"], rows[0]["whole_day"]) == ("2026-02-28T23:00:00.000000Z", "true")


@given(st.text(max_size=5))
def test_text_cells_can_be_undone(text: str) -> None:
    """The apostrophe that was added is the only one that is taken away."""
    assert text == text_cell(text).removeprefix("'")


def test_the_document_tells_how_it_was_made() -> None:
    """Rules and recipe stand in the document, with when it was made and what younger events are."""
    written = as_dict(certificate(margin=timedelta(minutes=15)))

    assert written["margin_seconds"] == 900
    assert written["made_at"].startswith(f"{NOW:%Y-%m-%dT%H}")
    assert written["counting_rules"]
    assert len(written["hash"]["recipe"]) == 4
