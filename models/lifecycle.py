"""The life of one order: what the provider says, what we have done, and the one function that says what comes next.

Pure: no clock, no database, no HTTP, no Prefect. Every flow, the command line and the console ask ``next_step``.

    source_status   what the provider says; only ever moves up in rank, so any order of events ends the same
    landing         what we have done about it; moves along ``MOVES``
    store state     the store's own fulfilment, which we only read

The unknown landings are states of their own. While an order is in one of them the only step is to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class SourceStatus(StrEnum):
    """The provider's order status, from Glopal's documentation, plus UNSEEN for orders known by a side event only."""

    UNSEEN = "UNSEEN"
    RECEIVED = "RECEIVED"
    READY = "READY"
    ACCEPTED = "ACCEPTED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


_RANK = {status: rank for rank, status in enumerate(SourceStatus)}


def merge_status(known: SourceStatus, told: SourceStatus) -> SourceStatus:
    """The further of two statuses. Commutative, associative and idempotent, so repeats and late events do no harm."""
    return max(known, told, key=_RANK.__getitem__)


def at_least(status: SourceStatus | None, floor: SourceStatus) -> bool:
    """Whether ``status`` is ``floor`` or further along."""
    return status is not None and _RANK[status] >= _RANK[floor]


class Landing(StrEnum):
    """What the hub has done about an order."""

    SEEN = "seen"
    FETCHED = "fetched"
    INSERT_UNKNOWN = "insert_unknown"
    HELD = "held"
    INSERTED = "inserted"
    ACCEPT_UNKNOWN = "accept_unknown"
    ACCEPTED = "accepted"
    STORE_CANCELLED = "store_cancelled"
    SOURCE_CANCEL_UNKNOWN = "source_cancel_unknown"
    CANCELLED = "cancelled"


SETTLED = frozenset({Landing.ACCEPTED, Landing.CANCELLED})
UNKNOWN = frozenset({Landing.INSERT_UNKNOWN, Landing.ACCEPT_UNKNOWN, Landing.SOURCE_CANCEL_UNKNOWN})
NO_STORE_ORDER = frozenset({Landing.SEEN, Landing.FETCHED})
LIVE_STORE_ORDER = frozenset({Landing.HELD, Landing.INSERTED, Landing.ACCEPT_UNKNOWN, Landing.ACCEPTED})

L = Landing
# Every move that a step may write. ACCEPTED is settled but not final: the provider may still cancel after it.
MOVES: dict[Landing, frozenset[Landing]] = {
    L.SEEN: frozenset({L.FETCHED, L.SOURCE_CANCEL_UNKNOWN, L.CANCELLED, L.HELD, L.INSERTED, L.ACCEPTED}),
    L.FETCHED: frozenset(
        {L.INSERT_UNKNOWN, L.HELD, L.INSERTED, L.STORE_CANCELLED, L.SOURCE_CANCEL_UNKNOWN, L.CANCELLED, L.ACCEPTED}
    ),
    L.INSERT_UNKNOWN: frozenset({L.FETCHED, L.HELD, L.INSERTED, L.STORE_CANCELLED}),
    L.HELD: frozenset({L.INSERTED, L.STORE_CANCELLED}),
    L.INSERTED: frozenset({L.ACCEPT_UNKNOWN, L.ACCEPTED, L.STORE_CANCELLED}),
    L.ACCEPT_UNKNOWN: frozenset({L.INSERTED, L.ACCEPTED}),
    L.ACCEPTED: frozenset({L.STORE_CANCELLED}),
    L.STORE_CANCELLED: frozenset({L.SOURCE_CANCEL_UNKNOWN, L.CANCELLED}),
    L.SOURCE_CANCEL_UNKNOWN: frozenset({L.SEEN, L.FETCHED, L.STORE_CANCELLED, L.CANCELLED}),
    L.CANCELLED: frozenset(),
}
# Moves that only a reconciliation may write, after it read all three sides: a store order that is gone is searched for,
# an acceptance that the provider does not have is sent again, a live store order of a cancelled order is cancelled.
REPAIR_MOVES: dict[Landing, frozenset[Landing]] = {
    L.HELD: frozenset({L.INSERT_UNKNOWN}),
    L.INSERTED: frozenset({L.INSERT_UNKNOWN}),
    L.ACCEPTED: frozenset({L.INSERTED}),
    L.CANCELLED: frozenset({L.INSERTED}),
}


class IllegalMove(AssertionError):
    """A write tried a move that the lifecycle does not allow. A bug of ours; nothing is written."""


def check_move(old: Landing, new: Landing, *, repair: bool = False) -> Landing:
    """``new``, when the table allows it (staying is always allowed); ``repair`` allows a reconciliation's moves, too.

    Raises:
        IllegalMove: it does not.
    """
    allowed = MOVES[old] | (REPAIR_MOVES.get(old, frozenset()) if repair else frozenset())
    if old != new and new not in allowed:
        raise IllegalMove(f"{old.value} -> {new.value}")
    return new


class Step(StrEnum):
    """One thing to do next. The first group only reads; the second changes something outside; CLOSE is ours alone."""

    FETCH = "fetch"
    PROBE_INSERT = "probe_insert"
    CHECK_ACCEPT = "check_accept"
    CHECK_SOURCE_CANCEL = "check_source_cancel"
    ADOPT = "adopt"

    INSERT = "insert"
    INSERT_HELD = "insert_held"
    RELEASE = "release"
    ACCEPT = "accept"
    CANCEL_STORE = "cancel_store"
    CANCEL_SOURCE = "cancel_source"

    CLOSE = "close"


EFFECTS = frozenset({Step.INSERT, Step.INSERT_HELD, Step.RELEASE, Step.ACCEPT, Step.CANCEL_STORE, Step.CANCEL_SOURCE})
ImportOn = Literal["ready", "received"]


@dataclass(frozen=True, slots=True)
class OrderView:
    """All that the next step depends on.

    Attributes:
        source_status: what the provider says.
        landing: what we have done.
        document_status: the status in the last document read, or None when none was.
        parked: whether the order waits for a person.
        cancel_wanted: whether the policy or a person decided to cancel at the source.
        import_on: when the account wants orders in the store.
        closed: whether nothing is to be done about it although it has not landed: a person said so, or it is older than
            the account's start.
    """

    source_status: SourceStatus
    landing: Landing
    document_status: SourceStatus | None = None
    parked: bool = False
    cancel_wanted: bool = False
    import_on: ImportOn = "ready"
    closed: bool = False


_LOOK = {
    Landing.INSERT_UNKNOWN: Step.PROBE_INSERT,
    Landing.ACCEPT_UNKNOWN: Step.CHECK_ACCEPT,
    Landing.SOURCE_CANCEL_UNKNOWN: Step.CHECK_SOURCE_CANCEL,
}


def next_step(order: OrderView) -> Step | None:
    """What to do next about an order, or None when nothing is (settled, parked, or waiting for the provider)."""
    if order.landing in _LOOK:
        # Also when parked: looking harms nothing, and an order parked for its unknown outcome resolves by itself.
        return _LOOK[order.landing]
    if order.parked or order.closed or order.landing is Landing.CANCELLED:
        return None
    if order.source_status is SourceStatus.CANCELLED:
        return _after_source_cancel(order.landing)
    if order.landing is Landing.ACCEPTED:
        return None
    if order.cancel_wanted:
        return _towards_source_cancel(order.landing)
    if order.landing is Landing.STORE_CANCELLED:
        return None
    return _towards_store(order)


def _after_source_cancel(landing: Landing) -> Step:
    """The provider cancelled: no live store order may remain."""
    return Step.CANCEL_STORE if landing in LIVE_STORE_ORDER else Step.CLOSE


def _towards_source_cancel(landing: Landing) -> Step:
    """We cancel: the store order first, so that a source cancel never leaves a live one behind."""
    return Step.CANCEL_STORE if landing in LIVE_STORE_ORDER else Step.CANCEL_SOURCE


def _towards_store(order: OrderView) -> Step | None:
    status, landing = order.source_status, order.landing
    if at_least(status, SourceStatus.ACCEPTED):
        return _accepted_there(order)
    if status is SourceStatus.READY:
        # A document read before READY may have changed since, so it is read again before it counts.
        if not at_least(order.document_status, SourceStatus.READY):
            return Step.FETCH
        if landing is Landing.INSERTED:
            return Step.ACCEPT
        return Step.RELEASE if landing is Landing.HELD else Step.INSERT if landing is Landing.FETCHED else Step.FETCH
    if status is SourceStatus.RECEIVED and order.import_on == "received":
        if landing is Landing.FETCHED and order.document_status is None:
            return Step.FETCH
        return {Landing.SEEN: Step.FETCH, Landing.FETCHED: Step.INSERT_HELD}.get(landing)
    return None


def _accepted_there(order: OrderView) -> Step:
    """The provider says accepted, and our ledger does not: find out whose store order it is."""
    if order.landing is Landing.HELD:
        return Step.RELEASE
    if order.landing is Landing.INSERTED:
        return Step.CHECK_ACCEPT
    if order.landing is Landing.FETCHED and at_least(order.document_status, SourceStatus.ACCEPTED):
        return Step.ADOPT
    return Step.FETCH


def no_store_order_possible(landing: Landing) -> bool:
    """Whether the ledger rules out a store order. A source cancel still asks the store itself first."""
    return landing in NO_STORE_ORDER or landing is Landing.STORE_CANCELLED
