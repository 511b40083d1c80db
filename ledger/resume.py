"""Parked orders that move on by themselves: the mapping was edited, or the store may have the article by now.

Only what was certainly refused is tried again, and of many orders that wait for the same thing only one: when it lands,
the others follow in the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from ledger.engine import Ledger
from ledger.hot import ORDERS, Row, fetch_rows, load_rows, rows_where, save_effects, save_rows
from ledger.rows import account_filter, effect_line, reschedule, unpark
from ledger.steps import RECHECKED, Rules
from models.ids import AccountKey

MOST_KINDS = 20
LONGEST_WAIT = timedelta(hours=1)
# An order is tried again after a tenth of the time that it has waited already.
SHARE = 10
# Parkings that the mapping may have caused.
_UNREADABLE = "document."
_NOT_BY_MAPPING = "document.changed_after_import"


@dataclass(slots=True)
class Kind:
    """Orders that wait for the same thing, e.g. for the same SKU; the first of them is tried."""

    code: str
    reason: str
    first: int
    others: list[int] = field(default_factory=list)


async def resume_unreadable(ledger: Ledger, key: AccountKey, rules: Rules) -> int:
    """Put orders back in line whose document could not be read with another mapping than the one in force now."""
    now = ledger.clock()
    async with ledger.write() as session:
        query = rows_where(
            *account_filter(key),
            ORDERS.c.parked_at.is_not(None),
            ORDERS.c.parked_code.startswith(_UNREADABLE, autoescape=True),
            ORDERS.c.parked_code != _NOT_BY_MAPPING,
            or_(ORDERS.c.parked_with.is_(None), ORDERS.c.parked_with != rules.mapping),
        )
        rows = await fetch_rows(session, query.order_by(ORDERS.c.id).with_for_update(skip_locked=True))
        lines = []
        for row in rows:
            text = f"the account's mapping was edited since it was parked ({row.parked_code}); it is read again"
            lines.append(effect_line(row, phase="note", kind="resume", detail=text, now=now, owner=ledger.owner))
            unpark(row)
            row.deadline_applied_at, row.attempts = None, 0
            reschedule(row, rules.import_on, now)
        await save_effects(session, lines)
        await save_rows(session, rows)
    return len(rows)


async def resume_refused(ledger: Ledger, key: AccountKey, rules: Rules, first_wait: float) -> list[Kind]:
    """Put one order of each kind of refusal back in line whose time has come; the kinds that were.

    Args:
        ledger: where.
        key: whose orders.
        rules: the account's scheduling rules.
        first_wait: seconds after which a fresh refusal is tried for the first time; 0 for never.
    """
    if not first_wait:
        return []
    now = ledger.clock()
    kinds = [kind for kind, due in await _kinds(ledger, key, timedelta(seconds=first_wait)) if due <= now]
    chosen = kinds[:MOST_KINDS]
    if chosen:
        await _again(ledger, rules, [kind.first for kind in chosen], now)
    return chosen


async def follow(ledger: Ledger, rules: Rules, kinds: Sequence[Kind]) -> int:
    """Put the others back in line where the one that was tried is not refused for the same reason any more."""
    async with ledger.read() as session:
        tried = await load_rows(session, [kind.first for kind in kinds], lock=False)
    ids: list[int] = []
    for kind in kinds:
        row = tried.get(kind.first)
        # Still under way is no proof yet: the next poll tries the next one.
        if row is not None and row.parked_at is None and row.store_order_id is not None:
            ids += kind.others
    if ids:
        await _again(ledger, rules, ids, ledger.clock())
    return len(ids)


async def _kinds(ledger: Ledger, key: AccountKey, first_wait: timedelta) -> list[tuple[Kind, datetime]]:
    """What parked orders wait for, and when the first of each kind is to be tried again; the earliest first."""
    names = ("id", "source_order_id", "parked_code", "parked_reason", "parked_at", "refused_since")
    query = (
        select(*(ORDERS.c[name] for name in names))
        .where(*account_filter(key), ORDERS.c.parked_at.is_not(None), ORDERS.c.parked_code.in_(RECHECKED))
        .order_by(ORDERS.c.refused_since, ORDERS.c.id)
    )
    found: dict[tuple[str, str], tuple[Kind, datetime]] = {}
    async with ledger.read() as session:
        for row_id, name, code, reason, parked_at, since in await session.execute(query):
            # The reason without the order's own name is what it has in common with the others.
            said = (code or "", (reason or "").replace(name, ""))
            if said in found:
                found[said][0].others.append(row_id)
                continue
            waited = parked_at - (since or parked_at)
            # An account that wants longer waits than our longest gets them.
            wait = max(first_wait, min(waited / SHARE, LONGEST_WAIT))
            found[said] = Kind(code or "", reason or "", row_id), parked_at + wait
    return sorted(found.values(), key=lambda entry: entry[1])


async def _again(ledger: Ledger, rules: Rules, ids: Sequence[int], now: datetime) -> None:
    """Put parked orders back in line; why they were parked stays known, so that a second refusal is no news."""
    async with ledger.write() as session:
        rows = await load_rows(session, ids)
        again: list[Row] = [row for row in rows.values() if row.parked_at is not None and row.parked_code in RECHECKED]
        for row in again:
            row.parked_at, row.rechecked_at, row.attempts = None, now, 0
            # Its deadline may have passed while it waited; whatever this try comes to, the policy looks at it again.
            row.deadline_applied_at = None
            reschedule(row, rules.import_on, now)
        await save_rows(session, again)
