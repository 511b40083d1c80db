"""When to try again across runs. Pure: the caller brings the random number."""

from __future__ import annotations

from datetime import datetime, timedelta


def backoff(attempts: int, first: float, longest: float, jitter: float) -> float:
    """Seconds to wait before the next run's try.

    Args:
        attempts: failed tries so far, 0 for the first.
        first: the first wait, in seconds.
        longest: the cap, in seconds.
        jitter: a random number in [0, 1); spreads waits over half to the whole of the step, so that orders that failed
            together don't all come back together.
    """
    step = min(longest, first * 2.0 ** min(attempts, 30))
    return step * (0.5 + jitter / 2)


def next_probe(delays: list[float], missed: int, since: datetime, now: datetime) -> float | None:
    """Seconds until the store is searched again for an order whose create is unknown; None when it is proven absent.

    Args:
        delays: seconds after the intent at which to search, ascending.
        missed: how many searches found nothing.
        since: when the intent was written.
        now: the time now.

    A search that is late (the process was down) keeps its distance to the next: a record can appear late, and several
    searches in one second prove no more than one.
    """
    if missed >= len(delays):
        return None
    planned = (since + timedelta(seconds=delays[missed]) - now).total_seconds()
    gap = delays[missed] - delays[missed - 1] if missed else 0.0
    return max(planned, min(gap, delays[0]), 0.0)
