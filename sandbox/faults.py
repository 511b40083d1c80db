"""The fault plan: which call is answered wrongly, how, and how often.

Decisions are drawn from a hash of (seed, rule, endpoint, key, number of the call), never from a shared random stream,
so that the same calls meet the same faults however they are interleaved.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase, translate
from operator import itemgetter
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

_GLOB = re.compile(r"[*?\[]")
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

_ONLY = {
    **dict.fromkeys(
        ("unknown_event", "duplicate_events", "late_events", "reordered_events", "links_other_host"), "events"
    ),
    "stale_read": "order",
    "lookup_lag": "store.find",
}
"""Kinds that only one endpoint can show."""

_PARAMS: dict[str, type | tuple[type, ...]] = {
    "seconds": (int, float, Decimal),
    "retry_after": (int, float, Decimal),
    "http_date": bool,
    "size_mb": int,
    "chunked": bool,
    "effect": bool,
    "status": int,
    "content_type": str,
    "calls": int,
    "field": str,
}
"""Every parameter that some kind reads, and what it may be; a kind ignores those of the others."""

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
            FaultError: something unknown (key, kind, endpoint, parameter), a value that cannot be, or a kind at an
                endpoint where nobody could see it.
        """
        if not isinstance(data, Mapping):
            raise FaultError(f"rule {number}: {data!r} is not an object")
        unknown = set(data) - _RULE_KEYS
        if unknown:
            raise FaultError(f"rule {number}: unknown key {sorted(unknown)[0]!r}; known are {sorted(_RULE_KEYS)}")
        try:
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
        except (TypeError, ValueError) as error:
            raise FaultError(f"rule {number}: {error}") from error
        rule._check(number)
        return rule

    def _check(self, number: int) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"rule {number}: unknown kind {self.kind!r}; known are {sorted(KINDS)}")
        if not any(fnmatchcase(endpoint, self.where) for endpoint in ENDPOINTS):
            raise FaultError(f"rule {number}: {self.where!r} names no endpoint; known are {list(ENDPOINTS)}")
        only = _ONLY.get(self.kind)
        if only is not None and not fnmatchcase(only, self.where):
            raise FaultError(f"rule {number}: {self.kind} can only be seen at {only!r}, not at {self.where!r}")
        if not 0 <= self.probability <= 1:
            raise FaultError(f"rule {number}: probability {self.probability} is not between 0 and 1")
        for name, value in self.params.items():
            wanted = _PARAMS.get(name)
            if wanted is None:
                raise FaultError(f"rule {number}: unknown parameter {name!r}; known are {sorted(_PARAMS)}")
            if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):
                raise FaultError(f"rule {number}: parameter {name!r} cannot be {value!r}")

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON that `from_json` reads back."""
        return {
            "where": self.where,
            "kind": self.kind,
            "probability": _exact(self.probability),
            "times": self.times,
            "after": self.after,
            "match": self.match,
            "max_per_key": self.max_per_key,
            "params": {name: _exact(value) for name, value in self.params.items()},
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


class _Rules:
    """Rules of one endpoint, found by the call's key: a plan may hold one rule for each of a thousand orders."""

    def __init__(self) -> None:
        self._any: list[tuple[int, FaultRule]] = []
        self._exact: dict[str, list[tuple[int, FaultRule]]] = {}
        self._globs: list[tuple[int, FaultRule, re.Pattern[str]]] = []

    def add(self, number: int, rule: FaultRule) -> None:
        """Take a rule in."""
        if rule.match is None:
            self._any.append((number, rule))
        elif _GLOB.search(rule.match):
            self._globs.append((number, rule, re.compile(translate(rule.match))))
        else:
            self._exact.setdefault(rule.match, []).append((number, rule))

    def of(self, key: str) -> list[tuple[int, FaultRule]]:
        """The rules whose `match` fits this key, in their order in the plan."""
        exact = self._exact.get(key, ())
        if not exact and not self._globs:
            return self._any
        fitting = [(number, rule) for number, rule, pattern in self._globs if pattern.match(key)]
        return sorted([*self._any, *exact, *fitting], key=itemgetter(0))


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
        self._breaking: dict[str, _Rules] = {}
        self._shaping: dict[tuple[str, str], _Rules] = {}
        for number, rule in enumerate(self.rules):
            for endpoint in ENDPOINTS:
                if not fnmatchcase(endpoint, rule.where):
                    continue
                if rule.kind in BREAKING:
                    self._breaking.setdefault(endpoint, _Rules()).add(number, rule)
                else:
                    self._shaping.setdefault((endpoint, rule.kind), _Rules()).add(number, rule)

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
        given = data.get("rules", [])
        if not isinstance(given, list):
            raise FaultError("rules is not a list")
        rules = [FaultRule.from_json(rule, number) for number, rule in enumerate(given)]
        try:
            return cls(rules, seed=int(data.get("seed", 0)), max_per_key=_whole(data.get("max_per_key")))
        except (TypeError, ValueError) as error:
            raise FaultError(f"seed and max_per_key are whole numbers: {error}") from error

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
        if rules is None:
            return None
        capped = self.max_per_key is not None and endpoint != "events"
        if capped and self._broken[endpoint, key] >= (self.max_per_key or 0):
            return None
        hit = self._first(rules.of(key), endpoint, key)
        if hit is not None:
            self._broken[endpoint, key] += 1
        return hit

    def shaping(
        self, endpoint: str, key: str, kind: str, fits: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> Hit | None:
        """Draw the fault `kind` for this call. Call it only where the fault would be seen, for each draw counts.

        Args:
            endpoint: name of the endpoint.
            key: order id or reference.
            kind: the kind wanted.
            fits: tells from a rule's params whether the rule would be seen in this call; others are not drawn.
        """
        known = self._shaping.get((endpoint, kind))
        if known is None:
            return None
        rules = known.of(key)
        if fits is not None:
            rules = [(number, rule) for number, rule in rules if fits(rule.params)]
        return self._first(rules, endpoint, key)

    def has(self, endpoint: str, kind: str) -> bool:
        """Whether any rule of this shaping kind concerns this endpoint."""
        return (endpoint, kind) in self._shaping

    def shapes(self, endpoint: str) -> bool:
        """Whether any shaping rule concerns this endpoint."""
        return any((endpoint, kind) in self._shaping for kind in SHAPING)

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


def _exact(value: Any) -> Any:
    """A float as the decimal number it was written as, for the encoder takes no floats."""
    return Decimal(str(value)) if isinstance(value, float) else value
