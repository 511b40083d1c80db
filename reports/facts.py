"""What a certificate is made of: one line for each order, and what is known of each interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.ranges import Span
from models.sides import LedgerSide, SourceSide, StoreSide


@dataclass(frozen=True, slots=True)
class OrderFact:
    """One order, as its three sides had it when they were read last. No buyer in it.

    Attributes:
        order: the provider's order id.
        first_event_at: when the provider first spoke of it; its day in the certificate is the day of this moment.
        source: None when the provider was never asked about it by a reconciliation.
        ledger: None when the ledger has no such order.
        store: None when the store was never asked.
        read_at: when provider and store were read; None when they never were.
        ready_at: when the provider said that it is paid (the event's own time).
        accepted_at: when its acceptance at the provider was confirmed to us.
    """

    order: str
    first_event_at: datetime
    source: SourceSide | None
    ledger: LedgerSide | None
    store: StoreSide | None
    read_at: datetime | None
    ready_at: datetime | None
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proven:
    """An interval that is proven complete: every event of the provider's in it is in the ledger.

    Attributes:
        span: from when to when.
        by: what proved it: live, backfill or reconcile.
        proved_at: when.
        how: one plain sentence, e.g. which events stand before and after it.
    """

    span: Span
    by: str
    proved_at: datetime
    how: str


@dataclass(frozen=True, slots=True)
class FindingFact:
    """A finding as the ledger keeps it.

    Attributes:
        order: the provider's order id.
        mismatch: its class, e.g. total_differs.
        explanation: in plain words.
        since: when it was first found.
        closed_at: when a later run found it mended; None while it is open.
        action: what is done about it, in plain words, e.g. "parked: store.order_missing" or "accepted again".
    """

    order: str
    mismatch: str
    explanation: str
    since: datetime
    closed_at: datetime | None
    action: str
