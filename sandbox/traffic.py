"""What the callers did: calls, answers, and whether Retry-After was obeyed."""

import time
from collections import Counter
from typing import Any

_KEPT = 1000


class Traffic:
    """Counters of one simulated side."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.retry_after_answers = 0
        self.inside_same_key = 0
        self.inside_any = 0
        self.early_calls: list[dict[str, Any]] = []
        self._waits: dict[tuple[str, str], tuple[float, float]] = {}
        self._wait_any = (0.0, 0.0)

    def arrive(self, endpoint: str, key: str) -> None:
        """Note a call as it comes in."""
        self.calls[endpoint] += 1
        if self._waits:
            self._check_wait(endpoint, key)

    def leave(self, endpoint: str, answer: str) -> None:
        """Note how a call ended: a status, or `reset`, `timeout`, `cut`."""
        self.answers[f"{endpoint}:{answer}"] += 1

    def ask_to_wait(self, endpoint: str, key: str, seconds: float) -> None:
        """Note that this caller was told to stay away for `seconds`."""
        now = time.monotonic()
        self.retry_after_answers += 1
        self._waits[endpoint, key] = (now, now + seconds)
        if now + seconds > self._wait_any[1]:
            self._wait_any = (now, now + seconds)

    def _check_wait(self, endpoint: str, key: str) -> None:
        now = time.monotonic()
        asked, until = self._waits.get((endpoint, key), (0.0, 0.0))
        same = now < until
        if same:
            self.inside_same_key += 1
        if now < self._wait_any[1]:
            self.inside_any += 1
            asked = asked if same else self._wait_any[0]
            if len(self.early_calls) < _KEPT:
                self.early_calls.append(
                    {
                        "endpoint": endpoint,
                        "key": key,
                        "same_key": same,
                        "ms_after_answer": round((now - asked) * 1000),
                    }
                )

    def to_json(self) -> dict[str, Any]:
        """The counters for the books."""
        return {
            "calls": dict(self.calls),
            "answers": dict(self.answers),
            "retry_after": {
                "answers": self.retry_after_answers,
                "calls_inside_same_key": self.inside_same_key,
                "calls_inside_any": self.inside_any,
                "early_calls": list(self.early_calls),
            },
        }
