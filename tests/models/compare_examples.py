"""Examples of sides that agree, that will by our own next step, that did not in time, and that were not all read."""

from __future__ import annotations

from decimal import Decimal

from models.lifecycle import Landing as L  # noqa: N817 - it stands on every other line
from models.sides import LedgerSide, SourceSide, StoreSide
from tests.models.sides_of import BASE, NOT_IN_STORE, NOT_THERE, OLD, SEVERAL, ledger, source, store

Sides = tuple[SourceSide | None, LedgerSide | None, StoreSide | None]

AGREEING: dict[str, Sides] = {
    "not paid and nowhere yet": (source("RECEIVED"), ledger(L.FETCHED, "RECEIVED"), NOT_IN_STORE),
    "not paid and nowhere yet, for long": (
        source("RECEIVED"),
        ledger(L.SEEN, "RECEIVED", open_since=OLD),
        NOT_IN_STORE,
    ),
    "not paid and on hold": (source("RECEIVED"), ledger(L.HELD, "RECEIVED"), store("held")),
    "accepted": (source("ACCEPTED"), ledger(L.ACCEPTED, "ACCEPTED", open_since=None), store("open")),
    "completed, of which no event tells": (source("COMPLETED"), ledger(L.ACCEPTED, "ACCEPTED"), store("shipped")),
    "completed, and read from a late copy": (source("ACCEPTED"), ledger(L.ACCEPTED, "COMPLETED"), store("shipped")),
    "in the store's own currency": (
        source("ACCEPTED"),
        ledger(L.ACCEPTED, "ACCEPTED"),
        store("open", currency="GBP", total=BASE),
    ),
    "with more zeros": (
        source("ACCEPTED"),
        ledger(L.ACCEPTED, "ACCEPTED"),
        store("open", total=Decimal("10.0000")),
    ),
    "cancelled everywhere": (source("CANCELLED"), ledger(L.CANCELLED, "CANCELLED"), store("cancelled")),
    "cancelled before it was in the store": (
        source("CANCELLED", problem="no lines"),
        ledger(L.CANCELLED, "CANCELLED", store_order_id=""),
        NOT_IN_STORE,
    ),
    "nowhere at all": (NOT_THERE, None, NOT_IN_STORE),
    "closed by a person": (source("READY"), ledger(L.SEEN, "READY", closed=True, open_since=OLD), NOT_IN_STORE),
    "closed, and gone at the provider": (NOT_THERE, ledger(L.SEEN, "READY", closed=True), NOT_IN_STORE),
    "closed with another total": (
        source("ACCEPTED"),
        ledger(L.INSERTED, "ACCEPTED", closed=True),
        store("open", total=Decimal(1)),
    ),
}
PENDING: dict[str, Sides] = {
    "paid and to be written": (source("READY"), ledger(L.FETCHED, "READY"), NOT_IN_STORE),
    "to be accepted": (source("READY"), ledger(L.INSERTED, "READY"), store("open")),
    "to be released": (source("READY"), ledger(L.HELD, "READY"), store("held")),
    "accepted while we hold it": (source("ACCEPTED"), ledger(L.HELD, "ACCEPTED"), store("held")),
    "its acceptance to be confirmed": (source("COMPLETED"), ledger(L.INSERTED, "ACCEPTED"), store("open")),
    "to be cancelled in the store": (source("CANCELLED"), ledger(L.ACCEPTED, "CANCELLED"), store("open")),
    "to be closed": (source("CANCELLED"), ledger(L.STORE_CANCELLED, "CANCELLED"), store("cancelled")),
    "to be cancelled at the provider": (source("READY"), ledger(L.STORE_CANCELLED, "READY"), store("cancelled")),
    "the same, and the store forgot it": (source("READY"), ledger(L.STORE_CANCELLED, "READY"), NOT_IN_STORE),
    "unpaid, to be put on hold": (source("RECEIVED"), ledger(L.FETCHED, "RECEIVED", due=True), NOT_IN_STORE),
    "its document is late": (source("RECEIVED"), ledger(L.FETCHED, "READY"), NOT_IN_STORE),
    "the document of its cancel is late": (source("READY"), ledger(L.INSERTED, "CANCELLED"), store("cancelled")),
    "an effect is under way": (
        source("READY"),
        ledger(L.INSERTED, "READY", effect_open=True),
        store("open", total=Decimal(1)),
    ),
    "an outcome is unknown": (source("ACCEPTED"), ledger(L.ACCEPT_UNKNOWN, "READY"), NOT_IN_STORE),
}
# Orders that should have moved, and what they come to once they are older than they may be.
STUCK: list[tuple[Sides, list[str], bool]] = [
    ((source("READY"), ledger(L.FETCHED, "READY"), NOT_IN_STORE), ["stuck/wake"], True),
    ((source("READY"), ledger(L.INSERTED, "READY"), store("open")), ["stuck/wake"], True),
    ((source("ACCEPTED"), ledger(L.INSERTED, "ACCEPTED"), store("open")), ["stuck/wake"], True),
    ((source("RECEIVED"), ledger(L.FETCHED, "RECEIVED", due=True), NOT_IN_STORE), ["stuck/wake"], True),
    ((source("CANCELLED"), ledger(L.INSERTED, "CANCELLED"), store("cancelled")), ["stuck/wake"], True),
    ((source("CANCELLED"), ledger(L.FETCHED, "CANCELLED"), store("open")), ["cancelled_at_provider_only/wake"], True),
    ((source("READY"), ledger(L.STORE_CANCELLED, "READY"), NOT_IN_STORE), ["cancelled_in_store_only/wake"], True),
    (
        (source("READY"), ledger(L.STORE_CANCELLED, "ACCEPTED"), store("cancelled")),
        ["cancelled_in_store_only/wake"],
        True,
    ),
    ((source("READY"), ledger(L.INSERTED, "READY", effect_open=True), store("open")), ["stuck/none"], True),
    ((source("READY"), ledger(L.INSERT_UNKNOWN, "READY"), NOT_IN_STORE), ["stuck/none"], True),
    ((source("RECEIVED"), ledger(L.FETCHED, "READY"), NOT_IN_STORE), ["status_differs/fetch"], False),
    (
        (source("RECEIVED"), ledger(L.HELD, "READY"), store("held")),
        ["status_differs/park/fetch.status_went_back"],
        False,
    ),
    (
        (source("RECEIVED"), ledger(L.SEEN, "READY"), store("held")),
        ["status_differs/park/fetch.status_went_back"],
        False,
    ),
    (
        (source("READY"), ledger(L.INSERTED, "ACCEPTED"), store("open")),
        ["status_differs/park/fetch.status_went_back"],
        False,
    ),
    (
        (source("READY"), ledger(L.INSERTED, "CANCELLED"), store("open")),
        ["status_differs/park/cancel.not_at_provider"],
        False,
    ),
]
# What was read, what it comes to by itself, what was not read, and whether it is pending.
UNREAD: list[tuple[Sides, list[str], tuple[str, ...], bool]] = [
    ((None, None, None), [], ("the provider", "the store"), False),
    ((None, None, store("open")), [], ("the provider",), False),
    ((source("READY"), None, None), ["missing_in_ledger/record"], ("the store",), False),
    ((None, ledger(L.ACCEPTED, "ACCEPTED"), store("open")), [], ("the provider",), False),
    ((source("ACCEPTED"), ledger(L.ACCEPTED, "ACCEPTED"), None), [], ("the store",), False),
    ((source("READY"), ledger(L.ACCEPTED, "ACCEPTED"), None), [], ("the store",), False),
    ((source("READY"), ledger(L.INSERTED, "READY", open_since=OLD), None), [], ("the store",), True),
    ((source("READY"), ledger(L.SEEN, "READY", closed=True), None), [], ("the store",), False),
    (
        (None, ledger(L.ACCEPTED, "ACCEPTED"), SEVERAL),
        ["duplicate_in_store/park/store.duplicate"],
        ("the provider",),
        False,
    ),
    (
        (None, ledger(L.ACCEPTED, "ACCEPTED"), store("open", id="S2")),
        ["store_id_differs/park/store.other_order"],
        ("the provider",),
        False,
    ),
    ((None, ledger(L.ACCEPTED, "ACCEPTED"), NOT_IN_STORE), [], ("the provider",), False),
    (
        (NOT_THERE, ledger(L.SEEN, "READY"), None),
        ["missing_at_provider/park/source.order_missing"],
        ("the store",),
        False,
    ),
    (
        (source("PAUSED"), ledger(L.SEEN, "READY"), None),
        ["status_differs/park/fetch.unknown_status"],
        ("the store",),
        False,
    ),
    ((source("CANCELLED", problem="no lines"), ledger(L.CANCELLED, "CANCELLED"), None), [], ("the store",), False),
    ((source("CANCELLED"), ledger(L.INSERTED, "READY"), None), ["status_differs/tell_status"], ("the store",), False),
    (
        (source("READY", problem="no lines"), ledger(L.SEEN, "READY"), None),
        ["document_unusable/park/document.unusable"],
        ("the store",),
        False,
    ),
]
