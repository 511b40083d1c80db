"""The embedded store: orders land in SQL tables that an ERP or OMS reads. Real software, not a fake.

One order is one transaction. The unique constraint on our reference is the guard against a second one, in this process
or in any other; everything before COMMIT is certain not to have happened when it fails.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from models.document import OrderDocument
from models.ids import Reference, StoreOrderId, StoreOrderNumber
from models.outcome import Done, NotYet, Outcome, RefusalCode, Refused, Unknown
from models.settings import EmbeddedStore
from models.time import utc_now
from stores.embedded_engine import EmbeddedDatabase
from stores.embedded_errors import DATABASE_ERRORS, outcome_of
from stores.embedded_rows import line_values, order_values, storable, unfit_value
from stores.embedded_tables import LINES, NOTES, ORDERS, SCHEMA_VERSION, SchemaMismatch
from stores.guards import document_json, refuse_unfit
from stores.protocol import StoreOrder, StoreState

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[Outcome[T]]]

_ID = re.compile(r"^[1-9][0-9]{0,17}$")
_SUMMARY = (ORDERS.c.id, ORDERS.c.number, ORDERS.c.reference, ORDERS.c.state, ORDERS.c.currency, ORDERS.c.total)


class EmbeddedStoreAdapter:
    """The ``Store`` protocol on SQL tables. Belongs to one event loop.

    Args:
        settings: database URL, environment and limits. ``limits.timeout`` bounds each call, also while it waits for
            locks, so that it ends before the order's lease does.
        name: the store's name in the configuration, for messages.

    Raises:
        ConfigurationError: the URL is not one of a SQLite file or a PostgreSQL database.
    """

    def __init__(self, settings: EmbeddedStore, *, name: str = "embedded") -> None:
        self._environment = settings.environment
        self._database = EmbeddedDatabase(settings, name)
        self._place = self._database.place
        dialect: Any = sqlite if self._database.is_sqlite else postgresql
        # Built once: with its sixty columns, building it costs as much as running it.
        self._insert: Any = (
            dialect.insert(ORDERS).on_conflict_do_nothing(index_elements=[ORDERS.c.reference]).returning(*_SUMMARY)
        )

    async def find(self, reference: Reference) -> Outcome[StoreOrder | None]:
        """The order that carries ``reference``; never a conflict here, the column is unique."""

        async def work(connection: AsyncConnection) -> Outcome[StoreOrder | None]:
            row = (await connection.execute(select(*_SUMMARY).where(ORDERS.c.reference == reference))).first()
            return Done(_store_order(row) if row is not None and row.reference == reference else None)

        return await self._run(work)

    async def find_many(self, references: Sequence[Reference]) -> dict[Reference, Outcome[StoreOrder | None]]:
        """All of them in one query; a failure concerns each of them."""

        async def work(connection: AsyncConnection) -> Outcome[dict[Reference, StoreOrder]]:
            rows = await connection.execute(select(*_SUMMARY).where(ORDERS.c.reference.in_(references)))
            return Done({row.reference: _store_order(row) for row in rows})

        found = await self._run(work)
        if not isinstance(found, Done):
            # One row that cannot be read must not hide the others.
            alone = isinstance(found, Refused) and len(references) > 1
            return {reference: await self.find(reference) if alone else found for reference in references}
        return {reference: Done(found.value.get(reference)) for reference in references}

    async def create(self, order: OrderDocument, *, hold: bool) -> Outcome[StoreOrder]:
        """Insert the order with its lines in one transaction, ``held`` or ``open``.

        An order that is there already is done when currency and total agree, also a cancelled one: its state tells.
        """
        unfit = refuse_unfit(order, self._environment)
        document = unfit or document_json(order)
        if isinstance(document, Refused):
            return document
        state = StoreState.HELD if hold else StoreState.OPEN
        values = order_values(order, document, state, utc_now())
        lines = [line_values(line, position) for position, line in enumerate(order.lines, 1)]
        unfit = unfit_value(values, lines)
        if unfit is not None:
            return unfit

        async def work(connection: AsyncConnection) -> Outcome[StoreOrder]:
            # Looked up first only because a refused insert would use up a number; the constraint decides.
            there = await self._existing(connection, order)
            if there is not None:
                return there
            row = (await connection.execute(self._insert, values)).first()
            if row is None:
                return await self._existing(connection, order) or NotYet(
                    self._place.say("another writer had the same reference and took it back. It is tried again.")
                )
            await connection.execute(insert(LINES), [{"order_id": row.id, **line} for line in lines])
            return Done(_store_order(row))

        return await self._run(work, writes=True)

    async def release(self, order_id: StoreOrderId) -> Outcome[StoreOrder]:
        """Make a held order open."""

        async def work(connection: AsyncConnection) -> Outcome[StoreOrder]:
            values = {"state": StoreState.OPEN.value, "released_at": utc_now()}
            row = await self._move(connection, order_id, [StoreState.HELD], values)
            if row is not None:
                return Done(_store_order(row))
            there = await self._by_id(connection, order_id)
            if there is None:
                return self._no_such_order(order_id)
            if there.state is StoreState.CANCELLED:
                return Refused(
                    RefusalCode.ORDER_CANCELLED,
                    self._place.say(f"order {there.number} is cancelled and cannot be released. It stays cancelled."),
                )
            return Done(there, already=True)

        return await self._run(work, writes=True)

    async def cancel(self, order_id: StoreOrderId, reason: str) -> Outcome[StoreOrder]:
        """Cancel a held or open order. The reason is kept in ``cancel_reason``."""

        async def work(connection: AsyncConnection) -> Outcome[StoreOrder]:
            values = {
                "state": StoreState.CANCELLED.value,
                "cancelled_at": utc_now(),
                "cancel_reason": storable(reason),
            }
            row = await self._move(connection, order_id, [StoreState.HELD, StoreState.OPEN], values)
            if row is not None:
                return Done(_store_order(row))
            there = await self._by_id(connection, order_id)
            if there is None:
                return self._no_such_order(order_id)
            if there.state is StoreState.CANCELLED:
                return Done(there, already=True)
            return Refused(
                RefusalCode.ALREADY_SHIPPED,
                self._place.say(
                    f"order {there.number} is marked shipped and was not cancelled. Arrange a return with the buyer, "
                    "or set its state back if the mark is wrong."
                ),
            )

        return await self._run(work, writes=True)

    async def note(self, order_id: StoreOrderId, text: str) -> Outcome[None]:
        """Add a row to ``store_order_notes``."""

        async def work(connection: AsyncConnection) -> Outcome[None]:
            there = await self._by_id(connection, order_id)
            if there is None:
                return self._no_such_order(order_id)
            row = {"order_id": int(there.id), "created_at": utc_now(), "note": storable(text)}
            await connection.execute(insert(NOTES), [row])
            return Done(None)

        return await self._run(work, writes=True)

    async def read(self, order_id: StoreOrderId) -> Outcome[StoreOrder | None]:
        """The order as the tables have it now."""

        async def work(connection: AsyncConnection) -> Outcome[StoreOrder | None]:
            return Done(await self._by_id(connection, order_id))

        return await self._run(work)

    async def check(self) -> Outcome[str]:
        """Read the tables (creating them on the first start) and say what was reached."""

        async def work(connection: AsyncConnection) -> Outcome[str]:
            await connection.execute(select(*_SUMMARY).limit(1))
            return Done(
                self._place.say(f"reached, tables of version {SCHEMA_VERSION}, environment {self._environment}.")
            )

        return await self._run(work)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._database.dispose()

    async def _run(self, work: Work[T], *, writes: bool = False) -> Outcome[T]:
        """One transaction; committed when ``work`` changed something, rolled back otherwise."""
        committing = False
        outcome: Outcome[T] | None = None
        try:
            async with self._database.session(writes=writes) as session:
                outcome = await work(await session.connection())
                if writes and isinstance(outcome, Done) and not outcome.already:
                    committing = True
                    await session.commit()
                    committing = False
                return outcome
        except SchemaMismatch as mismatch:
            return Refused(RefusalCode.OTHER, self._place.say(f"{mismatch}. Nothing was written."))
        except DATABASE_ERRORS as error:
            if outcome is not None and not committing:
                # It is decided and, where it had to be, committed; only giving the connection back failed.
                return outcome
            return outcome_of(error, self._place, committing=committing)
        except (ArithmeticError, ValueError) as error:
            return self._unreadable(error, changed=committing)

    async def _existing(self, connection: AsyncConnection, order: OrderDocument) -> Outcome[StoreOrder] | None:
        row = (await connection.execute(select(*_SUMMARY).where(ORDERS.c.reference == order.reference))).first()
        if row is None:
            return None
        there = _store_order(row)
        if (there.currency, there.total) == (order.currency, order.total):
            return Done(there, already=True)
        return Refused(
            RefusalCode.REFERENCE_CONFLICT,
            self._place.say(
                f"order {there.number} already carries reference {order.reference} with {there.total} "
                f"{there.currency}, and this one has {order.total} {order.currency}. Nothing was written. Compare "
                "both with the provider; cancel the wrong one by hand."
            ),
        )

    async def _move(
        self, connection: AsyncConnection, order_id: StoreOrderId, states: list[StoreState], values: dict[str, object]
    ) -> Row[Any] | None:
        """Change the order if it is in one of ``states``, in one statement, so that an ERP's UPDATE cannot slip in."""
        if not _ID.match(order_id):
            return None
        statement = (
            update(ORDERS)
            .where(ORDERS.c.id == int(order_id), ORDERS.c.state.in_([state.value for state in states]))
            .values(values)
            .returning(*_SUMMARY)
        )
        row: Row[Any] | None = (await connection.execute(statement)).first()
        return row

    async def _by_id(self, connection: AsyncConnection, order_id: StoreOrderId) -> StoreOrder | None:
        if not _ID.match(order_id):
            return None
        row = (await connection.execute(select(*_SUMMARY).where(ORDERS.c.id == int(order_id)))).first()
        return None if row is None else _store_order(row)

    def _no_such_order(self, order_id: StoreOrderId) -> Refused:
        shown = order_id if _ID.match(order_id) else "asked for"
        return Refused(
            RefusalCode.NOT_FOUND,
            self._place.say(
                f"there is no order with id {shown}. Nothing was changed. It was deleted there, or the store's url "
                "points to another database."
            ),
        )

    def _unreadable(self, error: ArithmeticError | ValueError, *, changed: bool) -> Outcome[T]:
        """A row that does not hold what its columns promise: somebody edited money, time or state by hand."""
        what = self._place.say(
            f"a row of store_orders cannot be read ({type(error).__name__}): an amount, a time or a state in it was "
            "changed to something that is none. Correct the row as docs/stores/embedded.md says, then retry the order."
        )
        return Unknown(what) if changed else Refused(RefusalCode.BAD_ANSWER, what)


def _store_order(row: Row[Any]) -> StoreOrder:
    return StoreOrder(
        id=StoreOrderId(str(row.id)),
        number=StoreOrderNumber(row.number),
        reference=Reference(row.reference),
        state=StoreState(row.state),
        currency=row.currency,
        total=row.total,
    )
