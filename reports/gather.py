"""Make a certificate or a coverage map of what the ledger has; orders are streamed, never all held at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from ledger.coverage import feed_start, proofs
from ledger.engine import Ledger
from ledger.proof import findings, proof_rows
from models.ids import AccountKey
from models.ranges import Span
from reports.certificate import Certificate, CertificateBuilder
from reports.facts import FindingFact, OrderFact, Proven

MARGIN = timedelta(minutes=15)
SOURCES = (
    "The provider's and the store's side are what both said when a reconciliation asked them last; the ledger's side "
    "is as it is now. An order of the store counts when it carries Crossdock's reference."
)


async def order_facts(ledger: Ledger, key: AccountKey, span: Span) -> AsyncIterator[OrderFact]:
    """Every order that the provider first spoke of in ``span``."""
    async for row in proof_rows(ledger, key, span):
        yield OrderFact(
            order=row.order,
            first_event_at=row.first_event_at,
            source=row.source,
            ledger=row.ledger,
            store=row.store,
            read_at=row.read_at,
            ready_at=row.ready_at,
            accepted_at=row.accepted_at,
        )


async def proven_facts(ledger: Ledger, key: AccountKey, span: Span) -> list[Proven]:
    """Every proven interval that touches ``span``."""
    return [Proven(proof.span, proof.by, proof.proved_at, proof.how) for proof in await proofs(ledger, key, span)]


async def gap_reasons(ledger: Ledger, key: AccountKey, span: Span) -> dict[Span, str]:
    """Why parts of ``span`` cannot be proven any more: the provider's feed begins later."""
    began = await feed_start(ledger, key)
    if began is None or began <= span.start:
        return {}
    text = f"the provider's feed, read from its beginning, begins at {began:%Y-%m-%d %H:%M:%S} UTC"
    return {Span(span.start, min(began, span.end)): text}


async def finding_facts(ledger: Ledger, key: AccountKey, span: Span) -> list[FindingFact]:
    """Findings that are open, and those that were closed since the range began."""
    return [
        FindingFact(noted.order, noted.mismatch, noted.explanation, noted.found_at, noted.closed_at, noted.action)
        for noted in await findings(ledger, key, since=span.start)
    ]


async def certificate_of(
    ledger: Ledger,
    key: AccountKey,
    *,
    account: str,
    span: Span,
    zone: ZoneInfo,
    keep: Callable[[OrderFact], object] | None = None,
) -> Certificate:
    """The certificate of one account's range as the ledger has it now.

    Args:
        ledger: where.
        key: whose orders.
        account: the account's name in the configuration.
        span: the range.
        zone: whose days it tells.
        keep: handed each order that counts, for exports that list them.
    """
    builder = CertificateBuilder(
        account=account, key=str(key), span=span, zone=zone, made_at=ledger.clock(), margin=MARGIN
    )
    async for fact in order_facts(ledger, key, span):
        if builder.add(fact) and keep is not None:
            keep(fact)
    noted = await finding_facts(ledger, key, span)
    # Findings of other days belong into those days' certificates.
    ours = builder.added(fact.order for fact in noted)
    noted = [fact for fact in noted if fact.order in ours]
    proven = await proven_facts(ledger, key, span)
    return builder.finish(proven, noted, SOURCES, await gap_reasons(ledger, key, span))
