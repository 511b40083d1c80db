"""Poll Glopal: pull the feed, record it, settle what is due, report."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.plan import plan
from flows.report import ProgressBar, RunReport, final_state, publish, tell
from flows.settle import LINGER, Call, Settler, Tally, through_prefect
from ledger import LedgerUnavailable
from ledger.holds import hold
from ledger.notices import Told, mark_told, untold
from ledger.policy import apply_deadlines, count_open, wake_received, warn_late
from ledger.queries import parked_orders
from ledger.resume import Kind, follow, resume_refused, resume_unreadable
from models.outcome import EffectFailed, LeaseLost, NotYet
from models.settings import Settings
from tasks.ends import LONGEST_WAIT_IN_RUN
from tasks.events import Pulled, record_events
from tasks.runtime import Runtime, open_runtime


@flow(name="poll-glopal", flow_run_name="poll {account}", validate_parameters=True, persist_result=False)
async def poll_glopal(
    account: str,
    import_on: Literal["ready", "received"] | None = None,
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None,
    dry_run: bool = False,
) -> State[dict[str, Any]] | dict[str, Any]:
    """Land one Glopal account's orders: pull its events, write paid orders into the store, accept them at Glopal.

    Args:
        account: Name of the account's section in crossdock.toml, e.g. main.
        import_on: When orders go into the store. ready: once Glopal confirmed payment and screening (recommended).
            received: already before, on hold, released at READY and cancelled if Glopal cancels first. Empty: as the
            account is configured.
        limit: Settle at most this many orders in this run; empty for all that are due. Events are recorded in any case.
        dry_run: Only say what would be done. Reads Glopal and the ledger, writes nothing anywhere.
    """
    settings = Settings()
    async with open_runtime(settings, account, import_on=import_on, dry_run=dry_run) as runtime:
        if dry_run:
            return await plan(runtime, limit)
        return final_state(await poll(runtime, limit))


async def poll(
    runtime: Runtime, limit: int | None = None, *, call: Call = through_prefect, linger: float = LINGER
) -> RunReport:
    """One poll of an open account. The flow fails only when the feed itself fails; orders are parked one by one."""
    report = RunReport(account=runtime.name, pulled=None, tally=Tally())
    report.tally.task_runs = 1
    if runtime.provider_side.stopped is None:
        await _pull(runtime, report, call)
    if runtime.rules.import_on == "received":
        await wake_received(runtime.ledger, runtime.key, runtime.rules)
    report.told = await _policy(runtime)
    kinds = await _resume(runtime)
    progress = ProgressBar(f"progress-{runtime.name}")
    settler = Settler(runtime, report.tally, progress, call=call, linger=linger)
    await settler.run(limit)
    if kinds and await follow(runtime.ledger, runtime.rules, kinds):
        # What one of them waited for is there, so the others are done in this run, too.
        await settler.run(None if limit is None else max(0, limit - report.tally.claimed))
    await _close(runtime, report)
    return report


async def _pull(runtime: Runtime, report: RunReport, call: Call) -> None:
    """Read the feed. What was recorded earlier is settled even when the feed cannot be read now."""
    try:
        delays = list(runtime.account.policy.task_retry_delays)
        pulled: Pulled = await call(record_events, delays, {"account": runtime.name})
    except (EffectFailed, LeaseLost, LedgerUnavailable) as error:
        report.feed_problem = str(error)
        outcome = error.outcome if isinstance(error, EffectFailed) else None
        if isinstance(outcome, NotYet) and (outcome.retry_after or 0.0) > LONGEST_WAIT_IN_RUN:
            runtime.provider_side.asked_to_wait(outcome.retry_after or 0.0, outcome.message)
    else:
        report.pulled = pulled
        report.tally.parked += pulled.parked


async def _policy(runtime: Runtime) -> list[Told]:
    policy = runtime.account.policy
    told = await apply_deadlines(
        runtime.ledger, runtime.key, policy, runtime.rules, cancel_allowed=runtime.account.cancel_confirmed
    )
    return told + await warn_late(runtime.ledger, runtime.key, policy)


async def _resume(runtime: Runtime) -> list[Kind]:
    """Parked orders whose cause may be gone: the mapping was edited, or the store may know the article by now."""
    await resume_unreadable(runtime.ledger, runtime.key, runtime.rules)
    wait = runtime.account.policy.recheck_refused
    return await resume_refused(runtime.ledger, runtime.key, runtime.rules, wait)


async def _close(runtime: Runtime, report: RunReport) -> None:
    report.stopped = [side.stopped for side in (runtime.provider_side, runtime.store_side) if side.stopped]
    report.buckets = await count_open(runtime.ledger, runtime.key)
    report.parked = await parked_orders(runtime.ledger, runtime.key)
    report.http_calls = dict(runtime.client.calls)
    await tell_news(runtime)
    await publish(report, runtime.name)


async def tell_news(runtime: Runtime) -> None:
    """Tell what people must hear about, and keep for later runs how long a side asked to be left alone."""
    # What an earlier run wrote down and could not tell any more is told now.
    news = await untold(runtime.ledger, runtime.key)
    if tell(news):
        await mark_told(runtime.ledger, news)
    for side, name in runtime.sides():
        if side.asked is not None:
            await hold(runtime.ledger, name, *side.asked)
