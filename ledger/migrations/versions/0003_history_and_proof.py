"""history and proof: coverage, backfills, readings, findings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DUE = "due_at IS NOT NULL"
_OPEN = "closed_at IS NULL"


def _when(name: str, *, nullable: bool = True) -> sa.Column[models.columns.UtcDateTime]:
    return sa.Column(name, models.columns.UtcDateTime(length=27), nullable=nullable)


def _account() -> list[sa.Column[str]]:
    return [
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
    ]


def upgrade() -> None:
    """Go to this version."""
    _new_tables()
    with op.batch_alter_table("source_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("via", sa.String(length=16), server_default="live", nullable=False))
        batch_op.create_index("ix_source_event_at", ["provider", "environment", "account", "event_at"], unique=False)
    with op.batch_alter_table("feed_cursor", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tail", sa.Text(), nullable=True))
    with op.batch_alter_table("order_document", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mapping", sa.String(length=64), nullable=True))
    with op.batch_alter_table("source_order", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(_when("source_at"))
        batch_op.add_column(sa.Column("parked_with", sa.String(length=64), nullable=True))
        batch_op.add_column(_when("refused_since"))
        batch_op.add_column(_when("rechecked_at"))
        batch_op.drop_index("ix_source_order_due")
        batch_op.create_index(
            "ix_source_order_due",
            ["provider", "environment", "account", "priority", "due_at"],
            unique=False,
            sqlite_where=sa.text(_DUE),
            postgresql_where=sa.text(_DUE),
        )
        batch_op.create_index(
            "ix_source_order_source_at", ["provider", "environment", "account", "source_at"], unique=False
        )
    # An order's day is the day of the first event that speaks of it; the events of every ledger tell it.
    op.execute(
        "UPDATE source_order SET source_at = "
        "(SELECT min(event_at) FROM source_event WHERE source_event.order_id = source_order.id)"
    )


def _new_tables() -> None:
    op.create_table(
        "coverage",
        sa.Column("id", sa.Integer(), nullable=False),
        *_account(),
        _when("start_at", nullable=False),
        _when("end_at", nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        _when("proved_at", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_coverage_span", "coverage", ["provider", "environment", "account", "start_at"])
    op.create_table(
        "backfill_run",
        sa.Column("id", sa.Integer(), nullable=False),
        *_account(),
        _when("start_at", nullable=False),
        _when("end_at", nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        _when("started_at", nullable=False),
        _when("finished_at"),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_backfill_run_open", "backfill_run", ["provider", "environment", "account", "finished_at"])
    _readings()
    op.create_table(
        "finding",
        sa.Column("id", sa.Integer(), nullable=False),
        *_account(),
        sa.Column("source_order_id", sa.String(length=255), nullable=False),
        sa.Column("mismatch", sa.String(length=32), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        _when("found_at", nullable=False),
        _when("seen_at", nullable=False),
        _when("closed_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_finding_open",
        "finding",
        ["provider", "environment", "account", "source_order_id", "mismatch"],
        unique=True,
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )


def _readings() -> None:
    def words(name: str, length: int) -> sa.Column[str]:
        return sa.Column(name, sa.String(length=length), nullable=False)

    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        *_account(),
        words("source_order_id", 255),
        sa.Column("order_id", sa.Integer(), nullable=True),
        _when("first_event_at"),
        _when("read_at", nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("source_read", sa.Boolean(), nullable=False),
        sa.Column("source_found", sa.Boolean(), nullable=False),
        words("source_status", 64),
        words("source_currency", 16),
        sa.Column("source_total", models.columns.ExactDecimal(), nullable=True),
        words("source_base_currency", 16),
        sa.Column("source_base_total", models.columns.ExactDecimal(), nullable=True),
        words("source_external_id", 255),
        words("source_external_number", 255),
        words("source_content_hash", 64),
        sa.Column("source_problem", sa.Text(), nullable=False),
        sa.Column("store_read", sa.Boolean(), nullable=False),
        sa.Column("store_found", sa.Boolean(), nullable=False),
        sa.Column("store_several", sa.Boolean(), nullable=False),
        words("store_order_id", 255),
        words("store_order_number", 255),
        words("store_state", 16),
        words("store_currency", 16),
        sa.Column("store_total", models.columns.ExactDecimal(), nullable=True),
        sa.Column("store_problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider", "environment", "account", "source_order_id", name="uq_reading"),
    )
    op.create_index("ix_reading_order", "reading", ["order_id"])


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("source_order", schema=None) as batch_op:
        batch_op.drop_index("ix_source_order_source_at")
        batch_op.drop_index("ix_source_order_due")
        batch_op.create_index("ix_source_order_due", ["provider", "environment", "account", "due_at"], unique=False)
        batch_op.drop_column("rechecked_at")
        batch_op.drop_column("refused_since")
        batch_op.drop_column("parked_with")
        batch_op.drop_column("source_at")
        batch_op.drop_column("priority")
    with op.batch_alter_table("order_document", schema=None) as batch_op:
        batch_op.drop_column("mapping")
    with op.batch_alter_table("feed_cursor", schema=None) as batch_op:
        batch_op.drop_column("tail")
    with op.batch_alter_table("source_event", schema=None) as batch_op:
        batch_op.drop_index("ix_source_event_at")
        batch_op.drop_column("via")
    for table in ("finding", "reading", "backfill_run", "coverage"):
        op.drop_table(table)
