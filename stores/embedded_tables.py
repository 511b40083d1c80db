"""The embedded store's tables, and how they come into being. docs/stores/embedded.md tells what each column means.

They have a registry of their own: the ledger's Alembic migrations look at ``SQLModel.metadata`` and must not see them,
since the two may lie in different databases.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Computed, Index, String, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from models.columns import ExactDecimal, UtcDateTime
from models.time import utc_now

SCHEMA_VERSION = 1

# One lock key for "somebody is creating the embedded store's tables"; any number nobody else uses does.
_CREATING = 0x63726F7373646F63
_NUMBER = (
    "CASE WHEN id < 1000000 THEN 'CD-' || substr(CAST(1000000 + id AS TEXT), 2) ELSE 'CD-' || CAST(id AS TEXT) END"
)


class SchemaMismatch(Exception):
    """The database holds tables that this version must not write to. The message says what to do."""


class StoreTable(SQLModel, registry=registry()):
    """Base of the embedded store's tables; its metadata is apart from the ledger's."""


class StoreMeta(StoreTable, table=True):
    """One row: which version of these tables it is, and whose orders may land in them."""

    __tablename__ = "store_meta"
    __table_args__ = (CheckConstraint("id = 1", name="ck_store_meta_one_row"),)

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    schema_version: int
    environment: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class StoreOrderRow(StoreTable, table=True):
    """One order. Amounts stand in ``currency``, those named ``base_…`` in ``base_currency``."""

    __tablename__ = "store_orders"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("state IN ('held', 'open', 'shipped', 'cancelled')", name="ck_store_orders_state"),
        Index("ix_store_orders_state", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    # Computed by the database from the id, so that two writers can never give out the same number.
    number: str = Field(sa_column=Column("number", String, Computed(_NUMBER, persisted=True), unique=True))
    reference: str = Field(unique=True)
    environment: str
    provider: str
    account: str
    source_order_id: str
    state: str
    currency: str
    goods: Decimal = Field(sa_type=ExactDecimal)
    shipping: Decimal = Field(sa_type=ExactDecimal)
    shipping_tax: Decimal = Field(sa_type=ExactDecimal)
    duties: Decimal = Field(sa_type=ExactDecimal)
    extra_charges: Decimal = Field(sa_type=ExactDecimal)
    extra_charges_tax: Decimal = Field(sa_type=ExactDecimal)
    discount: Decimal = Field(sa_type=ExactDecimal)
    residual: Decimal = Field(sa_type=ExactDecimal)
    total: Decimal = Field(sa_type=ExactDecimal)
    base_currency: str
    base_goods: Decimal = Field(sa_type=ExactDecimal)
    base_shipping: Decimal = Field(sa_type=ExactDecimal)
    base_shipping_tax: Decimal = Field(sa_type=ExactDecimal)
    base_duties: Decimal = Field(sa_type=ExactDecimal)
    base_extra_charges: Decimal = Field(sa_type=ExactDecimal)
    base_extra_charges_tax: Decimal = Field(sa_type=ExactDecimal)
    base_discount: Decimal = Field(sa_type=ExactDecimal)
    base_residual: Decimal = Field(sa_type=ExactDecimal)
    base_total: Decimal = Field(sa_type=ExactDecimal)
    rate: Decimal = Field(sa_type=ExactDecimal)
    rate_source: str
    prices_include_tax: bool
    tax_scheme: str
    buyer_first_name: str
    buyer_last_name: str
    buyer_email: str
    buyer_phone: str
    ship_to_first_name: str
    ship_to_last_name: str
    ship_to_company: str
    ship_to_address1: str
    ship_to_address2: str
    ship_to_city: str
    ship_to_region: str
    ship_to_postcode: str
    ship_to_country: str
    ship_to_phone: str
    bill_to_first_name: str
    bill_to_last_name: str
    bill_to_company: str
    bill_to_address1: str
    bill_to_address2: str
    bill_to_city: str
    bill_to_region: str
    bill_to_postcode: str
    bill_to_country: str
    bill_to_phone: str
    language: str
    shipping_method: str
    payment_method: str
    transaction_id: str
    customer_note: str
    internal_note: str
    cancel_reason: str = ""
    source_created_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancelled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    document: str


class StoreOrderLineRow(StoreTable, table=True):
    """One ordered line. Discount, tax and duty are for the whole line."""

    __tablename__ = "store_order_lines"

    order_id: int = Field(primary_key=True, foreign_key="store_orders.id")
    position: int = Field(primary_key=True)
    line_id: str
    sku: str = Field(index=True)
    name: str
    quantity: int
    options: str
    tax_rate: Decimal | None = Field(default=None, sa_type=ExactDecimal)
    unit_price: Decimal = Field(sa_type=ExactDecimal)
    discount: Decimal = Field(sa_type=ExactDecimal)
    tax: Decimal = Field(sa_type=ExactDecimal)
    duty: Decimal = Field(sa_type=ExactDecimal)
    total: Decimal = Field(sa_type=ExactDecimal)
    base_unit_price: Decimal = Field(sa_type=ExactDecimal)
    base_discount: Decimal = Field(sa_type=ExactDecimal)
    base_tax: Decimal = Field(sa_type=ExactDecimal)
    base_duty: Decimal = Field(sa_type=ExactDecimal)
    base_total: Decimal = Field(sa_type=ExactDecimal)


class StoreOrderNoteRow(StoreTable, table=True):
    """A note for the merchant's staff."""

    __tablename__ = "store_order_notes"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="store_orders.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    note: str


META = StoreTable.metadata.tables["store_meta"]
ORDERS = StoreTable.metadata.tables["store_orders"]
LINES = StoreTable.metadata.tables["store_order_lines"]
NOTES = StoreTable.metadata.tables["store_order_notes"]


async def prepare_tables(writing: AsyncEngine, reading: AsyncEngine, environment: str) -> None:
    """Create the tables when there are none, and make sure that they may be written to.

    Any number of processes may do it at once. Where the tables exist, nothing is written, so that an account without
    the right to create tables is enough from then on.

    Args:
        writing: transactions on it hold SQLite's write lock from their beginning.
        reading: the same database without it.
        environment: whose orders land here, e.g. ``live``.

    Raises:
        SchemaMismatch: tables of another version, of another environment, or of somebody else.
    """
    async with reading.connect() as connection:
        if await connection.run_sync(_checked, environment):
            return
    async with writing.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATING})
        await connection.run_sync(_create, environment)


def _checked(connection: Connection, environment: str) -> bool:
    """Whether the tables are there and ours. False when there are none at all."""
    inspector = inspect(connection)
    if not inspector.has_table(META.name):
        taken = [table.name for table in (ORDERS, LINES, NOTES) if inspector.has_table(table.name)]
        if taken:
            raise SchemaMismatch(
                f"the database already has a table {taken[0]} that Crossdock did not make (there is no store_meta). "
                "Give the embedded store a database or schema of its own"
            )
        return False
    row = connection.execute(select(META.c.schema_version, META.c.environment)).first()
    if row is None or row.schema_version != SCHEMA_VERSION:
        found = "no version" if row is None else f"version {row.schema_version}"
        raise SchemaMismatch(
            f"its tables have {found} and this Crossdock knows version {SCHEMA_VERSION}. Install the Crossdock that "
            "fits, or restore store_meta from a backup"
        )
    if row.environment != environment:
        raise SchemaMismatch(
            f"its tables hold orders of environment {row.environment!r} and the store is configured for "
            f"{environment!r}. Give each environment its own url"
        )
    return True


def _create(connection: Connection, environment: str) -> None:
    # Another process may have been first while this one waited for the lock.
    if _checked(connection, environment):
        return
    StoreTable.metadata.create_all(connection)
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(META)
        .values(id=1, schema_version=SCHEMA_VERSION, environment=environment, created_at=utc_now())
        .on_conflict_do_nothing()
    )
