"""One order as its three sides have it: the provider, the ledger and the store, each as it was read.

Reconciliation compares them (``models/compare.py``), and the certificate adds them up (``reports``). No buyer in any of
it. Amounts are exact decimals in the currency beside them; times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from models.lifecycle import Landing, SourceStatus


@dataclass(frozen=True, slots=True)
class SourceSide:
    """What the provider says of an order now.

    Attributes:
        found: False when the provider clearly says that it has no such order; the rest is then empty.
        status: its status in the provider's own word; one that we do not know is kept as it came.
        currency: of ``total``, as the document has it; empty when it names none.
        total: what the buyer paid, rounded to the currency's smallest unit; None when the document states none.
        base_currency: the merchant's currency; empty when the document could not be mapped.
        base_total: the total in the merchant's currency; None when the document could not be mapped.
        external_id: the store order's id that the provider was told; empty before acceptance.
        external_number: the store order's number that the provider was told.
        content_hash: of the mapped order without its status; empty when it could not be mapped.
        problem: why the document cannot be used, in plain words; empty when it can.
    """

    found: bool
    status: str = ""
    currency: str = ""
    total: Decimal | None = None
    base_currency: str = ""
    base_total: Decimal | None = None
    external_id: str = ""
    external_number: str = ""
    content_hash: str = ""
    problem: str = ""

    @property
    def known_status(self) -> SourceStatus | None:
        """The status, or None for a word that we do not know."""
        try:
            return SourceStatus(self.status)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class LedgerSide:
    """What the ledger has of an order.

    Attributes:
        bucket: where reports count it: parked, landed, cancelled, under way, … (``ledger.policy.bucket_of``).
        landing: what we have done.
        source_status: what the ledger believes the provider says.
        currency: of ``total``; empty while no document was mapped.
        content_hash: of the document that was mapped last; empty while none was.
        open_since: since when it is neither settled nor parked; None when it is.
        parked_code: why it waits for a person; empty when it does not.
        parked_reason: the same in plain words.
        closed: whether a person or the account's ``start_at`` closed it without landing.
        effect_open: whether an effect of it is under way or its end is unknown: nothing may be concluded yet.
        due: whether a step of ours comes next although the provider only says RECEIVED, as for an account that imports
            unpaid orders on hold. The other steps follow from status and landing.
    """

    bucket: str
    landing: Landing
    source_status: SourceStatus
    currency: str = ""
    total: Decimal | None = None
    base_currency: str = ""
    base_total: Decimal | None = None
    store_order_id: str = ""
    store_order_number: str = ""
    content_hash: str = ""
    open_since: datetime | None = None
    parked_code: str = ""
    parked_reason: str = ""
    closed: bool = False
    effect_open: bool = False
    due: bool = False


@dataclass(frozen=True, slots=True)
class StoreSide:
    """What the store says of our reference now.

    Attributes:
        found: False when the store clearly says that no order carries our reference.
        several: more than one live order carries it; the rest then describes none of them.
        state: held, open, shipped or cancelled.
        problem: what the store said when several were found.
    """

    found: bool
    several: bool = False
    id: str = ""
    number: str = ""
    state: str = ""
    currency: str = ""
    total: Decimal | None = None
    problem: str = ""

    @property
    def live(self) -> bool:
        """Whether there is a store order that ships or shipped."""
        return self.several or (self.found and self.state != "cancelled")


@dataclass(frozen=True, slots=True)
class OrderSides:
    """The three sides of one order. A side that could not be read is None, and nothing is concluded from it.

    Attributes:
        order: the provider's order id.
        source: the provider's side.
        ledger: ours; None when the ledger has no such order.
        store: the store's side.
    """

    order: str
    source: SourceSide | None
    ledger: LedgerSide | None
    store: StoreSide | None


class Repair(StrEnum):
    """What reconciliation does about a finding when it may repair. Only what is safe whatever else is true."""

    NONE = "none"
    """Only told; it is under way, or there is nothing that a machine should do."""
    RECORD = "record"
    """Write the provider's events into the ledger; the order then takes its usual way."""
    TELL_STATUS = "tell_status"
    """Let the ledger learn the status that the provider says; the lifecycle does the rest, as cancel in the store."""
    FETCH = "fetch"
    """Read the order's document again; nothing of it is in the store yet."""
    ACCEPT_AGAIN = "accept_again"
    """Accept it at the provider again with the same store order: repeating it is harmless."""
    LOOK_AGAIN = "look_again"
    """The store order may be gone: search the store several times, and only then create it again."""
    CANCEL_STORE = "cancel_store"
    """Cancel the live store order of an order that the provider cancelled."""
    WAKE = "wake"
    """Make it due now; its next step is known and was not done in time."""
    PARK = "park"
    """A person decides."""


class Mismatch(StrEnum):
    """The classes of findings."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_AT_PROVIDER = "missing_at_provider"
    MISSING_IN_STORE = "missing_in_store"
    DUPLICATE_IN_STORE = "duplicate_in_store"
    ACCEPTED_NOT_INSERTED = "accepted_not_inserted"
    INSERTED_NOT_ACCEPTED = "inserted_not_accepted"
    CANCELLED_AT_PROVIDER_ONLY = "cancelled_at_provider_only"
    CANCELLED_IN_STORE_ONLY = "cancelled_in_store_only"
    LIVE_TOO_EARLY = "live_too_early"
    STATUS_DIFFERS = "status_differs"
    STORE_ID_DIFFERS = "store_id_differs"
    STORE_NUMBER_DIFFERS = "store_number_differs"
    CURRENCY_DIFFERS = "currency_differs"
    TOTAL_DIFFERS = "total_differs"
    DOCUMENT_CHANGED = "document_changed"
    DOCUMENT_UNUSABLE = "document_unusable"
    STUCK = "stuck"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the sides of one order.

    Attributes:
        mismatch: its class.
        explanation: one or two plain sentences: what each side says, and what it means. No buyer, no secret.
        repair: what to do when repairing is allowed.
        park_code: the ledger's code of the parking when ``repair`` is PARK, e.g. ``store.order_missing``.
    """

    mismatch: Mismatch
    explanation: str
    repair: Repair
    park_code: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the comparison of one order's sides came to.

    Attributes:
        agrees: all three sides were read and say the same; nothing is left to do.
        findings: every difference, the gravest first.
        pending: it is on its usual way (or parked), so that the sides may differ for now.
        unread: which sides could not be read, in words; nothing that needs one of them is concluded.
    """

    agrees: bool
    findings: tuple[Finding, ...] = field(default=())
    pending: bool = False
    unread: tuple[str, ...] = field(default=())
