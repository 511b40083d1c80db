"""The rows that an order leaves behind in the ledger and in the embedded store once it is landed, written in bulk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert

from ledger.hot import EFFECTS, ORDERS, Row
from ledger.rows import effect_line
from models.document import OrderDocument
from models.glopal import parse_order
from models.glopal_order import map_order
from models.ids import AccountKey
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.settings import GlopalAccount
from models.tables import OrderRecord
from stores.embedded_rows import line_values, order_values
from stores.embedded_tables import LINES
from stores.embedded_tables import ORDERS as STORE_ORDERS
from stores.protocol import StoreState
from tasks.fetch import content_of
from tasks.runtime import mapping_hash

DOCUMENTS: Table = OrderRecord.__table__  # type: ignore[attr-defined]
AT_ONCE = 2000
_BLANK: dict[str, Any] = {
    **dict.fromkeys(field.name for field in fields(Row)),
    **dict.fromkeys(("priority", "attempts", "probes_missed", "fence", "effect_seq"), 0),
    "effect_hash": "",
}
_OWNER = "benchmark"


@dataclass(frozen=True, slots=True)
class Past:
    """One order as the provider has it, and the number that it has everywhere else.

    Attributes:
        number: id of its rows; the store's number is made of it.
        order_id: the provider's id.
        first_at: its first event's time.
        ready_at: the time of the event that said it was paid.
        raw: its document as it was read at the time; None to leave document, store order and story out.
    """

    number: int
    order_id: str
    first_at: datetime
    ready_at: datetime
    raw: bytes | None


def store_number(number: int) -> str:
    """The number that the embedded store makes of an id."""
    return f"CD-{number:06d}"


def bulk_engine(url: str) -> Engine:
    """A plain connection to a database of ours, for writing without a wait for the disk."""
    engine = create_engine(url.replace("+aiosqlite", ""))

    @event.listens_for(engine, "connect")
    def _quick(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001 - a DB-API connection
        connection.execute("PRAGMA synchronous=OFF")

    return engine


class Landed:
    """Makes and writes the rows.

    Args:
        ledger: connection to the ledger, whose tables are there.
        store: connection to the embedded store, whose tables are there.
        account: the account, for its mapping.
    """

    def __init__(self, ledger: Connection, store: Connection, account: GlopalAccount) -> None:
        self._ledger, self._store = ledger, store
        self._account, self._key, self._mapping = account, account.key_of, mapping_hash(account)

    def write(self, orders: Sequence[Past]) -> None:
        """Write some orders with all that belongs to them."""
        rows: list[Row] = []
        documents: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        store: list[dict[str, Any]] = []
        store_lines: list[dict[str, Any]] = []
        for order in orders:
            row = order_row(self._key, order)
            rows.append(row)
            if order.raw is None:
                continue
            mapped = self._mapped(order, order.raw)
            documents.append(document_row(order, order.raw, mapped, self._mapping))
            _note_document(row, mapped)
            lines += story_of(row)
            text = mapped.to_json()
            when = order.ready_at + timedelta(seconds=20)
            store.append({"id": order.number, **order_values(mapped, text, StoreState.OPEN, when)})
            store_lines += [
                {"order_id": order.number, **line_values(line, place)} for place, line in enumerate(mapped.lines, 1)
            ]
        names = _BLANK.keys()
        _write(self._ledger, ORDERS, [{name: getattr(row, name) for name in names} for row in rows])
        _write(self._ledger, DOCUMENTS, documents)
        _write(self._ledger, EFFECTS, lines)
        _write(self._store, STORE_ORDERS, store)
        _write(self._store, LINES, store_lines)

    def _mapped(self, order: Past, raw: bytes) -> OrderDocument:
        head = parse_order(raw, order.order_id)
        return map_order(head, self._account.mapping, self._key, self._account.base_currency)


def write_events(ledger: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Write events, however many."""
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == 5 * AT_ONCE:
            _write(ledger, table, part)
            part = []
    _write(ledger, table, part)


def _write(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), list(rows))


def order_row(key: AccountKey, order: Past) -> Row:
    """The ledger's row of an order that was accepted a minute after it was paid."""
    recorded, done = order.ready_at + timedelta(seconds=10), order.ready_at + timedelta(seconds=60)
    return Row(
        **_BLANK
        | {
            "id": order.number,
            "provider": key.provider,
            "environment": key.environment,
            "account": key.account,
            "source_order_id": order.order_id,
            "reference": key.reference(order.order_id),
            "source_status": SourceStatus.ACCEPTED.value,
            "document_status": SourceStatus.READY.value,
            "landing": Landing.ACCEPTED.value,
            "store_state": StoreState.OPEN.value,
            "source_at": order.first_at,
            "store_order_id": str(order.number),
            "store_order_number": store_number(order.number),
            "fence": 1,
            "first_seen_at": recorded,
            "ready_at": recorded,
            "deadline_at": recorded + timedelta(hours=72),
            "inserted_at": order.ready_at + timedelta(seconds=20),
            "accepted_at": done,
            "settled_at": done,
            "updated_at": done,
        }
    )


def document_row(order: Past, raw: bytes, mapped: OrderDocument, mapping: str) -> dict[str, Any]:
    """The kept document."""
    return {
        "id": order.number,
        "order_id": order.number,
        "received_at": order.ready_at + timedelta(seconds=15),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "raw": raw,
        "canonical": mapped.to_json(),
        "content_hash": content_of(mapped),
        "mapping": mapping,
    }


def _note_document(row: Row, mapped: OrderDocument) -> None:
    row.document_id = row.id
    row.currency, row.total = mapped.currency, mapped.total
    row.base_currency, row.base_total = mapped.base_currency, mapped.base.total


def story_of(row: Row) -> list[dict[str, Any]]:
    """The four lines of an order that met no trouble, chained."""
    assert row.inserted_at is not None and row.accepted_at is not None  # noqa: S101, PT018 - set above
    number = row.store_order_number
    accepted = json.dumps({"store_order_id": row.store_order_id, "store_order_number": number})
    steps = [
        ("intent", Step.INSERT, row.reference, row.inserted_at, None),
        ("outcome", Step.INSERT, f"created: store order {number}", row.inserted_at, OutcomeKind.DONE),
        ("intent", Step.ACCEPT, accepted, row.accepted_at, None),
        ("outcome", Step.ACCEPT, f"accepted as store order {number}", row.accepted_at, OutcomeKind.DONE),
    ]
    return [
        effect_line(row, phase=phase, kind=kind.value, detail=detail, now=at, owner=_OWNER, outcome=outcome)
        for phase, kind, detail, at, outcome in steps
    ]
