"""Fault plans with a name."""

from typing import Any

from sandbox.faults import FaultPlan, FaultRule

HOLD_SECONDS = 1.2
"""Seconds for which a simulated time-out holds a call; callers in demos wait less."""

_EVERYWHERE: list[tuple[str, str, float, dict[str, Any]]] = [
    ("*", "slow", 0.02, {"seconds": 0.15}),
    ("*", "unknown_fields", 0.05, {}),
    ("*", "429", 0.01, {"retry_after": 1}),
    ("*", "429_bare", 0.01, {}),
    ("events", "500_before", 0.05, {}),
    ("events", "broken_json", 0.05, {}),
    ("events", "html", 0.03, {}),
    ("events", "cut_body", 0.03, {}),
    ("events", "links_other_host", 0.3, {}),
    ("events", "unknown_event", 0.2, {}),
    ("events", "duplicate_events", 0.3, {}),
    ("events", "reordered_events", 0.3, {}),
    ("order", "503_before", 0.02, {}),
    ("order", "reset_before", 0.02, {}),
    ("order", "broken_json", 0.01, {}),
    ("order", "html", 0.01, {}),
    ("order", "stale_read", 0.05, {}),
]
_WRITES: list[tuple[str, float, dict[str, Any]]] = [
    ("500_before", 0.02, {}),
    ("500_after", 0.03, {}),
    ("502_after", 0.01, {}),
    ("timeout_before", 0.02, {"seconds": HOLD_SECONDS}),
    ("timeout_after", 0.03, {"seconds": HOLD_SECONDS}),
    ("reset_before", 0.02, {}),
    ("reset_after", 0.02, {}),
    ("cut_body", 0.01, {}),
    ("broken_json", 0.01, {}),
]


def demo_plan(seed: int) -> FaultPlan:
    """Everything that heals by itself, at moderate rates: each order can be landed in the end."""
    rules = [
        FaultRule(where, kind, probability, params=params, times=40 if where == "events" else None)
        for where, kind, probability, params in _EVERYWHERE
    ]
    for where in ("accept", "cancel", "store.create", "store.cancel", "store.release"):
        rules += [FaultRule(where, kind, probability, params=params) for kind, probability, params in _WRITES]
    rules.append(FaultRule("store.find", "lookup_lag", 0.3, params={"calls": 1}))
    rules.append(FaultRule("store.find", "503_before", 0.05))
    return FaultPlan(rules, seed=seed, max_per_key=2)


def none_plan(seed: int) -> FaultPlan:
    """No faults."""
    return FaultPlan((), seed=seed)


PRESETS = {"demo": demo_plan, "none": none_plan}
