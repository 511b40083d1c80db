"""The ledger's words in plain English: where an order stands, what a step does, what a person could do."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from models.lifecycle import Landing, SourceStatus, Step

LANDINGS = {
    Landing.SEEN: "known by its events only; nothing is in the store",
    Landing.FETCHED: "its document was read; nothing is in the store",
    Landing.INSERT_UNKNOWN: "writing it into the store ended without a clear answer; the store is searched for it",
    Landing.HELD: "in the store, on hold",
    Landing.INSERTED: "in the store, not yet accepted at the provider",
    Landing.ACCEPT_UNKNOWN: "in the store; accepting it ended without a clear answer, so the provider is asked again",
    Landing.ACCEPTED: "in the store and accepted at the provider",
    Landing.STORE_CANCELLED: "cancelled in the store",
    Landing.SOURCE_CANCEL_UNKNOWN: "cancelling it at the provider got no clear answer; the provider is asked again",
    Landing.CANCELLED: "no live store order is left",
}
STATUSES = {
    SourceStatus.UNSEEN: "not told yet",
    SourceStatus.RECEIVED: "received (payment or screening is not finished)",
    SourceStatus.READY: "ready (paid, waiting to be accepted)",
    SourceStatus.ACCEPTED: "accepted",
    SourceStatus.COMPLETED: "completed",
    SourceStatus.CANCELLED: "cancelled",
}
STEPS = {
    Step.FETCH: "read its document at the provider",
    Step.PROBE_INSERT: "search the store for it before anything else is done",
    Step.CHECK_ACCEPT: "read it again at the provider to see whether it was accepted",
    Step.CHECK_SOURCE_CANCEL: "read it again at the provider to see whether it was cancelled",
    Step.ADOPT: "compare with the provider, where it is accepted already",
    Step.INSERT: "write it into the store",
    Step.INSERT_HELD: "write it into the store on hold",
    Step.RELEASE: "take it off hold in the store",
    Step.ACCEPT: "accept it at the provider with the store's number",
    Step.CANCEL_STORE: "cancel it in the store",
    Step.CANCEL_SOURCE: "cancel it at the provider, who refunds the buyer in full",
    Step.CLOSE: "close it as cancelled",
}
_KINDS = {step.value for step in Step}
_NOTES = {
    "park": "waits for a person",
    "probe": "searched the store",
    "found": "found in the store",
    "fetch": "read at the provider",
    "adopt": "compared with the provider",
    "check_accept": "read again at the provider",
    "check_source_cancel": "read again at the provider",
    "close": "closed",
    "auto_cancel": "the policy decided",
    "decide_retry": "decision",
    "decide_cancel": "decision",
    "decide_settle": "decision",
    "reconcile": "compared on all sides",
    "resume": "goes on by itself",
}
_ENDS = {
    "done": "done",
    "refused": "refused",
    "not_yet": "could not be done yet",
    "unknown": "nobody knows whether it happened",
}
# By the code of the parking, or its part before the dot. First what to look at, then the command.
_ADVICE = {
    "insert.unknown_sku": "Create the article in the store under the SKU that the reason names, then retry.",
    "insert.out_of_stock": "Restock the article or allow back orders in the store, then retry; or cancel.",
    "insert.invalid_address": "Correct the store's limit that the reason names, or ask the buyer; then retry.",
    "insert.hold_ignored": "Don't ship it before the provider says READY; then it goes on by itself.",
    "insert.reference_conflict": "Two orders have our reference. Compare both with the provider; retry or cancel.",
    "insert.total_differs": "Correct the store order's total, or the store's rules that changed it, then retry.",
    "insert.store_cancelled": "Somebody cancelled the store order. Reopen it and retry, or cancel it here as well.",
    "insert": "Correct in the store what the reason names, then retry; or cancel.",
    "probe": "The store has several orders with our reference. Leave one of them live; the search goes on by itself.",
    "accept.elsewhere": "Somebody accepted it with another store order. Make sure that one ships, then settle it.",
    "accept.ids_differ": "The provider was told another store order. Find out which one ships; put the other right, "
    "then retry or settle it.",
    "accept": "Compare the order at the provider and in the store, then retry.",
    "cancel.already_shipped": "It shipped before the provider cancelled it. Arrange the return, then settle it.",
    "cancel.too_late": "It is accepted. Cancel it in the provider's console and in the store, then settle it.",
    "cancel.not_confirmed": "Cancel it in the provider's own console, or set cancel_confirmed and retry.",
    "cancel.store_order_live": "The buyer has the money back. Cancel the store order by hand, then settle it.",
    "cancel.not_at_provider": "It is cancelled here and not at the provider. Cancel it there, or settle it as it is.",
    "cancel": "Cancel by hand where the reason says; then retry so that Crossdock sees it, or settle it.",
    "cancel_blocked": "Too many automatic cancels at once: find out why, then decide each order: retry or cancel.",
    "deadline": "It could not be landed in time. Its story above tells why; mend that and retry, or cancel.",
    "document.environment_mismatch": "A test order on a live account. There is nothing to do but to cancel it.",
    "document.sum_mismatch": "The parts are not what was paid. Ask the provider, or correct the mapping; then retry.",
    "document.changed_after_import": "Compare the order at the provider with the store order; put the store "
    "right, then retry: what it is now counts from then on.",
    "document": "Ask the provider about the document, or correct the account's mapping; then retry, or cancel.",
    "fetch.not_found": "The provider does not know the order it told us about. Ask there, then retry.",
    "fetch": "Ask the provider about the order, then retry.",
    "source.order_missing": "The provider does not know it any more. Ask there; settle it when that is right.",
    "store.order_missing": "Its store order is gone. Find out whether it shipped; restore it under our reference, "
    "or settle it.",
    "store.duplicate": "Two live store orders have our reference. Cancel the one that must not ship; then it goes on.",
    "store.other_order": "Another store order than the one we made has our reference. Leave one live, then retry.",
    "bad_id": "No order id looks like this, so nothing was asked. Ask the provider about its event, then settle it.",
    "bug": "An error of Crossdock itself. Report it with the log, then retry.",
}


def advice(code: str) -> str:
    """What a person could do about a parked order."""
    return (
        _ADVICE.get(code)
        or _ADVICE.get(code.partition(".")[0])
        or "Read the reason, mend it, then retry, cancel or settle."
    )


def line_of(phase: str, kind: str, outcome: str | None, detail: str) -> str:
    """One line of an order's story in words."""
    if phase == "intent":
        return f"began to {_step(kind)}{_with_numbers(kind, detail)}"
    if phase == "outcome":
        return f"{_ENDS.get(outcome or '', outcome or 'ended')}: {detail}"
    return f"{_NOTES.get(kind, kind.replace('_', ' '))}: {detail}"


def _step(kind: str) -> str:
    return STEPS[Step(kind)] if kind in _KINDS else kind.replace("_", " ")


def _with_numbers(kind: str, detail: str) -> str:
    """What an intent was about to send: the store's number, our reference or a reason."""
    if kind == Step.ACCEPT.value:
        try:
            numbers = json.loads(detail)
        except ValueError:
            return ""
        return f" (store order {numbers.get('store_order_number')}, id {numbers.get('store_order_id')})"
    if kind in (Step.CANCEL_STORE.value, Step.CANCEL_SOURCE.value):
        return f" ({detail})"
    return f" (our reference {detail})" if kind in (Step.INSERT.value, Step.INSERT_HELD.value) else ""


def moment(value: datetime) -> str:
    """A time for people, in UTC to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def away(value: datetime, now: datetime) -> str:
    """How far a time lies from now, in words."""
    gap = value - now
    return f"in {span(gap)}" if gap > timedelta(0) else f"{span(-gap)} ago"


def span(gap: timedelta) -> str:
    """A length of time in its largest fitting unit."""
    seconds = int(gap.total_seconds())
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}"
    return f"{seconds} seconds"
