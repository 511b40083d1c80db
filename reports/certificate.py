"""Builds a certificate from a stream of orders, of which it keeps sums, a hash and a few names only."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from models.ranges import Span, windows
from models.time import require_utc
from reports.canon import Combined, canonical, finding_record, fingerprint, in_order, proven_record, record_of
from reports.counting import UNEXPLAINED, Counted, count_order
from reports.facts import FindingFact, OrderFact, Proven
from reports.listing import Names
from reports.model import (
    LANDING_EDGES,
    LANDING_TIMES,
    OPEN_AGES,
    OPEN_EDGES,
    OPEN_STATES,
    Certificate,
    CurrencyLine,
    DayLine,
    Series,
    Standing,
    Tally,
)
from reports.proof import DayProof, day_proofs, find_gaps
from reports.sums import DaySums
from reports.verdict import day_standing, whole_standing
from reports.words import count

__all__ = ["Certificate", "CertificateBuilder", "CurrencyLine", "DayLine", "Standing", "Tally"]

MOST_NAMED = 1000
_DIFFERS, _UNREAD, _PARKED = 1, 2, 4
_NOT_LANDED = {"parked", "outcome unknown", "under way"}


class CertificateBuilder:
    """Takes the orders one by one, in any order, and makes the certificate of them.

    Eleven bytes are kept for each order, so that open findings find their order's day and no order counts twice.
    """

    def __init__(
        self,
        *,
        account: str,
        key: str,
        span: Span,
        zone: ZoneInfo,
        made_at: datetime,
        margin: timedelta = timedelta(0),
        most_named: int = MOST_NAMED,
    ) -> None:
        """Begin a certificate.

        Args:
            account: the account's name in the settings.
            key: provider, environment and account at the provider, e.g. ``glopal/live/acme``.
            span: the range. Only orders of which the provider first spoke in it count.
            zone: whose days the certificate tells.
            made_at: now.
            margin: how young an event may be and still be missing without anybody's fault.
            most_named: how many differences, and how many parked orders, are listed by name.
        """
        self._account, self._key, self._span, self._zone = account, key, span, zone
        self._made_at, self._margin = require_utc(made_at), margin
        self._starts = [window.span.start for window in windows(span, zone)]
        self._days = [DaySums() for _ in self._starts]
        self._total = DaySums()
        self._combined = Combined()
        self._ids, self._on, self._flags = array("Q"), array("I"), array("B")
        self._names = Names(most_named, zone)
        self._landing_time = [0] * len(LANDING_TIMES)
        self._untimed = 0
        self._open_ages = {state: [0] * len(OPEN_AGES) for state in OPEN_STATES}

    def add(self, fact: OrderFact) -> bool:
        """Count one order; False when the provider first spoke of it outside of the range. Add each order once.

        Raises:
            ValueError: one of its times has no time zone.
        """
        if not self._span.contains(fact.first_event_at):
            return False
        day = bisect_right(self._starts, fact.first_event_at) - 1
        counted = count_order(fact)
        self._combined.add(canonical(record_of(fact)))
        self._days[day].add(counted)
        self._total.add(counted)
        differs = counted.because == UNEXPLAINED or bool(counted.ledger_says)
        self._ids.append(_id_hash(fact.order))
        self._on.append(day)
        parked = fact.ledger is not None and bool(fact.ledger.parked_code)
        self._flags.append(_DIFFERS * differs | _UNREAD * bool(counted.unread) | _PARKED * parked)
        self._names.take(fact, counted)
        self._take_times(fact, counted)
        return True

    def added(self, orders: Iterable[str]) -> frozenset[str]:
        """Which of these orders were added and count, e.g. to leave out the findings of other days."""
        wanted = {_id_hash(order): order for order in orders}
        return frozenset(wanted[order] for order in self._ids if order in wanted)

    def _take_times(self, fact: OrderFact, counted: Counted) -> None:
        state = counted.ledger.state
        if fact.ready_at is not None and fact.accepted_at is not None:
            self._landing_time[bisect_right(LANDING_EDGES, fact.accepted_at - fact.ready_at)] += 1
        elif fact.ready_at is not None and state in _NOT_LANDED:
            self._landing_time[-1] += 1
        elif state == "landed":
            self._untimed += 1
        if fact.ledger is not None and state in self._open_ages:
            since = fact.ledger.open_since or fact.ready_at or fact.first_event_at
            self._open_ages[state][bisect_right(OPEN_EDGES, self._made_at - since)] += 1

    def finish(
        self,
        proven: Iterable[Proven],
        findings: Iterable[FindingFact],
        sources_note: str = "",
        reasons: Mapping[Span, str] | None = None,
    ) -> Certificate:
        """Make the certificate of all that was added.

        Args:
            proven: the account's proven intervals; those outside of the range are left out.
            findings: of orders of the range, open and closed. One whose order was not added counts for the range
                and for no day.
            sources_note: where the facts come from, in plain words.
            reasons: why gaps are gaps, by any spans that contain them; the builder knows the other reasons itself.

        Raises:
            ValueError: an order was added twice.
        """
        if again := len(self._ids) - len(set(self._ids)):
            raise ValueError(f"{again} of the orders were added more than once")
        intervals = in_order((entry for entry in proven if entry.span.overlap(self._span)), proven_record)
        known = in_order(findings, finding_record)
        missing = find_gaps(self._span, intervals, self._made_at, self._margin, reasons)
        proofs = day_proofs(self._span, self._zone, intervals, missing, self._made_at)
        days, undated = self._day_lines(proofs, known)
        standing = whole_standing([day.proof for day in days], [day.standing for day in days], missing, undated)
        listing = self._names.listing()
        if listing.parked_in_all:
            # They are explained, and yet nobody must read over them.
            waits = f"{count(listing.parked_in_all, 'parked order')} for a person"
            standing = replace(standing, verdict=f"{standing.verdict}; {waits}")
        return Certificate(
            account=self._account,
            key=self._key,
            span=self._span,
            zone=self._zone,
            made_at=self._made_at,
            margin=self._margin,
            sources_note=sources_note,
            orders=self._combined.count,
            days=days,
            total=self._total.lines(),
            standing=standing,
            proven=tuple(sorted(intervals, key=lambda entry: (entry.span.start, entry.span.end))),
            gaps=missing,
            findings=tuple(sorted(known, key=lambda finding: (finding.since, finding.order, finding.mismatch))),
            listing=listing,
            series=self._series(),
            orders_sum=self._combined.text,
            sha256=self._hash(intervals, known),
        )

    def _series(self) -> Series:
        ages = {state: tuple(numbers) for state, numbers in self._open_ages.items()}
        return Series(tuple(self._landing_time), self._untimed, ages)

    def _hash(self, intervals: Iterable[Proven], findings: Iterable[FindingFact]) -> str:
        return fingerprint(
            self._key,
            self._span,
            self._zone.key,
            [proven_record(entry) for entry in intervals],
            [finding_record(finding) for finding in findings],
            (self._combined.count, self._combined.text),
        )

    def _day_lines(
        self, proofs: Sequence[DayProof], findings: Sequence[FindingFact]
    ) -> tuple[tuple[DayLine, ...], tuple[int, int]]:
        """The days, and of the findings whose order was not added: how many orders they name, and how many they are."""
        against: dict[int, int] = {}
        for finding in findings:
            if finding.closed_at is None and finding.mismatch != "parked":
                order = _id_hash(finding.order)
                against[order] = against.get(order, 0) + 1
        differing, unread, found = ([0] * len(proofs) for _ in range(3))
        for order, day, flags in zip(self._ids, self._on, self._flags, strict=True):
            number = against.pop(order, 0)
            if flags & _PARKED:
                # Whatever is found about it, a person has it already.
                number = 0
            found[day] += number
            if number or flags & _DIFFERS:
                differing[day] += 1
            elif flags & _UNREAD:
                unread[day] += 1
        lines = tuple(
            DayLine(
                proof,
                sums.orders,
                sums.lines(),
                sums.states(),
                day_standing(proof, differing[number], unread[number], found[number]),
            )
            for number, (proof, sums) in enumerate(zip(proofs, self._days, strict=True))
        )
        return lines, (len(against), sum(against.values()))


def _id_hash(order: str) -> int:
    """Eight bytes that stand for an order id. Two of a million orders share one with a chance of one to 30 million."""
    return int.from_bytes(hashlib.sha256(order.encode("utf-8", "surrogatepass")).digest()[:8], "big")
