"""What a person decides by hand: move a parked order on, or cancel it. The order's story keeps it with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from prefect import flow, get_client
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from pydantic import Field

from ledger import Ledger
from ledger.decisions import CannotDecide, Decision
from ledger.decisions import decide as write_decision
from ledger.queries import find_orders
from models.lifecycle import Step
from models.settings import GlopalAccount, Settings
from models.tables import SourceOrder
from tasks.runtime import ready_ledger, rules_of

LONGEST_REASON = 500
_WORDS = {
    Step.FETCH: "read at the provider",
    Step.INSERT: "written into the store",
    Step.INSERT_HELD: "written into the store on hold",
    Step.RELEASE: "released in the store",
    Step.ACCEPT: "accepted at the provider",
    Step.CANCEL_STORE: "cancelled in the store",
    Step.CANCEL_SOURCE: "cancelled at the provider, who refunds the buyer in full",
    Step.CLOSE: "closed as cancelled",
    Step.PROBE_INSERT: "searched for in the store",
    Step.CHECK_ACCEPT: "read again at the provider",
    Step.CHECK_SOURCE_CANCEL: "read again at the provider",
    Step.ADOPT: "compared with the provider",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did, or would do.

    Attributes:
        order: the provider's order id.
        account: the account's name in the configuration.
        decision: retry or cancel.
        step: what comes next, by the name of its step; None when the provider speaks next.
        dry_run: whether nothing was written.
    """

    order: str
    account: str
    decision: Decision
    step: str | None
    dry_run: bool

    def __str__(self) -> str:
        following = (
            f"next it is {_WORDS[Step(self.step)]}, by the next poll of account {self.account}"
            if self.step
            else "nothing is due until the provider says more"
        )
        if self.dry_run:
            return f"dry run, nothing was written: {self.decision} of order {self.order} would be taken; {following}"
        return f"{self.decision} of order {self.order} is written into its story; {following}"


@flow(name="decide", flow_run_name="decide {decision} {order}", validate_parameters=True, persist_result=False)
async def decide(
    order: Annotated[str, Field(min_length=1, max_length=400)],
    decision: Literal["retry", "cancel", "settle"],
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)],
    dry_run: bool = False,
) -> State[dict[str, Any]]:
    """Move one order on that waits for a person.

    Args:
        order: Any of its numbers: Glopal's order id, the store's order number or id, or our reference.
        decision: retry puts it back in line with fresh tries, and takes back a cancel that was not sent yet. cancel
            cancels it: in the store if it is there, then at Glopal, who refunds the buyer in full. settle closes it
            without a call: you have put both sides right by hand.
        reason: Why, in your own words. It is kept in the order's story for good, and a cancel sends it to the store and
            to Glopal; leave out names and addresses.
        dry_run: Only say what would follow. Writes nothing.
    """
    settings = Settings()
    try:
        check_words(order, decision, reason)
        ledger = await ready_ledger(settings)
        try:
            decided = await take_decision(ledger, settings, order, decision, reason, dry_run=dry_run)
        finally:
            await ledger.dispose()
    except CannotDecide as error:
        await _publish(f"not decided: {error}", "Not decided")
        return State(type=StateType.FAILED, name="Not decided", message=str(error))
    name = "Dry run" if dry_run else "Decided"
    await _publish(str(decided), f"{name.lower()}: {decision} {decided.order}")
    return State(type=StateType.COMPLETED, name=name, message=str(decided))


def check_words(order: str, decision: str, reason: str) -> None:
    """Refuse what a form cannot refuse by itself: blanks only, and words that are no decision.

    Raises:
        CannotDecide: with what to put instead.
    """
    if not order.strip():
        raise CannotDecide("no order was named; give any of its numbers")
    if decision not in get_args(Decision):
        raise CannotDecide(f"{decision!r} is no decision; take retry, cancel or settle")
    if not reason.strip():
        raise CannotDecide("a decision needs a reason: it is what the next person reads in the order's story")
    if len(reason) > LONGEST_REASON:
        raise CannotDecide(f"the reason has {len(reason)} characters; at most {LONGEST_REASON} are kept")


async def take_decision(
    ledger: Ledger, settings: Settings, wanted: str, decision: Decision, reason: str, *, dry_run: bool
) -> Decided:
    """Decide about the one order that has the number ``wanted``.

    Raises:
        CannotDecide: no such order, several of them, or a decision that does not fit; nothing was changed.
    """
    row = await _the_order(ledger, wanted.strip())
    name, account = _account_of(settings, row)
    assert row.id is not None  # noqa: S101 - read from the database
    step = await write_decision(
        ledger,
        row.id,
        decision,
        reason.strip(),
        rules_of(account),
        cancel_allowed=account.cancel_confirmed,
        dry_run=dry_run,
    )
    return Decided(row.source_order_id, name, decision, step.value if step else None, dry_run=dry_run)


async def _the_order(ledger: Ledger, wanted: str) -> SourceOrder:
    rows = await find_orders(ledger, wanted)
    if not rows:
        raise CannotDecide(f"no order has the number {wanted!r}; nothing was changed. See crossdock orders")
    if len(rows) > 1:
        references = ", ".join(row.reference for row in rows)
        raise CannotDecide(
            f"{len(rows)} orders have the number {wanted!r}; nothing was changed. "
            f"Name one by its reference: {references}"
        )
    return rows[0]


def _account_of(settings: Settings, row: SourceOrder) -> tuple[str, GlopalAccount]:
    for name, account in settings.accounts.items():
        if account.key_of == row.key:
            return name, account
    raise CannotDecide(
        f"order {row.source_order_id} belongs to {row.key}, which is not in the configuration any more; put it back, "
        "then decide"
    )


async def _publish(text: str, name: str) -> None:
    """One artifact with a history, and a run named after what it did."""
    if flow_run.id is None:
        return
    safe = text.replace("<", "&lt;")
    await acreate_markdown_artifact(markdown=f"# {name}\n\n{safe}\n", key="decisions", description=text[:200])
    async with get_client() as client:
        await client.update_flow_run(UUID(flow_run.id), name=name[:200])
