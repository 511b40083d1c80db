"""The invariants of the hub, each a function over the evidence that names the order when it does not hold.

ALWAYS hold at every moment, also right after a crash; CALM hold once the faults have stopped and nothing is due.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from ledger.rows import effect_hash
from models.lifecycle import EFFECTS, UNKNOWN, Landing, SourceStatus
from tests.trust.evidence import Evidence, Insert, landing_of

_EFFECT_KINDS = {step.value for step in EFFECTS}


def s1_one_live_store_order(seen: Evidence) -> None:
    """At most one live backend order for each reference."""
    for reference, orders in seen.store.items():
        live = [order["id"] for order in orders if order["state"] != "cancelled"]
        assert len(live) <= 1, f"S1: {reference} has {len(live)} live store orders: {live}"


def s2_nothing_accepted_without_store_order(seen: Evidence) -> None:
    """Whatever the provider has as accepted names an existing store order of ours, made before the accept was sent."""
    for order_id, book in seen.glopal.items():
        if book["accepts"]:
            named = book["external"]
            ours = {o["id"]: o["number"] for o in seen.store.get(seen.rows[order_id].reference, [])}
            assert ours.get(named["order_id"]) == named["order_number"], f"S2: {order_id} accepted as {named}: {ours}"
        insert = Insert()
        for line in seen.story(order_id):
            insert.take(line)
            if line.kind == "accept" and line.phase == "intent":
                told = json.loads(line.detail)
                assert told["store_order_id"], f"S2: {order_id} accepted with {told}"
                assert told["store_order_number"], f"S2: {order_id} accepted with {told}"
                assert insert.state == "live", f"S2: {order_id} accepted while its insert was {insert.state}"


def s3_never_accepted_and_cancelled(seen: Evidence) -> None:
    """We never both accept and cancel the same order."""
    for order_id, book in seen.glopal.items():
        ours = str(book["cancelled_by"] or "").startswith("merchant")
        assert not (book["accepts"] and ours), f"S3: {order_id} was accepted and cancelled by us"
        done = {line.kind for line in seen.story(order_id) if line.phase == "outcome" and line.outcome == "done"}
        assert not {"accept", "cancel_source"} <= done, f"S3: {order_id} was accepted and cancelled by us"


def s4_cancelled_has_no_live_store_order(seen: Evidence) -> None:
    """A cancelled order has no live backend order, or is flagged for a person."""
    for order_id, book in seen.glopal.items():
        if book["status"] == "CANCELLED" and seen.live(order_id):
            assert seen.rows[order_id].parked_at is not None, f"S4: {order_id} is cancelled and live in the store"


def s5_no_cancel_while_unknown_or_live(seen: Evidence) -> None:
    """No cancel at the provider while the insert's result is unknown, or while a backend order is live."""
    for order_id, book in seen.glopal.items():
        insert = Insert()
        for line in seen.story(order_id):
            if line.kind == "cancel_source" and line.phase == "intent":
                assert insert.state not in ("open", "unknown", "live"), f"S5: {order_id} cancelled while {insert.state}"
            insert.take(line)
        if str(book["cancelled_by"] or "").startswith("merchant"):
            assert not seen.live(order_id), f"S5: {order_id} was cancelled by us and is live in the store"


def s6_cursor_never_passes(seen: Evidence) -> None:
    """The cursor never passes an event that could be seen and is not recorded."""
    places = {event_id: place for place, event_id in enumerate(seen.feed)}
    if seen.cursor is None or seen.cursor not in places:
        return
    for event_id in seen.feed[: places[seen.cursor] + 1]:
        known = event_id in seen.events or event_id in seen.late
        assert known, f"S6: the cursor passed {event_id}, which is not recorded"


def s6_everything_recorded(seen: Evidence) -> None:
    """Once calm, every event of the feed is recorded."""
    missing = [event_id for event_id in seen.feed if event_id not in seen.events]
    assert not missing, f"S6: never recorded: {missing}"


def s7_money_adds_up(seen: Evidence) -> None:
    """What landed has the total that was paid, to the smallest unit, in either of the order's two currencies."""
    for order_id, book in seen.glopal.items():
        row = seen.rows.get(order_id)
        if row is None or row.parked_at is not None:
            continue
        for order in seen.live(order_id):
            has = (order["currency"], Decimal(order["total"]))
            paid = {(book["currency"], Decimal(book["total"])), (row.base_currency, row.base_total)}
            assert has in paid, f"S7: {order_id} landed with {has}, paid {paid}"


def s8_intent_before_outcome_after(seen: Evidence) -> None:
    """An intent stands before each effect and an outcome after it; the other sides' books know of no effect without."""
    for row in seen.rows.values():
        open_kind: str | None = None
        for line in seen.lines.get(row.id or 0, []):
            if line.kind not in _EFFECT_KINDS or line.phase == "note":
                continue
            where = f"{row.source_order_id}, line {line.seq}"
            if line.phase == "intent":
                assert open_kind is None, f"S8: {where}: {line.kind} began while {open_kind} was open"
                open_kind = line.kind
            else:
                assert open_kind == line.kind, f"S8: {where}: outcome of {line.kind} without its intent"
                open_kind = None
        marked = seen.intents.get(row.id or 0)
        assert (marked.kind if marked else None) == open_kind, f"S8: {row.source_order_id}: open mark and lines differ"
    _books_know_no_more(seen)


def _books_know_no_more(seen: Evidence) -> None:
    for order_id, book in seen.glopal.items():
        begun = [line.kind for line in seen.story(order_id) if line.phase == "intent"]
        assert book["accept_calls"] <= begun.count("accept"), f"S8: {order_id}: accept without intent"
        assert book["cancel_calls"] <= begun.count("cancel_source"), f"S8: {order_id}: cancel without intent"
    for order_id, row in seen.rows.items():
        begun = [line.kind for line in seen.story(order_id) if line.phase == "intent"]
        made = len(seen.store.get(row.reference, []))
        assert made <= begun.count("insert") + begun.count("insert_held"), f"S8: {order_id}: create without intent"


def s8_nothing_open(seen: Evidence) -> None:
    """Once calm, no effect is without its outcome, except for orders that wait for a person."""
    parked = {row.id for row in seen.rows.values() if row.parked_at is not None}
    left = {row_id: intent.kind for row_id, intent in seen.intents.items() if row_id not in parked}
    assert not left, f"S8: open intents: {left}"


def s9_chains_verify(seen: Evidence) -> None:
    """The hash chain of every order verifies up to the head that its row remembers."""
    for row in seen.rows.values():
        previous, seq = "", 0
        for line in seen.lines.get(row.id or 0, []):
            assert (line.seq, line.prev_hash) == (seq + 1, previous), f"S9: {row.source_order_id}: line {line.seq}"
            assert line.hash == effect_hash(line.model_dump()), (
                f"S9: {row.source_order_id}: line {line.seq} was changed"
            )
            previous, seq = line.hash, line.seq
        assert (row.effect_seq, row.effect_hash) == (seq, previous), f"S9: {row.source_order_id}: lines are missing"


def s14_never_twice(seen: Evidence) -> None:
    """However many runs there were, no effect is done twice, and none is begun after it was done."""
    for order_id in seen.rows:
        done: set[str] = set()
        for line in seen.story(order_id):
            if line.kind not in ("insert", "insert_held", "accept", "cancel_source"):
                continue
            what = "insert" if line.kind == "insert_held" else line.kind
            assert what not in done, f"S14: {order_id}: {line.phase} of {line.kind} after it was done"
            if line.phase == "outcome" and line.outcome == "done":
                done.add(what)
    for order_id, book in seen.glopal.items():
        assert book["accepts"] <= 1, f"S14: {order_id} was accepted {book['accepts']} times"


def s16_buckets_add_up(seen: Evidence) -> None:
    """Each event is in exactly one known bucket, and each applied one hangs on its order."""
    for event in seen.events.values():
        assert event.bucket in ("applied", "kept", "unreadable"), f"S16: {event.event_id} is in bucket {event.bucket!r}"
        if event.bucket == "applied":
            assert event.source_order_id in seen.rows, f"S16: {event.event_id} has no order"
            assert seen.rows[event.source_order_id].id == event.order_id, (
                f"S16: {event.event_id} hangs on another order"
            )


def l1_settled_or_parked(seen: Evidence) -> None:
    """Every order is settled, parked, or waits for the provider to say more."""
    for row in seen.rows.values():
        waits = row.source_status in (SourceStatus.UNSEEN.value, SourceStatus.RECEIVED.value)
        fine = row.settled_at is not None or row.parked_at is not None or waits
        assert fine, f"L1: {row.source_order_id} rests at {row.source_status}/{row.landing}"
        assert row.lease_owner is None, f"L1: {row.source_order_id} is still held"
        if row.parked_at is None:
            assert landing_of(row) not in UNKNOWN, f"L1: {row.source_order_id} rests at {row.landing}"


def ends_agree(seen: Evidence) -> None:
    """What the provider has as READY or later and not cancelled is live in the store once and accepted, or parked."""
    for order_id, book in seen.glopal.items():
        row = seen.rows.get(order_id)
        if row is None or row.parked_at is not None or row.closed_at is not None:
            continue
        if book["status"] in ("READY", "ACCEPTED", "COMPLETED"):
            assert book["status"] != "READY", f"L1: {order_id} is still READY at the provider"
            assert row.landing == Landing.ACCEPTED.value, f"L1: {order_id} is accepted there and {row.landing} here"
            [order] = seen.live(order_id)
            assert book["external"] == {"order_id": order["id"], "order_number": order["number"]}, f"S2: {order_id}"
            assert (row.store_order_id, row.store_order_number) == (order["id"], order["number"]), f"S2: {order_id}"
        elif book["status"] == "CANCELLED":
            assert row.landing == Landing.CANCELLED.value, f"S4: {order_id} is cancelled there and {row.landing} here"


Check = Callable[[Evidence], None]
ALWAYS: list[Check] = [
    s1_one_live_store_order,
    s2_nothing_accepted_without_store_order,
    s3_never_accepted_and_cancelled,
    s5_no_cancel_while_unknown_or_live,
    s6_cursor_never_passes,
    s8_intent_before_outcome_after,
    s9_chains_verify,
    s14_never_twice,
    s16_buckets_add_up,
]
CALM: list[Check] = [
    *ALWAYS,
    s4_cancelled_has_no_live_store_order,
    s6_everything_recorded,
    s7_money_adds_up,
    s8_nothing_open,
    l1_settled_or_parked,
    ends_agree,
]


def name_of(check: Check) -> str:
    """The invariant's short name, e.g. S1."""
    short = check.__name__.split("_", 1)[0].upper()
    return short if short[1:].isdigit() else "L1"
