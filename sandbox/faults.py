"""The fault plan: which call is answered wrongly, how, and how often.

Decisions are drawn from a hash of (seed, rule, endpoint, key, number of the call), never from a shared random stream,
so that the same calls meet the same faults however they are interleaved.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, Self

GLOPAL_ENDPOINTS = ("events", "order", "accept", "cancel", "refund")
STORE_ENDPOINTS = (
    "store.find",
    "store.create",
    "store.read",
    "store.release",
    "store.cancel",
    "store.note",
    "store.ping",
)
ENDPOINTS = GLOPAL_ENDPOINTS + STORE_ENDPOINTS

_STATUS_KIND = re.compile(r"^(500|502|503|504)_(before|after)$")

BREAKING = frozenset(
    [
        "429",
        "429_bare",
        *(f"{status}_{when}" for status in (500, 502, 503, 504) for when in ("before", "after")),
        "timeout_before",
        "timeout_after",
        "reset_before",
        "reset_after",
        "cut_body",
        "broken_json",
        "html",
        "huge",
        "wrong_content_type",
    ]
)
"""Kinds that spoil the whole answer; a call meets at most one of them."""

SHAPING = frozenset(
    [
        "slow",
        "unknown_fields",
        "missing_field",
        "unknown_event",
        "duplicate_events",
        "late_events",
        "reordered_events",
        "links_other_host",
        "stale_read",
        "lookup_lag",
    ]
)
"""Kinds that change a good answer; a call can meet several."""

KINDS = BREAKING | SHAPING

_RULE_KEYS = frozenset(["where", "kind", "probability", "times", "after", "match", "max_per_key", "params"])


class FaultError(ValueError):
    """A fault rule that cannot be used; the text names the rule and the mistake."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule of a fault plan.

    Attributes:
        where: endpoint name, or a glob such as `*` or `store.*`.
        kind: one of `KINDS`.
        probability: chance of each matching call, 0 to 1.
        times: hits in all before the rule is spent; None means no limit.
        after: number of matching calls that pass untouched first.
        match: glob on the call's key: the order id at Glopal (the store id for `events`), our reference at the store.
        max_per_key: hits for each (endpoint, key); None means no limit.
        params: what the kind needs, for example `seconds` or `retry_after`.
    """

    where: str
    kind: str
    probability: float = 1.0
    times: int | None = None
    after: int = 0
    match: str | None = None
    max_per_key: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], number: int = 0) -> Self:
        """Read one rule.

        Raises:
            FaultError: an unknown key, kind or endpoint, or a probability outside 0 to 1.
        """
        unknown = set(data) - _RULE_KEYS
        if unknown:
            raise FaultError(f"rule {number}: unknown key {sorted(unknown)[0]!r}; known are {sorted(_RULE_KEYS)}")
        rule = cls(
            where=str(data.get("where", "*")),
            kind=str(data.get("kind", "")),
            probability=float(data.get("probability", 1.0)),
            times=_whole(data.get("times")),
            after=_whole(data.get("after")) or 0,
            match=None if data.get("match") is None else str(data["match"]),
            max_per_key=_whole(data.get("max_per_key")),
            params=dict(data.get("params") or {}),
        )
        if rule.kind not in KINDS:
            raise FaultError(f"rule {number}: unknown kind {rule.kind!r}; known are {sorted(KINDS)}")
        if not any(fnmatchcase(endpoint, rule.where) for endpoint in ENDPOINTS):
            raise FaultError(f"rule {number}: {rule.where!r} names no endpoint; known are {list(ENDPOINTS)}")
        if not 0 <= rule.probability <= 1:
            raise FaultError(f"rule {number}: probability {rule.probability} is not between 0 and 1")
        return rule

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON that `from_json` reads back."""
        return {
            "where": self.where,
            "kind": self.kind,
            "probability": Decimal(str(self.probability)),
            "times": self.times,
            "after": self.after,
            "match": self.match,
            "max_per_key": self.max_per_key,
            "params": dict(self.params),
        }


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that applies to the call at hand."""

    kind: str
    params: Mapping[str, Any]

    def number(self, name: str, default: float) -> float:
        """The parameter `name` as a number."""
        return float(self.params.get(name, default))

    def text(self, name: str, default: str) -> str:
        """The parameter `name` as text."""
        return str(self.params.get(name, default))

    def flag(self, name: str, default: bool) -> bool:
        """The parameter `name` as a switch."""
        return bool(self.params.get(name, default))

    @property
    def status_and_effect(self) -> tuple[int, bool] | None:
        """For `500_after` and its like: the status, and whether the effect is done first."""
        found = _STATUS_KIND.match(self.kind)
        return None if found is None else (int(found[1]), found[2] == "after")


class FaultPlan:
    """A seeded list of rules and the memory of what they have done.

    Args:
        rules: the rules; the first breaking one that hits a call wins.
        seed: same seed and same calls give the same faults.
        max_per_key: breaking hits for each (endpoint, key) over all rules together, so that no order is hit for ever;
            `events` is exempt, because all its calls share one key.
    """

    def __init__(self, rules: Iterable[FaultRule] = (), seed: int = 0, max_per_key: int | None = None) -> None:
        self.rules = tuple(rules)
        self.seed = seed
        self.max_per_key = max_per_key
        self.injected: Counter[str] = Counter()
        self._hits: Counter[int] = Counter()
        self._passed: Counter[int] = Counter()
        self._seen: Counter[tuple[int, str, str]] = Counter()
        self._key_hits: Counter[tuple[int, str, str]] = Counter()
        self._broken: Counter[tuple[str, str]] = Counter()
        self._breaking = self._by_endpoint(BREAKING)
        self._shaping = {
            (endpoint, kind): found
            for kind in SHAPING
            for endpoint, found in self._by_endpoint(frozenset([kind])).items()
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read a plan: `{"seed": 7, "max_per_key": 2, "rules": [...]}`, or the bare list of rules.

        Raises:
            FaultError: the plan or one of its rules cannot be used.
        """
        if isinstance(data, list):
            data = {"rules": data}
        if not isinstance(data, dict) or set(data) - {"seed", "max_per_key", "rules"}:
            raise FaultError("a fault plan is a list of rules, or an object with seed, max_per_key and rules")
        rules = [FaultRule.from_json(rule, number) for number, rule in enumerate(data.get("rules", []))]
        return cls(rules, seed=int(data.get("seed", 0)), max_per_key=_whole(data.get("max_per_key")))

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON that `from_json` reads back."""
        return {
            "seed": self.seed,
            "max_per_key": self.max_per_key,
            "rules": [rule.to_json() for rule in self.rules],
        }

    def breaking(self, endpoint: str, key: str) -> Hit | None:
        """Draw the fault that spoils this call's answer, if any."""
        rules = self._breaking.get(endpoint)
        if not rules:
            return None
        capped = self.max_per_key is not None and endpoint != "events"
        if capped and self._broken[endpoint, key] >= (self.max_per_key or 0):
            return None
        hit = self._first(rules, endpoint, key)
        if hit is not None:
            self._broken[endpoint, key] += 1
        return hit

    def shaping(self, endpoint: str, key: str, kind: str) -> Hit | None:
        """Draw the fault `kind` for this call. Call it only where the fault would be seen, for each draw counts."""
        rules = self._shaping.get((endpoint, kind))
        return self._first(rules, endpoint, key) if rules else None

    def shapes(self, endpoint: str) -> bool:
        """Whether any shaping rule concerns this endpoint."""
        return any((endpoint, kind) in self._shaping for kind in SHAPING)

    def _by_endpoint(self, kinds: frozenset[str]) -> dict[str, list[tuple[int, FaultRule]]]:
        found: dict[str, list[tuple[int, FaultRule]]] = {}
        for number, rule in enumerate(self.rules):
            for endpoint in ENDPOINTS:
                if rule.kind in kinds and fnmatchcase(endpoint, rule.where):
                    found.setdefault(endpoint, []).append((number, rule))
        return found

    def _first(self, rules: list[tuple[int, FaultRule]], endpoint: str, key: str) -> Hit | None:
        for number, rule in rules:
            if self._applies(number, rule, endpoint, key):
                self._hits[number] += 1
                self._key_hits[number, endpoint, key] += 1
                self.injected[f"{endpoint}:{rule.kind}"] += 1
                return Hit(rule.kind, rule.params)
        return None

    def _applies(self, number: int, rule: FaultRule, endpoint: str, key: str) -> bool:
        if rule.times is not None and self._hits[number] >= rule.times:
            return False
        if rule.match is not None and not fnmatchcase(key, rule.match):
            return False
        if rule.max_per_key is not None and self._key_hits[number, endpoint, key] >= rule.max_per_key:
            return False
        if rule.after:
            self._passed[number] += 1
            if self._passed[number] <= rule.after:
                return False
        if rule.probability >= 1:
            return True
        call = self._seen[number, endpoint, key]
        self._seen[number, endpoint, key] = call + 1
        return _uniform(self.seed, number, endpoint, key, call) < rule.probability


def _uniform(*parts: object) -> float:
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
