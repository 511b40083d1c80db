"""Every fault kind at every endpoint of an order's life, for each story that reaches it."""

from __future__ import annotations

import pytest

from tests.trust.cases import begin, ready_cases
from tests.trust.conftest import Worlds


@pytest.mark.asyncio
async def test_smoke(worlds: Worlds) -> None:
    """smoke"""
    world = await worlds.fresh()
    placed = begin(world, ready_cases((1,), every_story=False))
    print(len(placed))
    seen = await world.calm(happen=True)
    for o, c in placed.items():
        r = seen.rows[o]
        if r.parked_at: print(c, r.parked_code, r.parked_reason)
    for r in world.reports: print(r.tally.done, r.problems, r.tally.unfinished)
