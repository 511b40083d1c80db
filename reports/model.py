"""The certificate: what it says, and nothing of how it is computed or shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from models.ranges import Span
from reports.facts import FindingFact, Proven
from reports.proof import DayProof, Gap, Proof


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of orders and the exact sum of their amounts. In a difference both may be negative."""

    orders: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class CurrencyLine:
    """The three sides of a day, or of the whole range, in one currency.

    Attributes:
        currency: ISO 4217, or ``?`` for orders of which no usable currency is known.
        provider: by state, see ``counting.PROVIDER_STATES``.
        ledger: by state, see ``counting.LEDGER_STATES``.
        store: by state, see ``counting.STORE_STATES``.
        in_base: store orders that are kept in the merchant's currency and count with what the buyer paid.
        difference: paid at the provider less live in the store.
        explained: the parts of the difference by explanation, see ``counting.EXPLANATIONS``.
        unexplained: the rest of it.
    """

    currency: str
    provider: Mapping[str, Tally]
    ledger: Mapping[str, Tally]
    store: Mapping[str, Tally]
    in_base: int
    difference: Tally
    explained: Mapping[str, Tally]
    unexplained: Tally


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a day or the range is proven and agrees.

    Attributes:
        complete: every event of the provider's is in the ledger.
        agrees: nothing differs and nothing was left unread.
        differing: orders with an unexplained difference, with another amount in the ledger, or with an open finding.
        unread: further orders whose sides could not be compared.
        findings: open findings, those of parked orders not counted.
        verdict: all of that in plain words.
    """

    complete: bool
    agrees: bool
    differing: int
    unread: int
    findings: int
    verdict: str


@dataclass(frozen=True, slots=True)
class DayLine:
    """One day of the certificate. A day without orders is a statement, too.

    Attributes:
        proof: what is proven of the day.
        orders: of which the provider first spoke on that day.
        currencies: one line each; none for a day without orders.
        by_state: orders by the ledger's state, all currencies together.
        standing: whether it is proven and agrees.
    """

    proof: DayProof
    orders: int
    currencies: tuple[CurrencyLine, ...]
    by_state: Mapping[str, int]
    standing: Standing

    @property
    def day(self) -> date:
        """The day on the zone's calendar."""
        return self.proof.window.day


@dataclass(frozen=True, slots=True)
class Difference:
    """One order of which the sides do not agree, or could not be compared.

    Attributes:
        order: the provider's order id.
        day: its day.
        kind: unexplained, not read, or ledger.
        provider: what the provider has, in words.
        ledger: what the ledger has, in words.
        store: what the store has, in words.
        says: what is wrong, in plain words.
        adds: what it adds to the difference, by currency.
    """

    order: str
    day: date
    kind: str
    provider: str
    ledger: str
    store: str
    says: str
    adds: Mapping[str, Tally]


@dataclass(frozen=True, slots=True)
class ParkedOrder:
    """An order that waits for a person."""

    order: str
    day: date
    since: datetime
    code: str
    reason: str
    currency: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class Listing:
    """Orders by name: the first few of them, and how many there are.

    Attributes:
        differences: the unexplained first, each kind by day and order.
        parked: by day and order.
        differences_in_all: how many there are, listed or not.
        parked_in_all: the same of parked orders.
        most: of each as many are listed at most.
    """

    differences: tuple[Difference, ...]
    parked: tuple[ParkedOrder, ...]
    differences_in_all: int
    parked_in_all: int
    most: int


@dataclass(frozen=True, slots=True)
class Series:
    """What the charts draw beside the days.

    Attributes:
        landing_time: orders by the time from READY to accepted, in the order of ``LANDING_TIMES``.
        untimed: landed orders of which one of the two moments is not known.
        open_ages: orders that are not settled, by the ledger's state, in the order of ``OPEN_AGES``.
    """

    landing_time: tuple[int, ...]
    untimed: int
    open_ages: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proven of one account in a range, and what its three sides come to.

    Attributes:
        account: the account's name in the settings.
        key: provider, environment and account at the provider.
        span: the range.
        zone: in whose days it is told.
        made_at: when it was made.
        margin: what is younger than this when it is made is never proven, because events appear late.
        sources_note: where the facts come from, in plain words.
        orders: how many orders count.
        days: each day of the range.
        total: all days together, by currency.
        standing: of the range.
        proven: the proven intervals.
        gaps: what of the range is not proven, and why.
        findings: all of them, those that were mended later included.
        listing: differences and parked orders by name.
        series: for the charts.
        orders_sum: the combined hash of the orders.
        sha256: the hash of all that this was computed from.
    """

    account: str
    key: str
    span: Span
    zone: ZoneInfo
    made_at: datetime
    margin: timedelta
    sources_note: str
    orders: int
    days: tuple[DayLine, ...]
    total: tuple[CurrencyLine, ...]
    standing: Standing
    proven: tuple[Proven, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[FindingFact, ...]
    listing: Listing
    series: Series
    orders_sum: str
    sha256: str

    @property
    def open_findings(self) -> tuple[FindingFact, ...]:
        """The findings that no later run found mended, the oldest first."""
        return tuple(finding for finding in self.findings if finding.closed_at is None)

    @property
    def proven_days(self) -> int:
        """How many days are proven as far as they lie in the range."""
        return sum(day.proof.proof is Proof.FULL for day in self.days)


LANDING_TIMES = ("< 1 min", "1–5 min", "5–15 min", "15–60 min", "1–6 h", "6–24 h", "1–3 d", "> 3 d", "not yet")
LANDING_EDGES = tuple(timedelta(seconds=seconds) for seconds in (60, 300, 900, 3600, 6 * 3600, 86400, 3 * 86400))
OPEN_AGES = ("< 1 h", "1–6 h", "6–24 h", "1–3 d", "3–7 d", "> 7 d")
OPEN_EDGES = tuple(timedelta(seconds=seconds) for seconds in (3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400))
OPEN_STATES = ("parked", "outcome unknown", "under way", "waiting")
