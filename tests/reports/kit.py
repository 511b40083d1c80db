"""Facts for tests: one order by hand, a month of them that looks like life, and any that Hypothesis can think of."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from models.lifecycle import Landing, SourceStatus
from models.money import exponent, round_minor
from models.ranges import Span
from models.sides import LedgerSide, SourceSide, StoreSide
from reports.certificate import Certificate, CertificateBuilder
from reports.facts import FindingFact, OrderFact, Proven

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 2, 28, 23, tzinfo=UTC)
SPAN = Span(START, START + timedelta(days=30) - timedelta(hours=1))
NOW = SPAN.end + timedelta(hours=6)
KEY = "glopal/live/acme"
BUCKETS = (
    "parked", "landed", "cancelled", "closed without landing", "outcome unknown", "waiting for the provider",
    "under way", "a word of tomorrow",
)  # fmt: skip


def source(total: str | None = "100.00", currency: str = "EUR", **changes: Any) -> SourceSide:
    """The provider's side: accepted, paid."""
    amount = Decimal(total) if total is not None else None
    given: dict[str, Any] = {"found": True, "status": "ACCEPTED", "currency": currency, "total": amount}
    return SourceSide(**(given | {"base_currency": "EUR", "base_total": amount} | changes))


def ledger(total: str | None = "100.00", currency: str = "EUR", **changes: Any) -> LedgerSide:
    """The ledger's side: landed."""
    amount = Decimal(total) if total is not None else None
    given: dict[str, Any] = {"bucket": "landed", "landing": Landing.ACCEPTED, "source_status": SourceStatus.ACCEPTED}
    return LedgerSide(**(given | {"currency": currency, "total": amount} | changes))


def store(total: str | None = "100.00", currency: str = "EUR", **changes: Any) -> StoreSide:
    """The store's side: open."""
    amount = Decimal(total) if total is not None else None
    given: dict[str, Any] = {
        "found": True,
        "id": "9001",
        "number": "#1001",
        "state": "open",
        "currency": currency,
        "total": amount,
    }
    return StoreSide(**(given | changes))


def fact(order: str = "310678-936140", at: datetime = START + timedelta(hours=12), **changes: Any) -> OrderFact:
    """An order on which all three sides agree."""
    given: dict[str, Any] = {
        "order": order,
        "first_event_at": at,
        "source": source(),
        "ledger": ledger(),
        "store": store(),
        "read_at": at + timedelta(hours=2),
        "ready_at": at + timedelta(minutes=1),
        "accepted_at": at + timedelta(minutes=3),
    }
    return OrderFact(**(given | changes))


FULL = fact(
    source=source(
        external_id="9001", external_number="#1001", content_hash="ab", problem="none", base_total=Decimal("91.00")
    ),
    ledger=ledger(
        base_currency="EUR",
        base_total=Decimal("91.00"),
        store_order_id="9001",
        store_order_number="#1001",
        content_hash="ab",
        open_since=START,
        parked_code="insert.unknown_sku",
        parked_reason="the store does not know the SKU",
    ),
    store=store(problem="none"),
)
FINDING = FindingFact("1-1", "total_differs", "It differs.", START, NOW, "parked: insert.total_differs")


def proven(span: Span = SPAN, by: str = "backfill") -> Proven:
    """An interval that is proven."""
    return Proven(span, by, span.end, "events 17 and 94 stand before and after it")


def certificate(
    facts: Sequence[OrderFact] = (),
    intervals: Sequence[Proven] | None = None,
    findings: Sequence[FindingFact] = (),
    **changes: Any,
) -> Certificate:
    """The certificate of these facts over ``SPAN``, proven as a whole unless told otherwise."""
    reasons, note = changes.pop("reasons", None), changes.pop("sources_note", "")
    given: dict[str, Any] = {"account": "main", "key": KEY, "span": SPAN, "zone": BERLIN, "made_at": NOW} | changes
    builder = CertificateBuilder(**given)
    for each in facts:
        builder.add(each)
    return builder.finish([proven(given["span"])] if intervals is None else intervals, findings, note, reasons)


CURRENCIES = {"EUR": Decimal(1), "USD": Decimal("1.09"), "JPY": Decimal("161.3"), "KWD": Decimal("0.335")}


def life(orders: int, span: Span = SPAN, seed: int = 7) -> Iterator[OrderFact]:
    """Orders as a shop has them: most landed, some cancelled, parked, under way, and very few wrong."""
    rng = random.Random(seed)
    seconds = int(span.length.total_seconds())
    for number in range(orders):
        at = span.start + timedelta(seconds=rng.randrange(seconds), microseconds=rng.randrange(10**6))
        currency = rng.choices(list(CURRENCIES), [60, 25, 10, 5])[0]
        base = Decimal(rng.randrange(500, 40000)) / 100
        total = round_minor(base * CURRENCIES[currency], currency)
        plain = fact(
            f"{310000 + number}-{rng.randrange(10**6):06}",
            at,
            source=source(str(total), currency, base_total=base),
            ledger=ledger(str(total), currency, base_currency="EUR", base_total=base),
            store=store(str(base), "EUR") if rng.random() < 0.2 else store(str(total), currency),
            ready_at=at + timedelta(seconds=rng.randrange(40)),
            accepted_at=at + timedelta(seconds=40 + int(rng.expovariate(1 / 400))),
            read_at=span.end + timedelta(hours=5),
        )
        yield _happened(plain, rng)


def _happened(plain: OrderFact, rng: random.Random) -> OrderFact:
    assert plain.source is not None and plain.ledger is not None and plain.store is not None  # noqa: PT018 - made so
    dice = rng.random()
    if dice < 0.90:
        return plain
    if dice < 0.95:
        return replace(
            plain,
            source=replace(plain.source, status="CANCELLED"),
            ledger=replace(plain.ledger, bucket="cancelled"),
            store=replace(plain.store, state="cancelled"),
        )
    gone = StoreSide(found=False)
    if dice < 0.965:
        reason = rng.choice(["the store does not know SKU TEA-2", "the store's stock is 0, back orders are off"])
        parked = replace(plain.ledger, bucket="parked", parked_code="insert.unknown_sku", parked_reason=reason)
        return replace(plain, source=replace(plain.source, status="READY"), ledger=parked, store=gone, accepted_at=None)
    if dice < 0.98:
        bucket = rng.choice(["under way", "under way", "outcome unknown"])
        ours = replace(plain.ledger, bucket=bucket, open_since=plain.first_event_at)
        return replace(plain, source=replace(plain.source, status="READY"), ledger=ours, store=gone, accepted_at=None)
    if dice < 0.99:
        waits = replace(plain.ledger, bucket="waiting for the provider", open_since=plain.first_event_at)
        there = replace(plain.source, status="RECEIVED")
        return replace(plain, source=there, ledger=waits, store=gone, ready_at=None, accepted_at=None)
    return replace(plain, ledger=replace(plain.ledger, bucket="closed without landing"), store=gone)


times = st.timedeltas(timedelta(days=-8), timedelta(days=40)).map(lambda gap: START + gap)
amounts = st.none() | st.decimals(min_value=-1000, max_value=10**9, places=3, allow_nan=False, allow_infinity=False)
codes = st.sampled_from(["EUR", "USD", "JPY", "KWD", "", "XXX"])
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def _in_minor(amount: Decimal | None, currency: str) -> Decimal | None:
    try:
        exponent(currency)
    except ValueError:
        return amount
    return round_minor(amount, currency) if amount is not None else None


sources = st.builds(
    lambda currency, total, base, base_total, **rest: SourceSide(
        currency=currency,
        total=_in_minor(total, currency),
        base_currency=base,
        base_total=_in_minor(base_total, base),
        **rest,
    ),
    currency=codes,
    total=amounts,
    base=codes,
    base_total=amounts,
    found=st.booleans(),
    status=st.sampled_from([*SourceStatus, "PAUSED", ""]).map(str),
    external_id=words,
    external_number=words,
    content_hash=words,
    problem=words,
)
ledgers = st.builds(
    lambda currency, total, **rest: LedgerSide(currency=currency, total=_in_minor(total, currency), **rest),
    currency=codes,
    total=amounts,
    bucket=st.sampled_from(BUCKETS),
    landing=st.sampled_from(Landing),
    source_status=st.sampled_from(SourceStatus),
    base_currency=codes,
    open_since=st.none() | times,
    parked_code=words,
    parked_reason=words,
    closed=st.booleans(),
    effect_open=st.booleans(),
)
stores = st.builds(
    lambda currency, total, **rest: StoreSide(currency=currency, total=_in_minor(total, currency), **rest),
    currency=codes,
    total=amounts,
    found=st.booleans(),
    several=st.booleans(),
    id=words,
    number=words,
    state=st.sampled_from(["held", "open", "shipped", "cancelled", ""]),
    problem=words,
)
facts_of_any_kind = st.builds(
    OrderFact,
    order=words,
    first_event_at=times,
    source=st.none() | sources,
    ledger=st.none() | ledgers,
    store=st.none() | stores,
    read_at=st.none() | times,
    ready_at=st.none() | times,
    accepted_at=st.none() | times,
)
lists_of_facts = st.lists(facts_of_any_kind, max_size=12, unique_by=lambda each: each.order)
