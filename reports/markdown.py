"""The certificate as markdown for a Prefect artifact: the verdict, the days, what differs, what is open."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports.counting import UNEXPLAINED
from reports.model import Certificate, CurrencyLine, DayLine, Difference, Tally
from reports.proof import MARKS
from reports.words import count, day_text, grouped, length, plain, span_text, utc

MOST_DAYS = 62
MOST_ENTRIES = 50
_SPECIAL = re.compile(r"([\\`*_\[\]{}#!~|])")


def safe(text: object) -> str:
    """A text in which nothing is markdown or markup, on one line."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(plain(str(text)).split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def summary(certificate: Certificate) -> str:
    """The whole summary."""
    standing, span = certificate.standing, certificate.span
    words = standing.verdict[:1].upper() + standing.verdict[1:]
    instants = f"that is {utc(span.start)} to {utc(span.end)}. Made {utc(certificate.made_at)}."
    proven = f"{certificate.proven_days:,} of {count(len(certificate.days), 'day')} proven"
    differ = f"{count(standing.differing, 'difference')}; {standing.unread:,} not compared"
    parts = [
        f"# Certificate of {safe(certificate.account)}",
        f"**{safe(words)}.**",
        f"{safe(span_text(span, certificate.zone))} in {safe(certificate.zone.key)}, {instants}",
        f"{count(certificate.orders, 'order')}; {proven}; {differ}; {certificate.listing.parked_in_all:,} parked.",
        *_section("Sums", _sums(certificate.total)),
        *_section("Days", _days(certificate)),
        *_section("Not proven, and why", _gaps(certificate)),
        *_section("Orders that differ", _differences(certificate)),
        *_section("Open findings", _findings(certificate)),
        f"SHA-256 of the data: `{certificate.sha256}`",
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(lines)] if lines else []


def _table(columns: str, rows: Iterable[Iterable[str]]) -> list[str]:
    """A table; a column whose name ends with a colon stands right."""
    names = columns.split("|")
    head = [f"| {' | '.join(name.rstrip(':') for name in names)} |"]
    head.append(f"|{'|'.join('---:' if name.endswith(':') else '---' for name in names)}|")
    return head + [f"| {' | '.join(cells)} |" for cells in rows]


def _money(tally: Tally, currency: str) -> str:
    return grouped(tally.total, currency)


def _sums(lines: Iterable[CurrencyLine]) -> list[str]:
    rows = []
    for line in lines:
        sides = (line.provider["paid"], line.ledger["landed"], line.store["live"], line.difference, line.unexplained)
        cells = [f"{_money(tally, line.currency)} ({tally.orders:,})" for tally in sides]
        rows.append([safe(line.currency), *cells])
    if not rows:
        return ["The provider spoke of no order in this range."]
    return _table(
        "currency|paid at the provider:|landed in the ledger:|live in the store:|difference:|unexplained:", rows
    )


def _days(certificate: Certificate) -> list[str]:
    shown = certificate.days[:MOST_DAYS]
    rows = [
        [
            f"{MARKS[day.proof.proof]} {day_text(day.day)}",
            safe(day.standing.verdict),
            f"{day.orders:,}",
            f"{_paid(day):,}",
            f"{_live(day):,}",
            _unexplained(day),
        ]
        for day in shown
    ]
    lines = _table("day|proven and agreed?|orders:|paid:|live:|unexplained:", rows)
    return lines + _more(len(certificate.days), len(shown), "day")


def _paid(day: DayLine) -> int:
    return sum(line.provider["paid"].orders for line in day.currencies)


def _live(day: DayLine) -> int:
    return sum(line.store["live"].orders for line in day.currencies)


def _unexplained(day: DayLine) -> str:
    found = [
        f"{_money(line.unexplained, line.currency)} {safe(line.currency)}"
        for line in day.currencies
        if line.unexplained.orders or line.unexplained.total
    ]
    return ", ".join(found) or "0"


def _more(in_all: int, shown: int, one: str) -> list[str]:
    return ["", f"… and {count(in_all - shown, one)} more; all are in the JSON."] if in_all > shown else []


def _gaps(certificate: Certificate) -> list[str]:
    shown = certificate.gaps[:MOST_ENTRIES]
    lines = [f"- {safe(span_text(gap.span, certificate.zone))}: {safe(gap.reason)}" for gap in shown]
    return lines + _more(len(certificate.gaps), len(shown), "gap")


def _differences(certificate: Certificate) -> list[str]:
    listing = certificate.listing
    shown = listing.differences[:MOST_ENTRIES]
    if not shown:
        return []
    rows = [[safe(entry.order), str(entry.day), _says(entry), *_sides(entry)] for entry in shown]
    lines = _table("order|day|what is wrong|provider|ledger|store", rows)
    return lines + _more(listing.differences_in_all, len(shown), "order")


def _says(entry: Difference) -> str:
    return f"**{safe(entry.says)}**" if entry.kind == UNEXPLAINED else safe(entry.says)


def _sides(entry: Difference) -> list[str]:
    return [safe(side) for side in (entry.provider, entry.ledger, entry.store)]


def _findings(certificate: Certificate) -> list[str]:
    found = [finding for finding in certificate.open_findings if finding.mismatch != "parked"]
    shown = found[:MOST_ENTRIES]
    if not shown:
        return []
    rows = [
        [
            safe(finding.mismatch.replace("_", " ")),
            safe(finding.order),
            length(certificate.made_at - finding.since),
            safe(finding.explanation),
            safe(finding.action or "nothing yet"),
        ]
        for finding in shown
    ]
    lines = _table("class|order|open for|what was found|what is done about it", rows)
    return lines + _more(len(found), len(shown), "finding")
