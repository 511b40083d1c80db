"""Prepares a Prefect server for Crossdock: the work pool and two automations. Running it again changes nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from cli.server_env import HEARTBEAT_SECONDS, ZOMBIE_AFTER_SECONDS

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import AutomationCore

WORK_POOL = "crossdock"
# Each run is a process of some 150 MB; more of them wait rather than fill a worker's memory.
MOST_AT_ONCE = 8
ZOMBIE_AUTOMATION = "crossdock: mark dead runs as crashed"
NOTIFY_AUTOMATION = "crossdock: tell people about orders"

# What flows/report.py emits when a person should look, with the payload {account, order, code, reason}.
NEWS = {
    "crossdock.order.parked": "is parked",
    "crossdock.order.late": "is late",
    "crossdock.cancel.blocked": "was not cancelled",
}


class BootstrapError(RuntimeError):
    """The Prefect server could not be prepared; the message says what to do."""


def bootstrap(notify_block: str | None = None) -> list[str]:
    """Prepare the Prefect server in force (PREFECT_API_URL).

    Args:
        notify_block: The notification block that tells people, such as ``slack-webhook/orders``; None tells nobody.

    Returns:
        What was made or changed, in words; empty when everything was in place.

    Raises:
        BootstrapError: The server does not answer, or the block or pool is not as it must be.
    """
    return asyncio.run(prepare(notify_block))


async def prepare(notify_block: str | None = None) -> list[str]:
    """As `bootstrap`, for callers that run in an event loop."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - slow to import

    async with get_client() as client:
        trouble = await client.api_healthcheck()
        if trouble is not None:
            raise BootstrapError(
                f"The Prefect server at {client.api_url} does not answer ({trouble}). Start one with "
                "`crossdock serve`, or set PREFECT_API_URL to the address of yours."
            )
        done = await _work_pool(client)
        done += await _automation(client, zombie_automation())
        if notify_block:
            block = await _block_id(client, notify_block)
            done += await _automation(client, notify_automation(block))
        else:
            done += await _no_automation(client, NOTIFY_AUTOMATION)
        return done


def zombie_automation(within: timedelta = timedelta(seconds=ZOMBIE_AFTER_SECONDS)) -> AutomationCore:
    """Marks a run as crashed when its heartbeat stopped, so that its concurrency slot is free again."""
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415 - slow to import
    from prefect.events.actions import ChangeFlowRunState  # noqa: PLC0415
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: PLC0415
    from prefect.events.schemas.events import ResourceSpecification  # noqa: PLC0415

    return AutomationCore(
        name=ZOMBIE_AUTOMATION,
        description=(
            f"A run tells every {HEARTBEAT_SECONDS} s that it is alive. One that was silent for "
            f"{within.total_seconds():g} s died with its machine or was killed. Made by `crossdock bootstrap`."
        ),
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            # Any sign of life or end. Our runs end in states with names of their own ("Parked some"), and the event is
            # called after the name: a list of Prefect's own names would crash runs that ended well.
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="The run stopped telling that it is alive. The next run goes on where this one stopped.",
            )
        ],
    )


def notify_automation(block_document_id: UUID) -> AutomationCore:
    """Sends one message for every order that a person must look at: its number and the reason, nothing of the buyer."""
    from prefect.events.actions import SendNotification  # noqa: PLC0415 - slow to import
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: PLC0415
    from prefect.events.schemas.events import ResourceSpecification  # noqa: PLC0415

    words = "".join(f"{{% if event.event == '{event}' %}}{text}{{% endif %}}" for event, text in NEWS.items())
    return AutomationCore(
        name=NOTIFY_AUTOMATION,
        description="Tells people about parked and late orders and held back cancels. Made by `crossdock bootstrap`.",
        trigger=EventTrigger(
            expect=set(NEWS),
            match=ResourceSpecification({"prefect.resource.id": ["crossdock.order.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block_document_id,
                subject=f"Crossdock: order {{{{ event.payload.order }}}} {words}",
                body=(
                    f"Order {{{{ event.payload.order }}}} of account {{{{ event.payload.account }}}} {words}.\n"
                    "Reason: {{ event.payload.reason }}\n"
                    "The whole story: crossdock why {{ event.payload.order }}"
                ),
            )
        ],
    )


async def _work_pool(client: PrefectClient) -> list[str]:
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415 - slow to import
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415

    try:
        # A pool that someone has made for Docker or Kubernetes stays as it is: its job template is theirs.
        await client.read_work_pool(WORK_POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        wanted = WorkPoolCreate(
            name=WORK_POOL, type="process", base_job_template=template, concurrency_limit=MOST_AT_ONCE
        )
        await client.create_work_pool(wanted)
        return [f"made the work pool {WORK_POOL}, at most {MOST_AT_ONCE} runs at once"]
    return []


async def _automation(client: PrefectClient, wanted: AutomationCore) -> list[str]:
    """Make an automation, or bring the one of its name up to date; further ones of that name are removed."""
    from prefect.events.schemas.automations import AutomationCore  # noqa: PLC0415 - slow to import

    found = await client.read_automations_by_name(wanted.name)
    there = found[0] if found else None
    done = []
    for double in found[1:]:
        await client.delete_automation(double.id)
        done.append(f"removed a second automation {wanted.name!r}")
    if there is None:
        await client.create_automation(wanted)
        return [*done, f"made the automation {wanted.name!r}"]
    # Whether it is switched on is the person's choice, made in the UI.
    wanted = wanted.model_copy(update={"enabled": there.enabled})
    if _substance(AutomationCore.model_validate(there.model_dump())) != _substance(wanted):
        # The server refuses an owner in an update, even an empty one.
        mended = wanted.model_dump(exclude={"owner_resource"})
        await client.update_automation(there.id, AutomationCore.model_validate(mended))
        done.append(f"updated the automation {wanted.name!r}")
    return done


async def _no_automation(client: PrefectClient, name: str) -> list[str]:
    done = []
    for automation in await client.read_automations_by_name(name):
        await client.delete_automation(automation.id)
        done.append(f"removed the automation {name!r}: no notification block is set")
    return done


def _substance(automation: AutomationCore) -> dict[str, object]:
    """What makes two automations the same, with sets in one order."""
    dumped = automation.model_dump(mode="json", exclude={"owner_resource"})
    found: dict[str, object] = json.loads(json.dumps(dumped, sort_keys=True), object_hook=_sorted_lists)
    return found


def _sorted_lists(mapping: dict[str, object]) -> dict[str, object]:
    return {
        key: sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value
        for key, value in mapping.items()
        if key != "id"
    }


async def _block_id(client: PrefectClient, name: str) -> UUID:
    """The id of the block ``type/name``."""
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - slow to import

    kind, slash, block = name.partition("/")
    if not slash or not kind or not block:
        raise BootstrapError(f"notify.block: {name!r} is not like slack-webhook/orders, the block's type and its name.")
    try:
        document = await client.read_block_document_by_name(block, kind)
    except ObjectNotFound as error:
        raise BootstrapError(
            f"notify.block: the Prefect server has no block {name!r}, so nobody would be told about parked orders. "
            "Make it in the UI under Blocks, or correct notify.block."
        ) from error
    if "notify" not in (document.block_schema.capabilities if document.block_schema else []):
        raise BootstrapError(
            f"notify.block: {name!r} is no notification block. Take one such as slack-webhook/…, "
            "microsoft-teams-webhook/… or custom-webhook/…."
        )
    return document.id
