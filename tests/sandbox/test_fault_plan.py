"""The fault plan itself: which rules are taken, and which calls they hit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.faults import KINDS, FaultError, FaultPlan
from sandbox.jsontext import dumps
from sandbox.presets import PRESETS
from tests.sandbox.kit import Box


def hits(plan: FaultPlan, endpoint: str, keys: list[str]) -> Iterator[str | None]:
    """What the calls with these keys meet, one after the other."""
    for key in keys:
        hit = plan.breaking(endpoint, key)
        yield None if hit is None else hit.kind


def a_plan(*rules: dict[str, Any], **more: Any) -> FaultPlan:
    """A plan of rules."""
    return FaultPlan.from_json({"rules": list(rules), **more})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "nonsense"}, "unknown kind 'nonsense'"),
        ({"kind": "slow", "were": "order"}, "unknown key 'were'"),
        ({"kind": "slow", "where": "orders"}, "names no endpoint"),
        ({"kind": "slow", "probability": 1.5}, "not between 0 and 1"),
        ({"kind": "slow", "probability": "often"}, "could not convert"),
        ({"kind": "slow", "times": "x"}, "invalid literal"),
        ({"kind": "slow", "params": {"second": 1}}, "unknown parameter 'second'"),
        ({"kind": "slow", "params": {"seconds": "1"}}, "'seconds' cannot be '1'"),
        ({"kind": "huge", "params": {"chunked": 1}}, "'chunked' cannot be 1"),
        ({"kind": "huge", "params": {"size_mb": True}}, "'size_mb' cannot be True"),
        ({"kind": "late_events", "where": "order"}, "can only be seen at 'events'"),
        ({"kind": "stale_read", "where": "events"}, "can only be seen at 'order'"),
        ({"kind": "lookup_lag", "where": "store.create"}, "can only be seen at 'store.find'"),
        ("slow", "is not an object"),
    ],
)
def test_rules_that_cannot_be_used(rule: Any, words: str) -> None:
    """A rule that could never do what it says is refused, by its number and its mistake."""
    with pytest.raises(FaultError, match=words) as caught:
        FaultPlan.from_json([{"kind": "slow"}, rule])
    assert "rule 1" in str(caught.value)


@pytest.mark.parametrize("plan", [{"rule": []}, {"rules": {}}, {"rules": [], "seed": "x"}, 7, None])
def test_plans_that_cannot_be_used(plan: Any) -> None:
    """A plan of the wrong shape is refused."""
    with pytest.raises(FaultError):
        FaultPlan.from_json(plan)


def test_refused_over_the_wire(box: Box) -> None:
    """The control plane answers 422 with the mistake, and the plan in force stays."""
    box.fault("order", "slow")
    url = f"{box.running.glopal_url}/_sandbox/faults"
    answer = box.http.put(url, json=[{"kind": "nonsense"}])
    assert (answer.status_code, "nonsense" in answer.json()["detail"]) == (422, True)
    assert box.http.put(url, content=b"{").status_code == 400
    assert box.http.get(url).json()["plan"]["rules"][0]["kind"] == "slow"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_plans(name: str) -> None:
    """A preset is written as JSON and read back as the same plan."""
    written = dumps(PRESETS[name](3).to_json())
    assert dumps(FaultPlan.from_json(json.loads(written)).to_json()) == written


def test_demo_preset_heals() -> None:
    """The demo's plan never spoils an order's calls at one endpoint more than twice."""
    plan = PRESETS["demo"](3)
    assert sum(hit is not None for hit in hits(plan, "store.create", ["one"] * 1000)) == 2


def test_same_seed_same_faults() -> None:
    """The same seed and calls meet the same faults, however the orders' calls are interleaved."""
    rule = {"kind": "500_after", "probability": 0.5}
    keys = [f"order-{number}" for number in range(40)]
    by_order = {key: list(hits(a_plan(rule, seed=5), "accept", [key] * 6)) for key in keys}
    mixed = a_plan(rule, seed=5)
    rounds = [dict(zip(keys, hits(mixed, "accept", keys), strict=True)) for _ in range(6)]
    assert {key: [one[key] for one in rounds] for key in keys} == by_order
    other = a_plan(rule, seed=6)
    assert {key: list(hits(other, "accept", [key] * 6)) for key in keys} != by_order
    share = sum(kind is not None for kinds in by_order.values() for kind in kinds) / 240
    assert 0.35 < share < 0.65


def test_times_after_and_max_per_key() -> None:
    """`after` lets calls pass, `times` ends a rule, `max_per_key` spares an order that had enough."""
    rule = {"kind": "429_bare", "after": 2, "times": 3}
    assert list(hits(a_plan(rule), "order", ["a"] * 7)) == [None] * 2 + ["429_bare"] * 3 + [None] * 2
    capped = a_plan({"kind": "429_bare", "max_per_key": 1})
    assert list(hits(capped, "order", ["a", "a", "b", "b"])) == ["429_bare", None, "429_bare", None]
    whole = a_plan({"kind": "429_bare"}, {"kind": "html"}, max_per_key=2)
    assert list(hits(whole, "order", ["a"] * 4)) == ["429_bare", "429_bare", None, None]
    assert list(hits(whole, "events", ["acme"] * 4)) == ["429_bare"] * 4


def test_match_and_where() -> None:
    """A rule hits the endpoints and keys that its globs name; of several the first in the plan wins."""
    plan = a_plan(
        {"kind": "html", "where": "store.*", "match": "*-9"},
        {"kind": "429_bare", "where": "store.create", "match": "r-9"},
        {"kind": "502_after", "where": "store.create", "match": "r-[1-3]"},
    )
    assert list(hits(plan, "store.create", ["r-9", "r-1", "r-4"])) == ["html", "502_after", None]
    assert list(hits(plan, "store.find", ["r-9", "r-1"])) == ["html", None]
    assert list(hits(plan, "order", ["r-9"])) == [None]


def test_injected_is_counted(box: Box) -> None:
    """The books say how often each fault was injected at each endpoint."""
    box.running.generate(1)
    box.fault("events", "html", times=2)
    for _ in range(3):
        box.events()
    assert box.running.books()["injected"] == {"events:html": 2}


def test_every_kind_is_known_over_the_wire(box: Box) -> None:
    """Every kind can be switched on for both sides at once with a glob."""
    box.running.faults([{"kind": kind, "probability": 0} for kind in sorted(KINDS)])
    assert box.events().status_code == 200
    assert box.find().status_code == 200


@pytest.mark.parametrize("path", ["document?order_id=1-2", "document?order_id=1-2&store_id=acme", "feed?store_id=x"])
def test_control_plane_says_what_is_not_there(box: Box, path: str) -> None:
    """The control plane answers 404 for what does not exist."""
    assert box.http.get(f"{box.running.glopal_url}/_sandbox/{path}").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("generate", {"mix": "nonsense"}, 422),
        ("generate", {"count": "x"}, 422),
        ("generate", {"store_id": "x"}, 404),
        ("advance", {"order_id": "1-2", "status": "READY"}, 404),
        ("advance", {}, 422),
        ("change", {"order_id": "1-2"}, 404),
        ("settings", {"nonsense": True}, 422),
        ("events", [], 400),
    ],
)
def test_control_plane_refuses(box: Box, path: str, body: Any, status: int) -> None:
    """The control plane says what is wrong instead of failing."""
    assert box.http.post(f"{box.running.glopal_url}/_sandbox/{path}", json=body).status_code == status


def test_helper_raises(box: Box) -> None:
    """The helper for tests raises when the control plane refuses."""
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        box.running.faults([{"kind": "nonsense"}])
