"""Looks for the hard paths in the evidence: which sometimes-properties this world walked through."""

from __future__ import annotations

from models.tables import Effect
from tests.trust.evidence import Evidence
from tests.trust.tally import TALLY


def look_for(seen: Evidence) -> None:
    """Count every sometimes-property that the evidence shows."""
    for order_id, row in seen.rows.items():
        lines = seen.story(order_id)
        _create(lines)
        _accept(lines)
        _cancel(lines, row.parked_code or "")
        if row.parked_code in ("insert.total_differs", "document.sum_mismatch"):
            TALLY.saw("total_did_not_agree")
    _cancel_first(seen)


def _create(lines: list[Effect]) -> None:
    unknown = missed = False
    for line in lines:
        if line.kind in ("insert", "insert_held") and line.phase == "outcome":
            unknown, missed = line.outcome == "unknown", False
        elif line.kind == "probe" and unknown:
            missed = True
            if line.outcome == "done":
                TALLY.saw("create_timed_out_not_done")
                unknown = False
        elif line.kind == "found" and unknown:
            TALLY.saw("create_timed_out_but_done")
            TALLY.saw("lookup_missed_then_found", int(missed))
            unknown = False


def _accept(lines: list[Effect]) -> None:
    unknown = False
    for line in lines:
        if line.kind == "accept" and line.phase == "outcome":
            unknown = line.outcome == "unknown"
        elif line.kind == "check_accept" and unknown:
            done = line.outcome == "done"
            TALLY.saw("accept_unclear_but_done" if done else "accept_unclear_not_done")
            unknown = False


def _cancel(lines: list[Effect], parked_code: str) -> None:
    kinds = [(line.kind, line.outcome) for line in lines if line.phase == "outcome"]
    inserted = any(kind in ("insert", "insert_held") and outcome == "done" for kind, outcome in kinds)
    if inserted and ("cancel_store", "done") in kinds and not any(kind == "accept" for kind, _ in kinds):
        TALLY.saw("cancel_between_insert_and_accept")
    if parked_code == "cancel.already_shipped":
        TALLY.saw("cancel_refused_as_shipped")
    retried = [line.kind for line in lines]
    if "park" in retried and "decide_retry" in retried and ("accept", "done") in kinds:
        TALLY.saw("parked_then_landed")


def _cancel_first(seen: Evidence) -> None:
    first: dict[str, str] = {}
    for event in sorted(seen.events.values(), key=lambda event: event.id or 0):
        first.setdefault(event.source_order_id, event.event_name)
    if "order.cancelled" in first.values():
        TALLY.saw("cancel_before_order")
