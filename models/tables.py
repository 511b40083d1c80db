"""The ledger's tables. Unique keys are the guard; locks and leases only save work."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import ExactDecimal, UtcDateTime
from models.ids import AccountKey


def _when(*, nullable: bool = True, index: bool = False) -> Column[datetime]:
    return Column(UtcDateTime(), nullable=nullable, index=index)


def _exact() -> Column[Decimal]:
    return Column(ExactDecimal(), nullable=True)


class SourceOrder(SQLModel, table=True):
    """One order of one account: the three axes, the schedule, the lease and the head of its effect chain."""

    __tablename__ = "source_order"
    __table_args__ = (
        UniqueConstraint("provider", "environment", "account", "source_order_id", name="uq_source_order"),
        # Only what is due at all is in it, so that a poll does not walk past a history of settled orders.
        Index(
            "ix_source_order_due",
            "provider",
            "environment",
            "account",
            "priority",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_source_order_open", "settled_at", "parked_at"),
        Index("ix_source_order_source_at", "provider", "environment", "account", "source_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    source_order_id: str = Field(max_length=255)
    reference: str = Field(max_length=400, index=True)

    source_status: str = Field(default="UNSEEN", max_length=16)
    document_status: str | None = Field(default=None, max_length=16)
    landing: str = Field(default="seen", max_length=32, index=True)
    store_state: str | None = Field(default=None, max_length=16)

    source_at: datetime | None = Field(default=None, sa_column=_when())
    priority: int = Field(
        default=0,
        sa_column_kwargs={"server_default": "0"},
        description="0 live, 1 history: taken once no live one is due",
    )
    due_at: datetime | None = Field(default=None, sa_column=_when())
    attempts: int = Field(default=0)
    deadline_at: datetime | None = Field(default=None, sa_column=_when(index=True))
    deadline_applied_at: datetime | None = Field(default=None, sa_column=_when())
    warned_at: datetime | None = Field(default=None, sa_column=_when())
    parked_at: datetime | None = Field(default=None, sa_column=_when())
    parked_code: str | None = Field(default=None, max_length=64)
    parked_reason: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    parked_with: str | None = Field(default=None, max_length=64, description="Hash of the mapping in force back then.")
    refused_since: datetime | None = Field(default=None, sa_column=_when())
    rechecked_at: datetime | None = Field(default=None, sa_column=_when())
    cancel_wanted: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    cancel_by: str | None = Field(default=None, max_length=8, description="policy or person")
    closed_at: datetime | None = Field(default=None, sa_column=_when())
    closed_why: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    unknown_since: datetime | None = Field(default=None, sa_column=_when())
    probes_missed: int = Field(default=0)

    currency: str | None = Field(default=None, max_length=3)
    total: Decimal | None = Field(default=None, sa_column=_exact())
    base_currency: str | None = Field(default=None, max_length=3)
    base_total: Decimal | None = Field(default=None, sa_column=_exact())
    document_id: int | None = Field(default=None)
    store_order_id: str | None = Field(default=None, max_length=255)
    store_order_number: str | None = Field(default=None, max_length=255)

    lease_owner: str | None = Field(default=None, max_length=64, index=True)
    lease_until: datetime | None = Field(default=None, sa_column=_when())
    fence: int = Field(default=0)
    effect_seq: int = Field(default=0)
    effect_hash: str = Field(default="", max_length=64)

    first_seen_at: datetime = Field(sa_column=_when(nullable=False))
    ready_at: datetime | None = Field(default=None, sa_column=_when())
    inserted_at: datetime | None = Field(default=None, sa_column=_when())
    accepted_at: datetime | None = Field(default=None, sa_column=_when())
    settled_at: datetime | None = Field(default=None, sa_column=_when())
    reconciled_at: datetime | None = Field(default=None, sa_column=_when())
    updated_at: datetime = Field(sa_column=_when(nullable=False))

    @property
    def key(self) -> AccountKey:
        """The account that this order belongs to."""
        return AccountKey(self.provider, self.environment, self.account)  # type: ignore[arg-type]


class SourceEvent(SQLModel, table=True):
    """What a provider said happened, as received. Its bucket says what became of it."""

    __tablename__ = "source_event"
    __table_args__ = (
        UniqueConstraint("provider", "environment", "account", "event_id", name="uq_source_event"),
        Index("ix_source_event_order", "order_id"),
        Index("ix_source_event_at", "provider", "environment", "account", "event_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    event_id: str = Field(max_length=255)
    event_name: str = Field(max_length=255)
    source_order_id: str = Field(max_length=255)
    order_id: int | None = Field(default=None, foreign_key="source_order.id")
    entity_id: str = Field(default="", max_length=255)
    event_at: datetime | None = Field(default=None, sa_column=_when())
    recorded_at: datetime = Field(sa_column=_when(nullable=False))
    bucket: str = Field(max_length=16, description="applied, kept (no order status in it) or unreadable")
    via: str = Field(
        default="live",
        max_length=16,
        sa_column_kwargs={"server_default": "live"},
        description="What found it first: live, backfill or reconcile",
    )
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    raw: str = Field(sa_column=Column(Text, nullable=False))


class OrderRecord(SQLModel, table=True):
    """An order document as received and the canonical order made of it; apart from the order row, so that it can go."""

    __tablename__ = "order_document"
    __table_args__ = (UniqueConstraint("order_id", "sha256", name="uq_order_document"),)

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="source_order.id", index=True)
    received_at: datetime = Field(sa_column=_when(nullable=False))
    sha256: str = Field(max_length=64)
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    canonical: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    content_hash: str = Field(default="", max_length=64, description="Of the canonical order without its status.")
    mapping: str | None = Field(default=None, max_length=64, description="Hash of the mapping that was in force.")


class BadAnswer(SQLModel, table=True):
    """An answer that could not be used, kept as received (cut at 64 KiB) with the reason."""

    __tablename__ = "bad_answer"
    __table_args__ = (UniqueConstraint("provider", "environment", "account", "sha256", name="uq_bad_answer"),)

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    what: str = Field(max_length=300)
    code: str = Field(max_length=64)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    received_at: datetime = Field(sa_column=_when(nullable=False))
    sha256: str = Field(max_length=64)
    size: int
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class FeedCursor(SQLModel, table=True):
    """Where one account's feed was read to. Moves in the transaction that records the events, and never back."""

    __tablename__ = "feed_cursor"

    provider: str = Field(primary_key=True, max_length=16)
    environment: str = Field(primary_key=True, max_length=32)
    account: str = Field(primary_key=True, max_length=64)
    cursor: str = Field(max_length=255)
    moved_at: datetime = Field(sa_column=_when(nullable=False))
    fence: int = Field(default=0)
    full_page: int = Field(
        default=0,
        sa_column_kwargs={"server_default": "0"},
        description="Length of the shortest page that another one followed; 0 while none did.",
    )
    end_seen_at: datetime | None = Field(default=None, sa_column=_when())
    tail: str | None = Field(
        default=None,
        sa_column=Column(Text, nullable=True),
        description="The last event ids that live polling passed, oldest first, one a line: where the overlap begins.",
    )


class FeedLease(SQLModel, table=True):
    """Who may read one account's feed just now."""

    __tablename__ = "feed_lease"

    name: str = Field(primary_key=True, max_length=200)
    owner: str | None = Field(default=None, max_length=64)
    until: datetime | None = Field(default=None, sa_column=_when())
    fence: int = Field(default=0)


class Effect(SQLModel, table=True):
    """One line of an order's story: an intent, an outcome or a note. Append-only, hash-chained per order."""

    __tablename__ = "effect"
    __table_args__ = (UniqueConstraint("order_id", "seq", name="uq_effect_seq"), Index("ix_effect_at", "at"))

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="source_order.id")
    seq: int
    phase: str = Field(max_length=8, description="intent, outcome or note")
    kind: str = Field(max_length=32)
    outcome: str | None = Field(default=None, max_length=16)
    detail: str = Field(sa_column=Column(Text, nullable=False))
    amount: Decimal | None = Field(default=None, sa_column=_exact())
    at: datetime = Field(sa_column=_when(nullable=False))
    owner: str = Field(max_length=64)
    fence: int
    prev_hash: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class OpenIntent(SQLModel, table=True):
    """The one effect of an order whose outcome is not recorded yet. The primary key is the guard."""

    __tablename__ = "open_intent"

    order_id: int = Field(primary_key=True, foreign_key="source_order.id", sa_column_kwargs={"autoincrement": False})
    seq: int
    kind: str = Field(max_length=32)
    at: datetime = Field(sa_column=_when(nullable=False))
    owner: str = Field(max_length=64)


class SideHold(SQLModel, table=True):
    """Until when a provider account or a store asked to be left alone; kept for the runs after that one."""

    __tablename__ = "side_hold"

    name: str = Field(primary_key=True, max_length=200)
    until: datetime = Field(sa_column=_when(nullable=False))
    said: str = Field(sa_column=Column(Text, nullable=False))


class Notice(SQLModel, table=True):
    """Something that a person must hear about: written with what it tells of, marked once it was told."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_untold", "told_at", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="source_order.id")
    event: str = Field(max_length=64)
    code: str = Field(max_length=64)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime = Field(sa_column=_when(nullable=False))
    told_at: datetime | None = Field(default=None, sa_column=_when())


class Coverage(SQLModel, table=True):
    """An interval of an account's feed of which every event is in the ledger, and what proved it.

    Live polling has one row that grows. A row ``by`` feed_start is no interval: it is the moment at which the feed
    began when it was read from its beginning, so that nobody waits for days that the provider no longer shows.
    """

    __tablename__ = "coverage"
    __table_args__ = (Index("ix_coverage_span", "provider", "environment", "account", "start_at"),)

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    start_at: datetime = Field(sa_column=_when(nullable=False))
    end_at: datetime = Field(sa_column=_when(nullable=False))
    by: str = Field(max_length=16, description="live, backfill, reconcile or feed_start")
    run_id: int | None = Field(default=None)
    events: int = Field(default=0)
    pages: int = Field(default=0)
    how: str = Field(sa_column=Column(Text, nullable=False))
    proved_at: datetime = Field(sa_column=_when(nullable=False))


class BackfillRun(SQLModel, table=True):
    """One backfill that somebody asked for; the same one asked for again goes on with it until it is finished."""

    __tablename__ = "backfill_run"
    __table_args__ = (Index("ix_backfill_run_open", "provider", "environment", "account", "finished_at"),)

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    start_at: datetime = Field(sa_column=_when(nullable=False))
    end_at: datetime = Field(sa_column=_when(nullable=False))
    mode: str = Field(max_length=16)
    zone: str = Field(max_length=64)
    started_at: datetime = Field(sa_column=_when(nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=_when())
    said: str = Field(default="", sa_column=Column(Text, nullable=False))


class Reading(SQLModel, table=True):
    """What provider and store said of an order when they were last read beside the ledger. No buyer in it."""

    __tablename__ = "reading"
    __table_args__ = (
        UniqueConstraint("provider", "environment", "account", "source_order_id", name="uq_reading"),
        Index("ix_reading_order", "order_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    source_order_id: str = Field(max_length=255)
    order_id: int | None = Field(default=None, description="None while the ledger has no such order.")
    first_event_at: datetime | None = Field(default=None, sa_column=_when())
    read_at: datetime = Field(sa_column=_when(nullable=False))
    agrees: bool
    source_read: bool
    source_found: bool = Field(default=False)
    source_status: str = Field(default="", max_length=64)
    source_currency: str = Field(default="", max_length=16)
    source_total: Decimal | None = Field(default=None, sa_column=_exact())
    source_base_currency: str = Field(default="", max_length=16)
    source_base_total: Decimal | None = Field(default=None, sa_column=_exact())
    source_external_id: str = Field(default="", max_length=255)
    source_external_number: str = Field(default="", max_length=255)
    source_content_hash: str = Field(default="", max_length=64)
    source_problem: str = Field(default="", sa_column=Column(Text, nullable=False))
    store_read: bool
    store_found: bool = Field(default=False)
    store_several: bool = Field(default=False)
    store_order_id: str = Field(default="", max_length=255)
    store_order_number: str = Field(default="", max_length=255)
    store_state: str = Field(default="", max_length=16)
    store_currency: str = Field(default="", max_length=16)
    store_total: Decimal | None = Field(default=None, sa_column=_exact())
    store_problem: str = Field(default="", sa_column=Column(Text, nullable=False))


class FindingRow(SQLModel, table=True):
    """One difference between the sides of an order, open until a later run finds it mended."""

    __tablename__ = "finding"
    __table_args__ = (
        Index(
            "uq_finding_open",
            "provider",
            "environment",
            "account",
            "source_order_id",
            "mismatch",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=16)
    environment: str = Field(max_length=32)
    account: str = Field(max_length=64)
    source_order_id: str = Field(max_length=255)
    mismatch: str = Field(max_length=32)
    explanation: str = Field(sa_column=Column(Text, nullable=False))
    action: str = Field(sa_column=Column(Text, nullable=False))
    found_at: datetime = Field(sa_column=_when(nullable=False))
    seen_at: datetime = Field(sa_column=_when(nullable=False))
    closed_at: datetime | None = Field(default=None, sa_column=_when())
