from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from clients.limiter import AccountLimiter, Held, Hold, limiter_for
from models.settings import Limits

if TYPE_CHECKING:
    from tests.clients.conftest import FakeClock


@pytest.mark.asyncio
async def test_calls_are_spaced_by_the_rate(fake_clock: FakeClock) -> None:
    """With a rate of five a second, ten calls begin 0.2 s apart and none earlier."""
    limiter = AccountLimiter(Limits(per_second=5), Hold(), fake_clock.clock())
    begins = []
    for _ in range(10):
        await limiter.enter(30)
        begins.append(fake_clock.at)
        limiter.leave()
    assert [pytest.approx(0.2)] * 9 == [later - earlier for earlier, later in pairwise(begins)]


@pytest.mark.asyncio
async def test_idle_time_earns_no_burst(fake_clock: FakeClock) -> None:
    """Tokens are not saved up: after a pause the calls are spaced as before."""
    limiter = AccountLimiter(Limits(per_second=1), Hold(), fake_clock.clock())
    await limiter.enter(0)
    fake_clock.at += 100
    await limiter.enter(0)
    await limiter.enter(0)
    assert [pytest.approx(1.0)] == fake_clock.sleeps


@pytest.mark.asyncio
async def test_slots_bound_the_calls_at_once(fake_clock: FakeClock) -> None:
    """A call beyond the concurrency waits until another one leaves."""
    limiter = AccountLimiter(Limits(concurrency=2), Hold(), fake_clock.clock())
    await limiter.enter(0)
    await limiter.enter(0)
    third = asyncio.ensure_future(limiter.enter(0))
    await asyncio.sleep(0)
    assert not third.done()
    limiter.leave()
    assert await third == 0.0


@pytest.mark.asyncio
async def test_a_short_hold_is_waited_for_and_a_long_one_is_not(fake_clock: FakeClock) -> None:
    """A hold within the patience is slept through; beyond it the caller is told how long it lasts."""
    limiter = AccountLimiter(Limits(concurrency=1), Hold(), fake_clock.clock())
    limiter.hold(20)
    assert await limiter.enter(30) == 20.0
    limiter.leave()
    limiter.hold(40)
    with pytest.raises(Held) as caught:
        await limiter.enter(30)
    assert caught.value.remaining == 40.0
    fake_clock.at += 41
    assert await limiter.enter(30) == 0.0  # the refused call kept no slot


@pytest.mark.asyncio
async def test_a_shorter_hold_does_not_shorten_a_longer_one(fake_clock: FakeClock) -> None:
    """Of several wishes to be left alone the longest counts."""
    limiter = AccountLimiter(Limits(), Hold(), fake_clock.clock())
    limiter.hold(20)
    limiter.hold(1)
    assert await limiter.enter(30) == 20.0


@pytest.mark.asyncio
async def test_a_hold_set_while_waiting_for_a_token_is_obeyed(fake_clock: FakeClock) -> None:
    """A call that waits for its token when the hold comes does not slip through."""
    limiter = AccountLimiter(Limits(per_second=1), Hold(), fake_clock.clock())
    await limiter.enter(0)
    plain_sleep = fake_clock.sleep

    async def sleep_and_hold(seconds: float) -> None:
        await plain_sleep(seconds)
        if seconds == pytest.approx(1.0) and 10.0 not in fake_clock.sleeps:
            limiter.hold(10)

    fake_clock.sleep = sleep_and_hold  # type: ignore[method-assign]
    limiter._clock = fake_clock.clock()
    assert await limiter.enter(30) == 10.0


@pytest.mark.asyncio
async def test_a_cancelled_wait_gives_its_slot_back(fake_clock: FakeClock) -> None:
    """A call cancelled while it waits leaves the slot free for the next one."""

    async def forever(seconds: float) -> None:
        await asyncio.Event().wait()

    fake_clock.sleep = forever  # type: ignore[method-assign]
    limiter = AccountLimiter(Limits(concurrency=1), Hold(), fake_clock.clock())
    limiter.hold(5)
    waiting = asyncio.ensure_future(limiter.enter(30))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    fake_clock.at += 6
    assert await asyncio.wait_for(limiter.enter(0), 5) == 0.0


def test_the_hold_is_shared_by_all_loops_and_the_slots_are_not(fake_clock: FakeClock) -> None:
    """A Retry-After met in one flow run holds the next one too, although each has its own event loop."""
    clock, limits = fake_clock.clock(), Limits()

    async def first() -> AccountLimiter:
        limiter = limiter_for("http://a", "demo", limits, clock)
        assert limiter is limiter_for("http://a", "demo", limits, clock)
        assert limiter is not limiter_for("http://a", "other", limits, clock)
        limiter.hold(50)
        return limiter

    async def second(earlier: AccountLimiter) -> None:
        limiter = limiter_for("http://a", "demo", limits, clock)
        assert limiter is not earlier
        with pytest.raises(Held):
            await limiter.enter(30)
        assert await limiter_for("http://a", "other", limits, clock).enter(0) == 0.0

    earlier = asyncio.run(first())
    asyncio.run(second(earlier))
