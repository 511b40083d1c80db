from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from clients.transport import ServerClock
from models.outcome import Done

if TYPE_CHECKING:
    from tests.clients.conftest import Kit


@pytest.mark.asyncio
@pytest.mark.parametrize(("ahead", "words"), [(3600, "3600 s ahead of"), (-90, "90 s behind"), (2, "agrees")])
async def test_a_wrong_clock_is_noticed(kit: Kit, ahead: int, words: str) -> None:
    """The Date of an answer tells by how much and to which side this machine's clock is wrong."""
    theirs = format_datetime(kit.clock.now() - timedelta(seconds=ahead), usegmt=True)
    kit.server.answers(kit.http(200, b'{"events":[]}', {"Date": theirs}))
    async with kit.client() as client:
        outcome = await client.check()
    assert client.server_clock.skew == ahead
    assert client.server_clock.wrong == (abs(ahead) > 5)
    assert isinstance(outcome, Done)
    assert words in outcome.value


@pytest.mark.asyncio
async def test_an_answer_without_a_date_leaves_the_clock_unjudged(kit: Kit) -> None:
    """Without a usable Date nothing is said about the clock."""
    kit.server.answers(kit.http(200, b'{"events":[]}', {"Date": "yesterday"}))
    async with kit.client() as client:
        assert client.server_clock == ServerClock(None)
        await client.check()
        assert client.server_clock.skew is None
        assert not client.server_clock.wrong
