"""A strict linter for prefect.yaml, which Prefect itself reads loosely.

Prefect ignores an unknown key with exit code 0: a mistyped ``concurency_limit`` is no limit, and a mistyped ``expects``
makes a trigger that fires on every event. So every key is checked here, and every mistake is told at once.
Used by ``crossdock lint`` and, in ``make check``, as ``python -m cli.lint_prefect prefect.yaml``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from cli import lint_triggers
from cli.deployments import DECLARATION, schedule_of
from cli.lint_entrypoint import EntrypointError, FlowSignature, did_you_mean, signature_of
from cli.located_yaml import LocatedMap, load

TOP_KEYS = ("name", "prefect-version", "build", "push", "pull", "definitions", "deployments")
DEPLOYMENT_KEYS = (
    *("name", "version", "version_type", "tags", "description", "flow_name", "paused", "entrypoint", "parameters"),
    *("enforce_parameter_schema", "schedules", "concurrency_limit", "work_pool", "triggers", "build", "push", "pull"),
)
RULES = ("cron", "interval", "rrule")
SCHEDULE_KEYS = (*RULES, "day_or", "anchor_date", "timezone", "active", "slug", "parameters", "replaces")
LIMIT_KEYS = ("limit", "collision_strategy", "grace_period_seconds")
POOL_KEYS = ("name", "work_queue_name", "job_variables")
STRATEGIES = ("ENQUEUE", "CANCEL_NEW")
_GRACE_SECONDS = range(60, 86401)
_SECRET = re.compile(r"(?i)(^|[_-])(secret|password|passwd|token|api_?key|credentials?|guid)($|[_-])")
_SLUG = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


def lint(path: Path | str = DECLARATION) -> list[str]:
    """Every mistake in a prefect.yaml, each as ``file:line: key: what is wrong and what to do``; empty when right.

    Args:
        path: The file; entrypoints are looked up beside it.
    """
    path = Path(path)
    try:
        document = load(path)
    except OSError as error:
        return [f"{path}: cannot be read ({error.strerror}); run this in Crossdock's folder, where {DECLARATION} lies"]
    except yaml.YAMLError as error:
        return [f"{path}: is no valid YAML: {' '.join(str(error).split())}"]
    if not isinstance(document, LocatedMap):
        return [f"{path}: holds no keys; it needs deployments: and a list below it"]
    linter = _Linter(path)
    linter.document(document)
    return linter.found


class _Linter:
    """Collects what is wrong; one method for each level of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.absolute().parent
        self.found: list[str] = []

    def say(self, where: str, parent: LocatedMap, key: str, what: str) -> None:
        """Note one mistake, with the line of the key, or of what it is missing from."""
        place = ".".join(part for part in (where, key) if part)
        message = f"{self.path}:{parent.line_of(key)}: {place}: {what}"
        if message not in self.found:  # an anchored part is read once for each use
            self.found.append(message)

    def keys(self, where: str, found: LocatedMap, known: Collection[str]) -> None:
        """Unknown keys, and keys written twice, of which YAML keeps the last in silence."""
        for key in found:
            if key not in known:
                self.say(where, found, key, f"is unknown and Prefect would ignore it{did_you_mean(key, known)}")
        for key in found.twice:
            self.say(where, found, key, "stands here twice; YAML takes the last one in silence")

    def document(self, document: LocatedMap) -> None:
        """The whole file."""
        self.keys("", document, TOP_KEYS)
        self.steps("", document)
        entries = document.get("deployments")
        if not isinstance(entries, list) or not entries:
            self.say("", document, "deployments", "is missing or empty: there is nothing to deploy")
            return
        names: dict[str, int] = {}
        for number, entry in enumerate(entries):
            where = f"deployments[{number}]"
            if not isinstance(entry, LocatedMap):
                self.say(where, document, "", "is no mapping; a deployment has name:, entrypoint: and so on")
                continue
            name = str(entry.get("name") or "")
            if name:
                where = f"deployments[{name}]"
                if names.setdefault(name, number) != number:
                    self.say(where, entry, "name", "is taken by an earlier deployment, which this one would replace")
            self.deployment(where, entry, document)

    def deployment(self, where: str, entry: LocatedMap, document: LocatedMap) -> None:
        """One deployment."""
        self.keys(where, entry, DEPLOYMENT_KEYS)
        self.steps(where, entry)
        for key, why in {
            "name": "name it: Prefect skips an unnamed deployment",
            "description": "say what a run of it does, for the person who sees it in the UI",
            "tags": "give at least one, such as the provider's name",
            "entrypoint": "write flows/file.py:function",
            "concurrency_limit": "two runs at once would do the same work; use limit 1 and CANCEL_NEW",
        }.items():
            if not entry.get(key):
                self.say(where, entry, key, f"is missing or empty; {why}")
        if not isinstance(entry.get("tags") or [], list):
            self.say(where, entry, "tags", "is a list")
        if "pull" not in entry and "pull" not in document:
            self.say(where, entry, "pull", "is missing here and at the top; without it Prefect guesses the folder")
        if entry.get("enforce_parameter_schema") not in (None, True):
            self.say(where, entry, "enforce_parameter_schema", "is true, so that a wrong parameter is refused at once")
        self.work_pool(where, entry)
        self.limit(where, entry)
        for number, trigger in enumerate(self.listed(where, entry, "triggers")):
            self.trigger(f"{where}.triggers[{number}]", trigger, nested=False)
        self.no_secrets(f"{where}.parameters", entry.get("parameters"))
        self.schedules(where, entry, self.flow(where, entry))

    def listed(self, where: str, parent: LocatedMap, key: str) -> Iterator[LocatedMap]:
        """The mappings of a list, having told of whatever else is in it."""
        items = parent.get(key) or []
        if not isinstance(items, list):
            self.say(where, parent, key, "is a list")
            return
        for number, item in enumerate(items):
            if isinstance(item, LocatedMap):
                yield item
            else:
                self.say(where, parent, key, f"entry {number} is no mapping of keys and values")

    def steps(self, where: str, parent: LocatedMap) -> None:
        """Build, push and pull: each step is one function."""
        for key in ("build", "push", "pull"):
            for number, step in enumerate(self.listed(where, parent, key)):
                names = list(step)
                if len(names) != 1 or "." not in names[0]:
                    self.say(where, parent, key, f"step {number} is one package.module.function with its arguments")

    def work_pool(self, where: str, entry: LocatedMap) -> None:
        """The pool that workers take runs from."""
        pool = entry.get("work_pool")
        if not isinstance(pool, LocatedMap) or not pool.get("name"):
            self.say(where, entry, "work_pool", "needs a name; `crossdock bootstrap` makes the pool crossdock")
        if isinstance(pool, LocatedMap):
            self.keys(f"{where}.work_pool", pool, POOL_KEYS)
            variables = pool.get("job_variables")
            if isinstance(variables, LocatedMap):
                self.no_secrets(f"{where}.work_pool.job_variables.env", variables.get("env"))

    def limit(self, where: str, entry: LocatedMap) -> None:
        """How many runs at once, and what becomes of one too many."""
        limit = entry.get("concurrency_limit")
        if not limit:
            return
        if not isinstance(limit, LocatedMap):
            self.say(
                where, entry, "concurrency_limit", "needs limit and collision_strategy; a bare number queues runs up"
            )
            return
        where = f"{where}.concurrency_limit"
        self.keys(where, limit, LIMIT_KEYS)
        size, strategy, grace = (limit.get(key) for key in LIMIT_KEYS)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            self.say(where, limit, "limit", "is a whole number of 1 or more")
        if strategy not in STRATEGIES:
            hint = did_you_mean(str(strategy), STRATEGIES)
            self.say(where, limit, "collision_strategy", f"is one of {', '.join(STRATEGIES)}{hint}")
        elif strategy != "CANCEL_NEW" and entry.get("schedules"):
            self.say(where, limit, "collision_strategy", "is CANCEL_NEW beside a schedule; queued runs only pile up")
        if grace not in _GRACE_SECONDS:
            self.say(where, limit, "grace_period_seconds", "is 60 to 86400; 60 soon frees the slot of a dead worker")

    def schedules(self, where: str, entry: LocatedMap, flow: FlowSignature | None) -> None:
        """When it runs by itself."""
        slugs: set[str] = set()
        given = _keys(entry.get("parameters"))
        self.parameters(where, entry, flow)
        for number, schedule in enumerate(self.listed(where, entry, "schedules")):
            here = f"{where}.schedules[{number}]"
            self.schedule(here, schedule)
            self.parameters(here, schedule, flow)
            slug = str(schedule.get("slug") or "")
            if slug and slug in slugs:
                self.say(here, schedule, "slug", f"{slug} names an earlier schedule of this deployment, too")
            slugs.add(slug)
            missing = sorted(flow.needs - given - _keys(schedule.get("parameters"))) if flow else []
            if missing:
                self.say(here, schedule, "parameters", f"lacks {', '.join(missing)}, and nobody is there to fill it in")

    def schedule(self, where: str, schedule: LocatedMap) -> None:
        """One schedule: its slug, its zone, its one rule."""
        self.keys(where, schedule, SCHEDULE_KEYS)
        if not _SLUG.match(str(schedule.get("slug") or "")):
            self.say(where, schedule, "slug", "is missing or not like every-minute; without it a deploy makes it anew")
        zone = schedule.get("timezone")
        if not zone:
            self.say(where, schedule, "timezone", "is missing; write UTC or a name such as Europe/Prague")
        elif not _is_zone(str(zone)):
            self.say(where, schedule, "timezone", f"{zone!r} is no time zone's name, such as Europe/Prague")
        rules = [rule for rule in RULES if schedule.get(rule) is not None]
        if len(rules) != 1:
            self.say(where, schedule, rules[-1] if rules else "", f"has exactly one of {', '.join(RULES)}")
            return
        if zone and _is_zone(str(zone)) and "{{" not in str(schedule):
            try:
                schedule_of({key: value for key, value in schedule.items() if key in SCHEDULE_KEYS})
            except ValueError as error:
                self.say(where, schedule, rules[0], f"is not valid: {_short(error)}")

    def flow(self, where: str, entry: LocatedMap) -> FlowSignature | None:
        """The flow that the entrypoint names, or None, having told why not."""
        entrypoint = entry.get("entrypoint")
        if not entrypoint:
            return None
        try:
            return signature_of(str(entrypoint), self.root)
        except EntrypointError as error:
            self.say(where, entry, "entrypoint", str(error))
            return None

    def parameters(self, where: str, parent: LocatedMap, flow: FlowSignature | None) -> None:
        """Parameters that the flow does not take."""
        given = parent.get("parameters")
        if given is None or flow is None or flow.takes_any:
            return
        if not isinstance(given, LocatedMap):
            self.say(where, parent, "parameters", "is a mapping of names and values")
            return
        for name in given:
            if name not in flow.takes:
                hint = did_you_mean(name, flow.takes)
                self.say(f"{where}.parameters", given, name, f"is no parameter of the flow{hint}")

    def trigger(self, where: str, trigger: LocatedMap, *, nested: bool) -> None:
        """One trigger, and those inside it."""
        for place, parent, key, what in lint_triggers.mistakes(where, trigger, nested=nested):
            self.say(place, parent, key, what)
        kind = lint_triggers.kind_of(trigger)
        if kind in lint_triggers.KINDS:
            self.keys(where, trigger, lint_triggers.allowed_keys(kind, nested=nested))
        for number, inner in enumerate(self.listed(where, trigger, "triggers")):
            self.trigger(f"{where}.triggers[{number}]", inner, nested=True)

    def no_secrets(self, where: str, given: object) -> None:
        """Names of secrets where their values would be shown in the UI."""
        for key in given if isinstance(given, LocatedMap) else ():
            if _SECRET.search(key):
                assert isinstance(given, LocatedMap)  # noqa: S101 - the loop above would be empty
                self.say(where, given, key, "looks like a secret, and the UI shows it in clear; use the environment")


def _keys(given: object) -> frozenset[str]:
    return frozenset(given) if isinstance(given, Mapping) else frozenset()


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "{{" in name
    return True


def _short(error: ValueError) -> str:
    """The first thing that pydantic has to say, without its headings."""
    details: list[Any] = error.errors() if hasattr(error, "errors") else []
    return str(details[0]["msg"]).removeprefix("Value error, ") if details else str(error)


def main(arguments: list[str]) -> int:
    """Lint the named files, or prefect.yaml, and print what is wrong."""
    mistakes = [mistake for path in arguments or [DECLARATION] for mistake in lint(path)]
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    if mistakes:
        print(f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''} in the deployments", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
