"""The rules for triggers in prefect.yaml: a loose one starts runs on every event, its own included, without end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.located_yaml import LocatedMap

KINDS = ("event", "compound", "sequence")
POSTURES = ("Reactive", "Proactive")
_AUTOMATION_KEYS = ("name", "description", "enabled", "parameters", "job_variables", "schedule_after")
_KEYS = {
    "event": ("type", "match", "match_related", "after", "expect", "for_each", "posture", "threshold", "within"),
    "compound": ("type", "triggers", "require", "within"),
    "sequence": ("type", "triggers", "within"),
}
# What these match is every event there is, or every event about any run.
_TOO_WIDE = ("*", "prefect.*", "prefect.flow-run.*", "prefect.task-run.*")
_SHORTEST_PROACTIVE_SECONDS = 10

# Where it is (a key path), which key of the mapping there, and what is wrong.
Mistake = tuple[str, LocatedMap, str, str]


def allowed_keys(kind: str, *, nested: bool) -> tuple[str, ...]:
    """The keys that a trigger of this kind may have; only the outermost one is an automation."""
    return _KEYS[kind] if nested else _KEYS[kind] + _AUTOMATION_KEYS


def kind_of(trigger: LocatedMap) -> str:
    """The kind of a trigger: as written, or as Prefect guesses it."""
    if "type" in trigger:
        return str(trigger["type"])
    if "triggers" in trigger:
        return "compound" if "require" in trigger else "sequence"
    return "event"


def mistakes(where: str, trigger: LocatedMap, *, nested: bool = False) -> Iterator[Mistake]:
    """Everything wrong with one trigger and those inside it, unknown keys aside."""
    kind = kind_of(trigger)
    if kind not in KINDS:
        yield where, trigger, "type", f"{kind!r} is no kind of trigger here; use one of {', '.join(KINDS)}"
    elif kind == "event":
        yield from _event_mistakes(where, trigger)
    else:
        yield from _group_mistakes(where, trigger, kind)
    if not nested and trigger.get("enabled") not in (None, True, False):
        yield where, trigger, "enabled", "is true or false"


def _event_mistakes(where: str, trigger: LocatedMap) -> Iterator[Mistake]:
    for key in ("expect", "match"):
        if not trigger.get(key):
            yield where, trigger, key, f"is missing or empty: without {key} the trigger takes every event, its own too"
    for expected in _texts(trigger.get("expect")):
        if expected in _TOO_WIDE:
            yield where, trigger, "expect", f"{expected!r} takes the events of the run it starts, too; name the event"
    match = trigger.get("match")
    if isinstance(match, dict) and match and all("*" in _texts(value) for value in match.values()):
        yield where, trigger, "match", "'*' alone matches every resource; name the resource, such as crossdock.order.*"
    posture = trigger.get("posture")
    if posture not in (None, *POSTURES):
        yield where, trigger, "posture", f"{posture!r} is unknown; use one of {', '.join(POSTURES)}"
    within = trigger.get("within")
    if posture == "Proactive" and (not isinstance(within, int | float) or within < _SHORTEST_PROACTIVE_SECONDS):
        yield where, trigger, "within", f"a Proactive trigger needs {_SHORTEST_PROACTIVE_SECONDS} seconds or more"


def _group_mistakes(where: str, trigger: LocatedMap, kind: str) -> Iterator[Mistake]:
    if not trigger.get("triggers"):
        yield where, trigger, "triggers", f"is missing or empty: a {kind} trigger is made of others"
    if kind == "compound" and not (trigger.get("require") in ("any", "all") or isinstance(trigger.get("require"), int)):
        yield where, trigger, "require", "is any, all or a number of triggers"
    if trigger.get("within") is None:
        yield where, trigger, "within", "is missing: say within how many seconds the triggers must fire"


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - whatever YAML holds
    return [str(item) for item in value] if isinstance(value, list) else [] if value is None else [str(value)]
