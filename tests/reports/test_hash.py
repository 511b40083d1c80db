"""The hash: the same whatever order the facts come in, and another one when anything in them is another."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ranges import Span
from models.sides import LedgerSide, SourceSide, StoreSide
from reports import canon
from reports.canon import Unreadable, canonical, fact_of, record_of
from reports.facts import FindingFact, OrderFact
from tests.reports.kit import (
    FINDING,
    FULL,
    NOW,
    SPAN,
    START,
    certificate,
    fact,
    facts_of_any_kind,
    lists_of_facts,
    proven,
    source,
)

SECOND = timedelta(seconds=1)


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(each for each in type(value) if each is not value)
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, Decimal):
        return value + Decimal("0.01")
    if isinstance(value, Span):
        return Span(value.start, value.end - SECOND)
    assert isinstance(value, datetime), value
    return value + SECOND


def changes_of(whole: Any) -> list[tuple[str, Any]]:
    """Every way to change one field of a fact, with the name of it; sides are changed field by field, too."""
    changed = []
    for each in fields(whole):
        value = getattr(whole, each.name)
        if is_dataclass(value) and not isinstance(value, Span):
            changed += [
                (f"{each.name}.{name}", replace(whole, **{each.name: side})) for name, side in changes_of(value)
            ]
            changed.append((f"no {each.name}", replace(whole, **{each.name: None})))
        else:
            changed.append((each.name, replace(whole, **{each.name: other(value)})))
    return changed


def names_and_cases(whole: Any) -> list[Any]:
    """The same for parametrize."""
    return [pytest.param(changed, id=name) for name, changed in changes_of(whole)]


@pytest.mark.parametrize("changed", names_and_cases(FULL))
def test_every_field_of_an_order_is_hashed(changed: OrderFact) -> None:
    """Change any field of an order, and the hash is another."""
    assert certificate([FULL, fact("1-2")]).sha256 != certificate([changed, fact("1-2")]).sha256


@pytest.mark.parametrize("changed", names_and_cases(FINDING))
def test_every_field_of_a_finding_is_hashed(changed: FindingFact) -> None:
    """Change any field of a finding, and the hash is another."""
    assert certificate(findings=[FINDING]).sha256 != certificate(findings=[changed]).sha256


@pytest.mark.parametrize("changed", names_and_cases(proven()))
def test_every_field_of_a_proven_interval_is_hashed(changed: Any) -> None:
    """Change any field of a proven interval, and the hash is another."""
    assert certificate(intervals=[proven()]).sha256 != certificate(intervals=[changed]).sha256


@pytest.mark.parametrize(
    "changes", [{"key": "glopal/test/acme"}, {"span": Span(SPAN.start, SPAN.end - SECOND)}], ids=["key", "span"]
)
def test_account_and_range_are_hashed(changes: dict[str, Any]) -> None:
    """The same data of another account or range is another certificate."""
    assert certificate([fact()], [proven()]).sha256 != certificate([fact()], [proven()], **changes).sha256


def test_when_it_was_made_is_not_hashed() -> None:
    """The same data gives the same hash tomorrow, so that two certificates of it can be told to be of the same."""
    assert certificate([fact()]).sha256 == certificate([fact()], made_at=NOW + SECOND, sources_note="others").sha256


def test_every_field_can_be_changed() -> None:
    """No field of an order is left out of these tests, as one that is None by default would be."""
    for side in (FULL, FULL.source, FULL.ledger, FULL.store):
        assert side is not None
        assert all(getattr(side, each.name) is not None for each in fields(side))


@given(lists_of_facts, st.integers())
def test_the_order_of_facts_does_not_matter(facts: list[OrderFact], seed: int) -> None:
    """However the facts are shuffled, the hash is the same."""
    shuffled = random.Random(seed).sample(facts, len(facts))

    assert certificate(facts).sha256 == certificate(shuffled).sha256


@given(lists_of_facts)
def test_one_order_more_or_less_is_another_hash(facts: list[OrderFact]) -> None:
    """An order more is another hash, also a copy of one that is there under another id."""
    more = [*facts, fact("one more")]

    assert certificate(facts).orders_sum != certificate(more).orders_sum
    assert certificate(more).sha256 != certificate([*more, fact("two more")]).sha256


@given(facts_of_any_kind)
def test_facts_survive_their_texts(each: OrderFact) -> None:
    """A fact read back from its text has the same text, and equals the fact."""
    text = canonical(record_of(each))
    back = fact_of(json.loads(text))

    assert text == canonical(record_of(back))
    assert each == back
    assert text.isascii()


def test_equal_facts_have_equal_texts() -> None:
    """Amounts and times that are equal are hashed alike, however they are written."""
    zone = timezone(timedelta(hours=5, minutes=45))
    same = replace(
        FULL, source=source("100.000", **_rest(FULL.source)), first_event_at=FULL.first_event_at.astimezone(zone)
    )

    assert canonical(record_of(FULL)) == canonical(record_of(same))
    assert '"total":"100.00"' in canonical(record_of(same))
    assert '"first_event_at":"2026-03-01T11:00:00.000000Z"' in canonical(record_of(same))


def _rest(side: SourceSide | None) -> dict[str, Any]:
    assert side is not None
    return {each.name: getattr(side, each.name) for each in fields(side) if each.name not in {"total", "currency"}}


def test_fields_of_later_releases_leave_older_hashes_alone() -> None:
    """A field that has its default is in no text, so that adding one changes no certificate that is filed already."""
    bare = replace(FULL, source=SourceSide(found=False), store=StoreSide(found=False))
    text = record_of(bare)

    assert text["source"] == text["store"] == {"found": False}
    assert bare == fact_of(text)


def test_the_recipe_can_be_followed_by_hand() -> None:
    """A program that knows only the recipe computes the same hash."""
    facts, found = [FULL, fact("1-2")], [FINDING, replace(FINDING, order="1-0")]
    made = certificate(facts, findings=found)

    def text(value: object) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    digests = [hashlib.sha256(text(record_of(each)).encode()).digest() for each in facts]
    total = sum(int.from_bytes(digest, "big") for digest in digests) % 2**256
    whole = {
        "account": made.key,
        "from": "2026-02-28T23:00:00.000000Z",
        "to": "2026-03-30T22:00:00.000000Z",
        "zone": "Europe/Berlin",
        "proven": [
            {
                "from": "2026-02-28T23:00:00.000000Z",
                "to": "2026-03-30T22:00:00.000000Z",
                "by": "backfill",
                "proved_at": "2026-03-30T22:00:00.000000Z",
                "how": "events 17 and 94 stand before and after it",
            }
        ],
        "findings": sorted((record_of(each) for each in found), key=text),
        "orders": {"count": 2, "sum": f"{total:064x}"},
    }

    assert hashlib.sha256(text(whole).encode()).hexdigest() == made.sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"order": 7},
        {"first_event_at": "2026-03-01T11:00:00"},
        {"first_event_at": None},
        {"read_at": "yesterday"},
        {"source": {"found": "yes"}},
        {"source": {"found": True, "total": "1e3"}},
        {"source": {"found": True, "total": 3.5}},
        {"source": {"found": True, "colour": "red"}},
        {"source": {}},
        {"source": "ACCEPTED"},
        {"ledger": {"bucket": "landed", "landing": "flown", "source_status": "READY"}},
        {"colour": "red"},
    ],
)
def test_records_that_are_none_of_ours_are_refused(changes: dict[str, Any]) -> None:
    """A record with a field of another kind is an error that names what is wrong, not a guess."""
    with pytest.raises(Unreadable):
        fact_of(record_of(FULL) | changes)


@pytest.mark.parametrize("record", [None, [], "fact", {"order": "1-1"}])
def test_what_is_no_record_is_refused(record: object) -> None:
    """Anything but a whole record is an error."""
    with pytest.raises(Unreadable, match="the fields of OrderFact are order, first_event_at"):
        fact_of(record)


def test_every_side_is_known_to_the_text() -> None:
    """The kinds of facts that are hashed are the kinds of facts that there are."""
    assert {OrderFact, FindingFact, SourceSide, LedgerSide, StoreSide} == set(canon.FIELDS)
    assert START.tzinfo is UTC
