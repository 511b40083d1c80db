"""Reconcile: read provider, ledger and store afresh, compare them, mend what is safe, certify what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from pydantic import Field

from flows.backfill_report import say
from flows.glopal import tell_news
from flows.range_form import Range, When, Zone, names_of, read_range
from flows.reconcile_orders import STUCK_AFTER_HOURS, Compared, compare_span
from flows.report import cell, name_run
from flows.settle import LINGER, Call, through_prefect
from ledger import LedgerUnavailable
from ledger.proof import Noted, open_findings
from models.outcome import ConfigurationError
from models.ranges import BadRange, day_of, instant_of, windows, zone_of
from models.settings import Settings
from models.time import utc_now
from reports.certificate import Certificate
from reports.gather import MARGIN, certificate_of
from reports.markdown import summary
from tasks.runtime import Runtime, open_runtime

MOST_ROWS = 500
# How long a run may take whose range was to end now.
TAIL = timedelta(hours=2)


@dataclass
class Reconciled:
    """What one account's reconciliation came to."""

    account: str
    compared: Compared = field(default_factory=Compared)
    certificate: Certificate | None = None
    stopped: list[str] = field(default_factory=list)
    refused: str = ""
    repair: bool = True
    open: list[Noted] = field(default_factory=list)
    open_end: bool = False

    @property
    def open_findings(self) -> int:
        """Findings that are open now, those of parked orders not counted; of orders of any day."""
        return sum(not noted.parked for noted in self.open)

    @property
    def proven(self) -> bool:
        """Whether all of the range is proven, but for what is too young where the range was to end now."""
        if self.certificate is None:
            return False
        late = self.certificate.span.end - MARGIN - TAIL
        return all(self.open_end and gap.span.start >= late for gap in self.certificate.gaps)

    @property
    def state(self) -> tuple[StateType, str]:
        """The kind and name of the end. One that left anything open or unread is never green."""
        done = self.compared
        if self.refused:
            return StateType.FAILED, "Refused"
        if self.stopped or done.problems or done.unread:
            return StateType.FAILED, "Not all read"
        if done.parked or done.tally.parked:
            return StateType.FAILED, "Parked some"
        if self.open_findings:
            return StateType.FAILED, "Differences"
        if done.tally.unfinished or done.moved:
            return StateType.FAILED, "Unfinished"
        if not self.proven:
            return StateType.FAILED, "Not all proven"
        if any(check.bad for check in done.feed):
            return StateType.FAILED, "Unreadable events"
        if self.open:
            return StateType.COMPLETED, "Agreed but for parked orders"
        return StateType.COMPLETED, "Agreed"

    def __str__(self) -> str:
        if self.refused:
            return self.refused
        done = self.compared
        words = [
            (done.orders, "order(s) compared"),
            (done.new_events, "event(s) missing in the ledger"),
            (len(done.restored), "order(s) missing in the ledger"),
            (len(done.opened), "new finding(s)"),
            (len(done.repaired) - len(done.parked), "repaired"),
            (len(done.parked), "parked"),
            (done.closed, "finding(s) closed"),
            (self.open_findings, "difference(s) open"),
            (sum(noted.parked for noted in self.open), "finding(s) of parked orders"),
            (len({text for check in done.feed for text in check.bad}), "unreadable event(s)"),
            (done.unread, "not read"),
        ]
        return ", ".join(counted(number, word) for number, word in words if number > 0) or "nothing to compare"


def counted(number: int, words: str) -> str:
    """A number and what it counts, in the singular for one."""
    return f"{number} {words.replace('(s)', '' if number == 1 else 's')}"


@flow(name="reconcile", flow_run_name="reconcile", validate_parameters=True, persist_result=False)
async def reconcile(
    start: When | None = None,
    end: When | None = None,
    days: Annotated[int, Field(ge=1, le=3660)] = 7,
    zone: Zone = "UTC",
    accounts: list[str] | None = None,
    repair: bool = True,
    stuck_after_hours: Annotated[float, Field(gt=0, le=8784)] = STUCK_AFTER_HOURS,
) -> State[dict[str, Any]]:
    """Compare the provider, the ledger and the store order by order, each read afresh, and certify the range.

    Args:
        start: First day of the range, or its first moment. Empty: as many whole days back as the next field says.
        end: The day after the last one, or the moment at which the range ends. Empty: the beginning of today, or now
            when a start is given.
        days: How many whole days back, where no start is given.
        zone: Time zone in which days and times without an offset are read, e.g. Europe/Berlin.
        accounts: Names of accounts in crossdock.toml, e.g. main. Empty: all of them.
        repair: Mend what is safe to mend (accept again, cancel the store order of a cancelled order, insert what is
            missing), and park what needs a person. Off: only report.
        stuck_after_hours: An order that is under way for longer than this is a finding.
    """
    settings = Settings()
    try:
        chosen = names_of(settings, accounts or [])
        wanted = range_of(start, end, zone, days)
    except (BadRange, ConfigurationError) as error:
        return final_state([Reconciled("", refused=str(error))])
    await say(f"from {wanted.span.start:%Y-%m-%d %H:%M:%S} UTC to {wanted.span.end:%Y-%m-%d %H:%M:%S} UTC")
    done = []
    for name in chosen:
        try:
            async with open_runtime(settings, name) as runtime:
                done.append(await run_reconcile(runtime, wanted, repair=repair, stuck_after_hours=stuck_after_hours))
        except (ConfigurationError, LedgerUnavailable) as error:
            # The other accounts are reconciled all the same.
            done.append(Reconciled(name, stopped=[str(error)]))
    return final_state(done)


def range_of(start: When | None, end: When | None, zone: str, days: int) -> Range:
    """The range that is meant: the given one, or the last whole days of the zone.

    Raises:
        BadRange: it cannot be meant.
    """
    now = utc_now()
    if start is None:
        place = zone_of(zone)
        today = day_of(now, place)
        end = end or today
        last = day_of(instant_of(end, place), place) if isinstance(end, datetime) else end
        start = last - timedelta(days=days)
    return read_range(start, end, zone, now)


async def run_reconcile(
    runtime: Runtime,
    wanted: Range,
    *,
    repair: bool,
    stuck_after_hours: float = STUCK_AFTER_HOURS,
    call: Call = through_prefect,
    linger: float = LINGER,
) -> Reconciled:
    """Reconcile one account's range and publish its certificate."""
    done = Reconciled(runtime.name, repair=repair, open_end=wanted.open_end)
    done.compared = await compare_span(
        runtime,
        wanted.span,
        repair=repair,
        call=call,
        linger=linger,
        days=windows(wanted.span, wanted.zone),
        stuck_after_hours=stuck_after_hours,
    )
    done.stopped = [side.stopped for side, _ in runtime.sides() if side.stopped]
    done.certificate = await certificate_of(
        runtime.ledger, runtime.key, account=runtime.name, span=wanted.span, zone=wanted.zone
    )
    done.open = await open_findings(runtime.ledger, runtime.key)
    await tell_news(runtime)
    await publish(done)
    return done


async def publish(done: Reconciled) -> None:
    """The certificate and the table of findings."""
    if flow_run.id is None or done.certificate is None:
        return
    name = done.state[1]
    await say(f"{done.account}: {name}: {done}")
    trouble = [*done.stopped, *done.compared.problems, *dict.fromkeys(done.compared.tally.problems)]
    text = summary(done.certificate)
    if trouble:
        text = "\n".join(["## What went wrong", "", *(f"- {cell(entry)}" for entry in trouble[:50]), "", text])
    await acreate_markdown_artifact(
        markdown=text, key=f"certificate-{done.account}", description=f"{name}: {done}"[:200]
    )
    await acreate_table_artifact(
        table=rows_of(done), key=f"findings-{done.account}", description=f"{name}: {done}"[:200]
    )
    await name_run(f"{done.account}: {done}")


def rows_of(done: Reconciled) -> list[dict[str, Any]]:
    """The open findings first, of orders of any day, then those of the range that were found mended."""
    known = done.certificate.findings if done.certificate is not None else ()
    closed = sorted((finding for finding in known if finding.closed_at is not None), key=lambda each: each.since)
    every = [
        _row(noted.order, noted.mismatch, "open", noted.found_at, noted.action, noted.explanation)
        for noted in done.open
    ]
    every += [
        _row(one.order, one.mismatch, f"closed {one.closed_at:%m-%d %H:%M}", one.since, one.action, one.explanation)
        for one in closed
    ]
    rows = every[:MOST_ROWS]
    if len(every) > MOST_ROWS:
        rows.append({"order": f"and {len(every) - MOST_ROWS} more", "finding": "see crossdock report"})
    return rows or [{"order": "none", "finding": "all sides agree"}]


def _row(order: str, mismatch: str, state: str, since: datetime, action: str, explanation: str) -> dict[str, Any]:
    return {
        "order": order,
        "finding": mismatch.replace("_", " "),
        "state": state,
        "since (UTC)": f"{since:%m-%d %H:%M}",
        "what is done": action,
        "what is different": explanation,
    }


def final_state(done: list[Reconciled]) -> State[dict[str, Any]]:
    """The run's end: the worst of its accounts'."""
    order = ["Refused", "Not all read", "Parked some", "Differences", "Unfinished", "Not all proven"]
    order += ["Unreadable events", "Agreed but for parked orders", "Agreed"]
    worst = min(done, key=lambda one: order.index(one.state[1]))
    kind, name = worst.state
    said = [f"{one.account}: {one}" if one.account else str(one) for one in done]
    said += [text for one in done for text in [*one.stopped, *one.compared.problems]]
    return State(type=kind, name=name, message="; ".join(said))
