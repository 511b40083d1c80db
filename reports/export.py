"""The certificate for programs: JSON, with every order when asked for, and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from models.time import to_text
from reports.canon import RECIPE, Combined, canonical, finding_record, proven_record, record_of, span_record
from reports.counting import RULES
from reports.facts import OrderFact
from reports.model import (
    LANDING_TIMES,
    OPEN_AGES,
    Certificate,
    CurrencyLine,
    DayLine,
    Difference,
    ParkedOrder,
    Standing,
    Tally,
)
from reports.proof import Gap
from reports.sheets import days_csv, orders_csv, read_orders_csv
from reports.words import amount_text

__all__ = ["FORMAT", "as_dict", "days_csv", "orders_csv", "read_orders_csv", "to_json"]

FORMAT = "crossdock certificate 1"


class OtherOrders(ValueError):
    """The orders are not those that the certificate was made of. What was written of them is of no use."""


def to_json(certificate: Certificate, orders: Iterable[OrderFact] | None = None) -> Iterator[str]:
    """The certificate as JSON, piece by piece, and with ``orders`` each order that it was made of, one a line.

    Args:
        certificate: what to write.
        orders: the facts once more; those outside of the range are left out. None writes no orders.

    Raises:
        OtherOrders: at the end, when these are not the orders that the certificate was made of.
    """
    head = json.dumps(as_dict(certificate), indent=1, ensure_ascii=False)
    if orders is None:
        yield f"{head}\n"
        return
    yield f'{head.removesuffix("}").rstrip()},\n "orders": ['
    combined = Combined()
    for fact in orders:
        if certificate.span.contains(fact.first_event_at):
            line = canonical(record_of(fact))
            yield f"{',' if combined.count else ''}\n  {line}"
            combined.add(line)
    yield "\n ]\n}\n"
    if (combined.count, combined.text) != (certificate.orders, certificate.orders_sum):
        raise OtherOrders(
            f"these {combined.count} orders are not the {certificate.orders} that the certificate was made of; "
            "make the certificate anew"
        )


def as_dict(certificate: Certificate) -> dict[str, Any]:
    """The certificate as JSON values, without its orders."""
    listing = certificate.listing
    return {
        "format": FORMAT,
        "account": certificate.account,
        "key": certificate.key,
        "zone": certificate.zone.key,
        **span_record(certificate.span),
        "made_at": to_text(certificate.made_at),
        "margin_seconds": certificate.margin.total_seconds(),
        "sources_note": certificate.sources_note,
        **_standing(certificate.standing),
        "order_count": certificate.orders,
        "total": [_line(line) for line in certificate.total],
        "days": [_day(day) for day in certificate.days],
        "proven": [proven_record(entry) for entry in certificate.proven],
        "gaps": [_gap(gap) for gap in certificate.gaps],
        "findings": [finding_record(finding) for finding in certificate.findings],
        "differences": [_difference(entry) for entry in listing.differences],
        "differences_in_all": listing.differences_in_all,
        "parked": [_parked(entry) for entry in listing.parked],
        "parked_in_all": listing.parked_in_all,
        "listed_at_most": listing.most,
        "charts": _charts(certificate),
        "counting_rules": list(RULES),
        "hash": {
            "sha256": certificate.sha256,
            "orders_sum": certificate.orders_sum,
            "orders_count": certificate.orders,
            "recipe": list(RECIPE),
        },
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "verdict": standing.verdict,
        "complete": standing.complete,
        "agrees": standing.agrees,
        "differing": standing.differing,
        "not_compared": standing.unread,
        "open_findings": standing.findings,
    }


def _day(day: DayLine) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        **span_record(day.proof.window.span),
        "whole_day": day.proof.window.whole,
        "proof": day.proof.proof.value,
        "proven_by": list(day.proof.by),
        "gaps": [_gap(gap) for gap in day.proof.gaps],
        **_standing(day.standing),
        "orders": day.orders,
        "by_state": dict(day.by_state),
        "currencies": [_line(line) for line in day.currencies],
    }


def _line(line: CurrencyLine) -> dict[str, Any]:
    return {
        "currency": line.currency,
        "provider": _tallies(line.provider, line.currency),
        "ledger": _tallies(line.ledger, line.currency),
        "store": _tallies(line.store, line.currency),
        "in_base": line.in_base,
        "difference": _tally(line.difference, line.currency),
        "explained": _tallies(line.explained, line.currency),
        "unexplained": _tally(line.unexplained, line.currency),
    }


def _tallies(tallies: Mapping[str, Tally], currency: str) -> dict[str, Any]:
    return {state: _tally(tally, currency) for state, tally in tallies.items()}


def _tally(tally: Tally, currency: str) -> dict[str, Any]:
    return {"orders": tally.orders, "sum": amount_text(tally.total, currency)}


def _gap(gap: Gap) -> dict[str, Any]:
    return {**span_record(gap.span), "reason": gap.reason}


def _difference(entry: Difference) -> dict[str, Any]:
    return {
        "order": entry.order,
        "day": entry.day.isoformat(),
        "kind": entry.kind,
        "provider": entry.provider,
        "ledger": entry.ledger,
        "store": entry.store,
        "says": entry.says,
        "adds": {currency: _tally(tally, currency) for currency, tally in entry.adds.items()},
    }


def _parked(entry: ParkedOrder) -> dict[str, Any]:
    return {
        "order": entry.order,
        "day": entry.day.isoformat(),
        "since": to_text(entry.since),
        "code": entry.code,
        "reason": entry.reason,
        "currency": entry.currency,
        "total": amount_text(entry.total, entry.currency),
    }


def _charts(certificate: Certificate) -> dict[str, Any]:
    series = certificate.series
    return {
        "ready_to_accepted": dict(zip(LANDING_TIMES, series.landing_time, strict=True)),
        "ready_to_accepted_unknown": series.untimed,
        "age_of_open": {
            state: dict(zip(OPEN_AGES, ages, strict=True)) for state, ages in sorted(series.open_ages.items())
        },
    }
