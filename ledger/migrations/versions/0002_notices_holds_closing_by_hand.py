"""notices, holds, closing by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "side_hold",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("until", models.columns.UtcDateTime(length=27), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", models.columns.UtcDateTime(length=27), nullable=False),
        sa.Column("told_at", models.columns.UtcDateTime(length=27), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["source_order.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index("ix_notice_untold", ["told_at", "id"], unique=False)

    with op.batch_alter_table("feed_cursor", schema=None) as batch_op:
        batch_op.add_column(sa.Column("full_page", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("end_seen_at", models.columns.UtcDateTime(length=27), nullable=True))

    with op.batch_alter_table("source_order", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cancel_by", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("closed_at", models.columns.UtcDateTime(length=27), nullable=True))
        batch_op.add_column(sa.Column("closed_why", sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    with op.batch_alter_table("source_order", schema=None) as batch_op:
        batch_op.drop_column("closed_why")
        batch_op.drop_column("closed_at")
        batch_op.drop_column("cancel_by")

    with op.batch_alter_table("feed_cursor", schema=None) as batch_op:
        batch_op.drop_column("end_seen_at")
        batch_op.drop_column("full_page")

    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_index("ix_notice_untold")

    op.drop_table("notice")
    op.drop_table("side_hold")
