"""How hard one account is called by this process: concurrency, rate, and the other side's own wish to be left alone.

One limiter per address, account and event loop (flow runs have their own loops, and asyncio's locks belong to one).
The hold set by a ``Retry-After`` is shared by all loops of the process, because the other side knows one account only.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from models.settings import Limits
from models.time import utc_now


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, in one place so that tests can own them.

    Attributes:
        monotonic: seconds that never go back; for waiting.
        now: aware UTC; for HTTP dates.
        sleep: waits that many seconds.
        chance: a random number in [0, 1); for jitter.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class Held(Exception):
    """The account is held for longer than the caller is willing to wait. The transport makes "not yet" of it.

    Attributes:
        remaining: seconds until it may be called again.
    """

    def __init__(self, remaining: float) -> None:
        super().__init__(f"held for {remaining:.0f} s")
        self.remaining = remaining


@dataclass(slots=True)
class Hold:
    """Until when an account is to be left alone, in monotonic seconds. One object per account and process."""

    until: float = float("-inf")


class AccountLimiter:
    """Slots, spacing and hold of one account on one event loop."""

    def __init__(self, limits: Limits, hold: Hold, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(limits.concurrency)
        # One token at a time: evenly spaced calls never make the burst that gets a merchant's host blocked.
        self._spacing = 0.0 if limits.per_second is None else 1.0 / limits.per_second
        self._next_token = float("-inf")
        self._hold = hold
        self._clock = clock

    def hold(self, seconds: float) -> None:
        """Let no call of this account begin for ``seconds``. A longer hold that is already set stays."""
        self._hold.until = max(self._hold.until, self._clock.monotonic() + seconds)

    async def enter(self, patience: float) -> float:
        """Wait for a slot, for the hold to end and for a token. Call ``leave`` afterwards.

        Args:
            patience: seconds that may be spent on holds. Waiting for a slot or a token is not counted.

        Returns:
            Seconds spent on holds.

        Raises:
            Held: a hold lasts longer than ``patience``; no slot was kept.
        """
        self._check(patience)  # before the queue: nobody stands in line only to be sent away
        await self._slots.acquire()
        try:
            return await self._wait(patience)
        except BaseException:
            self._slots.release()
            raise

    def leave(self) -> None:
        """Give the slot back."""
        self._slots.release()

    def _check(self, patience: float) -> float:
        remaining = self._hold.until - self._clock.monotonic()
        if remaining > max(patience, 0.0):
            raise Held(remaining)
        return remaining

    async def _wait(self, patience: float) -> float:
        spent = 0.0
        while True:
            remaining = self._check(patience - spent)
            if remaining > 0:
                spent += remaining
                await self._clock.sleep(remaining)
                continue
            gap = self._take_token()
            if gap <= 0:
                return spent
            await self._clock.sleep(gap)
            if self._hold.until <= self._clock.monotonic():
                return spent

    def _take_token(self) -> float:
        if not self._spacing:
            return 0.0
        now = self._clock.monotonic()
        mine = max(now, self._next_token)
        self._next_token = mine + self._spacing
        return mine - now


_Key = tuple[str, str]
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, AccountLimiter]] = WeakKeyDictionary()
_holds: dict[_Key, Hold] = {}


def limiter_for(base_url: str, account: str, limits: Limits, clock: Clock) -> AccountLimiter:
    """The limiter of an account on the running loop. The first caller's limits and clock hold for all later ones."""
    key = (base_url, account)
    of_loop = _limiters.setdefault(asyncio.get_running_loop(), {})
    limiter = of_loop.get(key)
    if limiter is None:
        limiter = of_loop[key] = AccountLimiter(limits, _holds.setdefault(key, Hold()), clock)
    return limiter


def forget_limiters() -> None:
    """Drop every limiter and hold of this process. For tests: their clocks do not agree with each other."""
    _limiters.clear()
    _holds.clear()
