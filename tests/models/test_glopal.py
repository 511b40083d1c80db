"""Glopal's events and document heads as received."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.glopal import GlopalEvent, UnreadableEvent, clean_text, parse_order, parse_page, text_of, too_deep
from models.ids import AccountKey, is_safe_source_id
from models.outcome import BadDocument
from tests.support import Canaries, assert_no_canary

SAMPLES = Path(__file__).parents[1] / "contracts" / "samples"
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


def _page(*entries: object) -> bytes:
    return json.dumps({"links": {"next": None}, "events": list(entries)}).encode()


def _entry(**changes: object) -> dict[str, object]:
    return {
        "event_id": "E1",
        "event_name": "order.ready",
        "event_at": "2023-01-10T10:00:00.000Z",
        "order_id": "310678-936140",
        "entity_id": None,
    } | changes


def test_contract_events_page_is_read() -> None:
    """The contract's sample page is one readable event, and its id is the cursor."""
    page = parse_page((SAMPLES / "events_page.json").read_bytes())
    [event] = page.events

    assert isinstance(event, GlopalEvent)
    assert (event.event_id, event.event_name, event.order_id) == ("47CE0V5XR9CAWJ2Y", "order.ready", "310678-936140")
    assert event.event_at == datetime(2025, 7, 2, 7, 37, 45, 854000, tzinfo=UTC)
    assert (event.claims, page.cursor) == ("READY", "47CE0V5XR9CAWJ2Y")


def test_contract_return_event_claims_no_status() -> None:
    """A return's event names its order and its return, and says nothing of the order's status."""
    [event] = parse_page((SAMPLES / "return_event_page.json").read_bytes()).events

    assert isinstance(event, GlopalEvent)
    assert (event.order_id, event.entity_id, event.claims) == ("3S7Z7N5X-Q4PSJMC1", "4", None)


@pytest.mark.parametrize(
    ("sample", "order_id", "status", "external"),
    [
        ("order.json", "310678-936140", "RECEIVED", ""),
        ("order_with_return.json", "3S7Z7N5X-Q4PSJMC1", "COMPLETED", "92"),
    ],
)
def test_contract_order_heads_are_read(sample: str, order_id: str, status: str, external: str) -> None:
    """The documented head of the contract's sample documents is read as printed."""
    head = parse_order((SAMPLES / sample).read_bytes(), order_id)

    assert (head.order_id, head.status, head.external_order_id) == (order_id, status, external)
    assert (head.environment, head.currency) == ("live", "EUR")


@pytest.mark.parametrize(
    ("entry", "event_id", "reason"),
    [
        ("text", "", "not an object"),
        (None, "", "not an object"),
        (7, "", "not an object"),
        ([], "", "not an object"),
        ({}, "", "without event_id and event_name and order_id"),
        (_entry(event_id=None), "", "without event_id"),
        (_entry(order_id=None), "E1", "without order_id"),
        (_entry(event_name=""), "E1", "without event_name"),
        (_entry(event_id="E" * 256), "", "event_id longer than 255 characters"),
        (_entry(event_id="E" * 256, order_id=None), "", "event_id longer than 255 characters"),
        (_entry(event_id="E\x00"), "", "event_id with characters that no id has"),
        (_entry(event_id="E\n1"), "", "event_id with characters that no id has"),
        (_entry(event_id="E\ud800"), "", "event_id with characters that no id has"),
    ],
)
def test_bad_entries_are_kept_with_their_reason(entry: object, event_id: str, reason: str) -> None:
    """An entry that is no event says why, keeps what came, and does not disturb its neighbours."""
    page = parse_page(_page(_entry(event_id="A"), entry, _entry(event_id="B")))
    bad = page.events[1]

    assert isinstance(bad, UnreadableEvent)
    assert (bad.event_id, bad.reason) == (event_id, reason)
    assert json.loads(bad.raw) == json.loads(json.dumps(entry))
    assert [type(event) for event in page.events] == [GlopalEvent, UnreadableEvent, GlopalEvent]
    assert page.cursor == "B"


def test_deep_entries_are_kept_without_what_is_deep() -> None:
    """An entry nested beyond reason is unreadable by itself, and its id still moves the cursor."""
    deep = b"[" * 400 + b"]" * 400
    entry = b'{"event_id": "E1", "event_name": "x", "order_id": "1-1", "gift": ' + deep + b"}"
    page = parse_page(b'{"events": [' + entry + b", " + deep + b"]}")

    assert [type(event) for event in page.events] == [UnreadableEvent, UnreadableEvent]
    assert page.events[0].raw == '{"event_id": "E1", "event_name": "x", "order_id": "1-1", "gift": "(too deep)"}'
    assert page.cursor == "E1"


@pytest.mark.parametrize("when", [None, "", "soon", 1690000000, "2023-01-10T10:00:00", "0001-01-01T00:00:00+14:00", {}])
def test_unreadable_times_do_not_lose_an_event(when: object) -> None:
    """An event whose time is missing, naive or out of the calendar is an event without a time."""
    [event] = parse_page(_page(_entry(event_at=when))).events

    assert isinstance(event, GlopalEvent)
    assert event.event_at is None


def test_empty_page_has_no_cursor() -> None:
    """A page without events leaves the cursor where it is."""
    assert parse_page(_page()).cursor is None


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b'{"events": null}', b'{"events": {}}', b"<html>canary.buyer@canary.example"]
)
def test_answers_that_are_no_page_are_unreadable(raw: bytes) -> None:
    """HTML, empty answers and other JSON are refused as a whole, bytes kept, content not shown."""
    with pytest.raises(BadDocument) as caught:
        parse_page(raw)

    assert (caught.value.code, caught.value.raw) == ("unreadable", raw)
    assert_no_canary(caught.value)


@given(json_values)
def test_any_entry_is_read_one_way_or_the_other(entry: object) -> None:
    """Whatever JSON stands in a page, it is an event or an unreadable entry, with text that any database takes."""
    [event] = parse_page(json.dumps({"events": [entry]}).encode()).events

    for text in (event.event_id, event.raw):
        assert "\x00" not in text
        assert text.encode().decode() == text


@given(st.dictionaries(st.sampled_from(["id", "status", "external", "currency", "environment"]), json_values))
def test_any_document_gives_a_head_or_a_named_error(document: dict[str, Any]) -> None:
    """Whatever stands in the documented keys, the only error is BadDocument, naming the order."""
    told = "order 1-1: "
    try:
        parse_order(json.dumps(document).encode(), "1-1")
    except BadDocument as bad:
        told = bad.message
    assert told.startswith("order 1-1: ")


@given(st.text(st.characters(), max_size=20))
def test_clean_text_is_what_databases_take(text: str) -> None:
    """Cleaning leaves ordinary text alone and makes any other storable."""
    clean = clean_text(text)

    assert "\x00" not in clean
    assert clean.encode().decode() == clean
    assert clean_text(clean) == clean


def test_texts_are_taken_from_any_shape() -> None:
    """Nested first parts are found without recursion, truth values and nothing are empty."""
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]

    assert text_of(nested) == ""
    assert text_of([[["x"]]]) == "x"
    assert (text_of(True), text_of(None), text_of(1.5)) == ("", "", "")


def test_depth_is_measured_without_recursion() -> None:
    """The depth limit holds for lists and objects of any depth."""
    nested: Any = 1
    for _ in range(50):
        nested = {"a": [nested, 1]}

    assert too_deep(nested)
    assert not too_deep({"a": [{"b": [1, {"c": 2}]}]})


@pytest.mark.parametrize(
    ("order_id", "safe"),
    [
        ("310678-936140", True),
        ("3S7Z7N5X-Q4PSJMC1", True),
        ("912", True),
        ("a" * 255, True),
        ("a" * 256, False),
        ("", False),
        ("../etc", False),
        ("a/b", False),
        ("a b", False),
        ("310678-936140\n", False),
        ("a%2Fb", False),
        ("a-", False),
        ("-a", False),
        ("ä-1", False),
        ("１-1", False),
        ("a\x00", False),
        ("a?b", False),
        ("a#b", False),
        (".", False),
    ],
)
def test_only_plain_ids_reach_an_address(order_id: str, safe: bool) -> None:
    """Order ids are letters, digits and single dashes; a path, a blank or a line break is never one."""
    assert is_safe_source_id(order_id) == safe


def test_wrong_order_shows_no_foreign_text() -> None:
    """A document of another order is named only when its id looks like one."""
    with pytest.raises(BadDocument) as caught:
        parse_order(json.dumps({"id": Canaries.NAME, "status": "READY"}).encode(), "1-1")

    assert_no_canary(caught.value)


def test_references_tell_accounts_and_environments_apart() -> None:
    """The same order id of a test account, another account or another provider has another reference."""
    keys = [
        AccountKey("glopal", "live", "912"),
        AccountKey("glopal", "test", "912"),
        AccountKey("glopal", "live", "913"),
        AccountKey("globale", "live", "912"),
    ]

    assert len({key.reference("1-1") for key in keys}) == 4
    assert len({str(key) for key in keys}) == 4
