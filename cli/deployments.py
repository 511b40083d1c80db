"""What prefect.yaml declares, as typed values: one declaration behind `prefect deploy --all` and `crossdock serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli.located_yaml import load

if TYPE_CHECKING:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import SCHEDULE_TYPES
    from prefect.deployments.runner import RunnerDeployment

DECLARATION = "prefect.yaml"


class DeclarationError(ValueError):
    """prefect.yaml is missing or cannot be used; the message says what to do."""


class FlowLoadError(DeclarationError):
    """A declared flow cannot be loaded; the message names the deployment and the cause."""


@dataclass(frozen=True)
class Deployment:
    """One deployment as the file declares it, anchors and merges resolved."""

    name: str
    entrypoint: str
    description: str | None = None
    tags: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    schedules: Sequence[Mapping[str, Any]] = ()
    concurrency_limit: int | Mapping[str, Any] | None = None
    enforce_parameter_schema: bool = True
    triggers: Sequence[Mapping[str, Any]] = ()
    version: str | None = None
    flow_name: str | None = None

    def to_runner(self) -> RunnerDeployment:
        """Prefect's own object, for serving. The flow is loaded; the current folder must be the project's.

        Raises:
            FlowLoadError: The flow's file cannot be run, or holds no such flow.
        """
        # Prefect takes more than a second to import, and reading the file needs none of it.
        from prefect.deployments.runner import RunnerDeployment  # noqa: PLC0415
        from prefect.exceptions import MissingFlowError, ScriptError  # noqa: PLC0415
        from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415

        try:
            # Prefect itself takes a stand-in for a flow that fails to load, whose every run would then fail.
            load_flow_from_entrypoint(self.entrypoint, use_placeholder_flow=False)
        except (MissingFlowError, ScriptError) as error:
            raise FlowLoadError(
                f"Deployment {self.name}: the flow {self.entrypoint} cannot be loaded: {error.__cause__ or error}. "
                "Run `make install` if something was not found, and `make check` for the rest."
            ) from error
        return RunnerDeployment.from_entrypoint(
            self.entrypoint,
            name=self.name,
            flow_name=self.flow_name,
            description=self.description,
            tags=list(self.tags),
            parameters=dict(self.parameters),
            schedules=[schedule_of(spec) for spec in self.schedules],
            concurrency_limit=_limit_of(self.concurrency_limit),
            enforce_parameter_schema=self.enforce_parameter_schema,
            triggers=_triggers_of(self.name, self.triggers),
            version=self.version,
        )


def read(path: Path) -> list[Deployment]:
    """The deployments that a prefect.yaml declares.

    What the file means is checked by `cli.lint_prefect`; this only refuses what cannot be read at all.

    Raises:
        DeclarationError: The file is missing, is no YAML, or declares nothing.
    """
    try:
        document = load(path)
    except OSError as error:
        raise DeclarationError(
            f"{path}: cannot be read ({error.strerror}). Run this in Crossdock's folder, where {DECLARATION} lies."
        ) from error
    except yaml.YAMLError as error:
        raise DeclarationError(f"{path}: is no valid YAML. {error}") from error
    entries = document.get("deployments") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DeclarationError(f"{path}: has no list of deployments. Run `crossdock lint` for every mistake in it.")
    return [_deployment(path, entry) for entry in entries]


def schedule_of(spec: Mapping[str, Any]) -> DeploymentScheduleCreate:
    """Prefect's schedule for one entry of `schedules`.

    Raises:
        ValueError: The rule, the time zone or a date in it is wrong.
    """
    from prefect.client.schemas.actions import DeploymentScheduleCreate  # noqa: PLC0415 - see to_runner

    extras = {key: spec[key] for key in ("active", "slug", "parameters", "replaces") if spec.get(key) is not None}
    return DeploymentScheduleCreate(schedule=_rule_of(spec), **extras)


def _rule_of(spec: Mapping[str, Any]) -> SCHEDULE_TYPES:
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule  # noqa: PLC0415

    def given(*keys: str) -> dict[str, Any]:
        return {key: spec[key] for key in keys if spec.get(key) is not None}

    if "cron" in spec:
        return CronSchedule(**given("cron", "day_or", "timezone"))
    if "interval" in spec:
        every = spec["interval"]
        rule = given("interval", "timezone")
        if isinstance(every, int | float):
            rule["interval"] = timedelta(seconds=every)
        if "anchor_date" in spec:
            rule["anchor_date"] = datetime.fromisoformat(str(spec["anchor_date"]))
        return IntervalSchedule(**rule)
    if "rrule" in spec:
        return RRuleSchedule(**given("rrule", "timezone"))
    raise ValueError("a schedule needs one of cron, interval and rrule")


def _limit_of(spec: int | Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - Prefect's type is int, an object or None
    from prefect.client.schemas.objects import ConcurrencyLimitConfig  # noqa: PLC0415 - see to_runner

    return ConcurrencyLimitConfig(**spec) if isinstance(spec, Mapping) else spec


def _triggers_of(name: str, specs: Sequence[Mapping[str, Any]]) -> list[Any]:
    from prefect.events import DeploymentTriggerTypes  # noqa: PLC0415 - see to_runner
    from pydantic import TypeAdapter  # noqa: PLC0415

    adapter: TypeAdapter[Any] = TypeAdapter(DeploymentTriggerTypes)
    # The names that `prefect deploy` gives, so that both ways make the same automations.
    return [
        adapter.validate_python({"name": f"{name}__automation_{number}", **spec})
        for number, spec in enumerate(specs, start=1)
    ]


def _deployment(path: Path, entry: Mapping[str, Any]) -> Deployment:
    name, entrypoint = entry.get("name"), entry.get("entrypoint")
    if not isinstance(name, str) or not isinstance(entrypoint, str):
        raise DeclarationError(
            f"{path}: a deployment lacks its name or entrypoint. Run `crossdock lint` for every mistake in it."
        )
    enforce = entry.get("enforce_parameter_schema")
    return Deployment(
        name=name,
        entrypoint=entrypoint,
        description=entry.get("description"),
        tags=entry.get("tags") or (),
        parameters=entry.get("parameters") or {},
        schedules=entry.get("schedules") or (),
        concurrency_limit=entry.get("concurrency_limit"),
        enforce_parameter_schema=True if enforce is None else bool(enforce),
        triggers=entry.get("triggers") or (),
        version=entry.get("version"),
        flow_name=entry.get("flow_name"),
    )
