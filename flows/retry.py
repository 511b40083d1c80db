"""Put parked orders back in line: one, all with the same kind of reason, or all of an account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from pydantic import Field

from flows.operate import LONGEST_REASON, check_words, take_decision
from flows.range_form import names_of
from flows.report import cell, name_run
from ledger import Ledger
from ledger.decisions import CannotDecide
from ledger.queries import parked_orders
from models.outcome import ConfigurationError
from models.settings import Settings
from tasks.runtime import ready_ledger

MOST = 100_000


@dataclass
class Retried:
    """What was put back in line, and what was not and why."""

    orders: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    dry_run: bool = False

    def __str__(self) -> str:
        verb = "would be" if self.dry_run else "are"
        said = f"{len(self.orders)} parked orders {verb} put back in line"
        if self.orders and not self.dry_run:
            said += "; the next poll of their account tries them"
        return said + (f"; {len(self.kept)} stay parked" if self.kept else "")


@flow(name="retry-parked", flow_run_name="retry parked orders", validate_parameters=True, persist_result=False)
async def retry_parked(
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)],
    order: Annotated[str, Field(max_length=400)] = "",
    code: Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_.]*$")] = "",
    account: Annotated[str, Field(max_length=64)] = "",
    dry_run: bool = False,
) -> State[dict[str, Any]]:
    """Put parked orders back in line with fresh tries.

    Args:
        reason: Why, in your own words, e.g. "article created in the store". It is kept in each order's story; leave out
            names and addresses.
        order: One order, by any of its numbers. Leave the next two fields empty then.
        code: All orders that were parked for this kind of reason, e.g. insert.unknown_sku, or insert for every kind of
            refused insert. The runs' summaries and crossdock orders show the codes.
        account: All parked orders of this account, or those of the kind above. Empty: all accounts.
        dry_run: Only say which orders that would be. Writes nothing.
    """
    settings = Settings()
    try:
        ledger = await ready_ledger(settings)
        try:
            done = await retry(ledger, settings, reason, order=order, code=code, account=account, dry_run=dry_run)
        finally:
            await ledger.dispose()
    except (CannotDecide, ConfigurationError) as error:
        await _publish(f"nothing was retried: {error}", [])
        return State(type=StateType.FAILED, name="Not retried", message=str(error))
    await _publish(str(done), done.kept)
    if done.kept:
        return State(type=StateType.FAILED, name="Some stay parked", message=f"{done}: {'; '.join(done.kept[:3])}")
    return State(type=StateType.COMPLETED, name="Dry run" if dry_run else "Retried", message=str(done))


async def retry(
    ledger: Ledger,
    settings: Settings,
    reason: str,
    *,
    order: str = "",
    code: str = "",
    account: str = "",
    dry_run: bool = False,
) -> Retried:
    """Put the chosen parked orders back in line.

    Raises:
        CannotDecide: nothing or too much was named, or the one order named cannot be retried.
        ConfigurationError: there is no such account.
    """
    done = Retried(dry_run=dry_run)
    if order.strip():
        if code or account:
            raise CannotDecide("name an order, or a kind of reason and an account, not both")
        check_words(order, "retry", reason)
        decided = await take_decision(ledger, settings, order, "retry", reason, dry_run=dry_run)
        done.orders.append(decided.order)
        return done
    if not code and not account:
        raise CannotDecide("name an order, a kind of reason (code) or an account; all of them at once is never meant")
    check_words("all", "retry", reason)
    for name in names_of(settings, [account] if account else []):
        key = settings.accounts[name].key_of
        for parked in await parked_orders(ledger, key, limit=MOST):
            if code and parked.code != code and not parked.code.startswith(f"{code}."):
                continue
            try:
                reference = key.reference(parked.source_order_id)
                await take_decision(ledger, settings, reference, "retry", reason, dry_run=dry_run)
            except CannotDecide as error:
                done.kept.append(str(error))
            else:
                done.orders.append(parked.source_order_id)
    return done


async def _publish(text: str, kept: list[str]) -> None:
    if flow_run.id is None:
        return
    lines = [f"# {cell(text)}", "", *(f"- {cell(entry)}" for entry in kept[:200])]
    await acreate_markdown_artifact(markdown="\n".join(lines), key="retries", description=text[:200])
    await name_run(text)
