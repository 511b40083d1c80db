"""Until when a provider or a store asked to be left alone.

A Retry-After that is too long to be waited for inside a run concerns the runs after it, too, and each of these is a new
process: so it is kept here.
"""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import select

from ledger.engine import Ledger
from models.tables import SideHold


async def hold(ledger: Ledger, name: str, seconds: float, said: str) -> None:
    """Keep that ``name`` is to be left alone for so many seconds; a longer hold that is known already stays."""
    until = ledger.clock() + timedelta(seconds=seconds)
    async with ledger.write() as session:
        row = (await session.exec(select(SideHold).where(SideHold.name == name).with_for_update())).one_or_none()
        if row is None:
            await session.execute(ledger.insert_ignoring(SideHold, [{"name": name, "until": until, "said": said}]))
        elif until > row.until:
            row.until, row.said = until, said


async def held(ledger: Ledger, name: str) -> str | None:
    """Why ``name`` is to be left alone now, or None."""
    async with ledger.read() as session:
        row = (await session.exec(select(SideHold).where(SideHold.name == name))).one_or_none()
        if row is None or row.until <= ledger.clock():
            return None
        return f"asked to be left alone until {row.until:%Y-%m-%d %H:%M:%S} UTC ({row.said})"
