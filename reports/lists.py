"""What a certificate's page lists by name: gaps, orders that differ, open findings and parked orders."""

from __future__ import annotations

from reports.counting import UNEXPLAINED
from reports.facts import FindingFact
from reports.markup import cell, decimals, money, row, section, table
from reports.model import Certificate, Difference, ParkedOrder
from reports.words import count, escape, length, span_text

MOST_ROWS = 50
_LONGEST_LINE = 32


def gaps(certificate: Certificate) -> str:
    """What of the range is not proven, and why."""
    if not certificate.gaps:
        return section("Not proven, and why", "<p>Every part of the range is proven complete.</p>")
    rows = [
        row(cell(span_text(gap.span, certificate.zone), "nowrap"), cell(length(gap.span.length), "n"), cell(gap.reason))
        for gap in certificate.gaps[:MOST_ROWS]
    ]
    body = table(["From and to", ("Length", "n"), "Why"], rows)
    return section("Not proven, and why", body + _more(len(certificate.gaps), len(rows)))


def _order(order: str) -> str:
    """An order id, on one line unless it is a very long one."""
    return cell(order, "nowrap" if len(order) <= _LONGEST_LINE else "id")


def _more(in_all: int, shown: int, where: str = "all are in the JSON") -> str:
    return f'<p class="soft">… and {in_all - shown:,} more; {where}.</p>' if in_all > shown else ""


def differences(certificate: Certificate) -> str:
    """Orders of which the sides do not agree or could not be compared."""
    listing = certificate.listing
    if not listing.differences_in_all:
        return section(
            "Orders that differ", "<p>None: what is paid at the provider is live in the store, or explained.</p>"
        )
    rows = [_difference_row(entry) for entry in listing.differences[:MOST_ROWS]]
    body = table(["Order", "Day", "What is wrong", "Provider", "Ledger", "Store"], rows)
    where = (
        "all are in the JSON" if len(listing.differences) == listing.differences_in_all else "the JSON has every order"
    )
    return section("Orders that differ", body + _more(listing.differences_in_all, len(rows), where))


def _difference_row(entry: Difference) -> str:
    kind = "alarm" if entry.kind == UNEXPLAINED else ""
    return row(
        _order(entry.order),
        cell(str(entry.day), "nowrap"),
        cell(entry.says, kind),
        *(cell(side) for side in (entry.provider, entry.ledger, entry.store)),
    )


def findings(certificate: Certificate) -> str:
    """Open findings, the oldest first; those of parked orders stand with these."""
    found = [finding for finding in certificate.open_findings if finding.mismatch != "parked"]
    mended = len(certificate.findings) - len(certificate.open_findings)
    closed = f"{count(mended, 'further finding')} {'was' if mended == 1 else 'were'} mended by now."
    note = f'<p class="soft">{escape(closed)}</p>' if mended else ""
    if not found:
        return section("Open findings", f"<p>None.</p>{note}")
    rows = [_finding_row(finding, certificate) for finding in found[:MOST_ROWS]]
    body = table(["Class", "Order", ("Open for", "n"), "What was found", "What is done about it"], rows)
    return section("Open findings", body + _more(len(found), len(rows)) + note)


def _finding_row(finding: FindingFact, certificate: Certificate) -> str:
    return row(
        cell(finding.mismatch.replace("_", " ")),
        _order(finding.order),
        cell(length(certificate.made_at - finding.since), "n"),
        cell(finding.explanation),
        cell(finding.action or "nothing yet"),
    )


def parked(certificate: Certificate) -> str:
    """Orders that wait for a person."""
    listing = certificate.listing
    if not listing.parked_in_all:
        return section("Parked orders", "<p>None: no order waits for a person.</p>")
    rows = [_parked_row(entry, certificate) for entry in listing.parked[:MOST_ROWS]]
    body = table(["Order", "Day", ("Waiting for", "n"), ("Amount", "n"), "", "Reason"], rows)
    where = "all are in the JSON" if len(listing.parked) == listing.parked_in_all else "the JSON has every order"
    return section("Parked orders", body + _more(listing.parked_in_all, len(rows), where))


def _parked_row(entry: ParkedOrder, certificate: Certificate) -> str:
    return row(
        _order(entry.order),
        cell(str(entry.day), "nowrap"),
        cell(length(certificate.made_at - entry.since), "n"),
        f'<td class="n">{money(entry.total, entry.currency, decimals(certificate.total))}</td>',
        cell(entry.currency),
        cell(f"{entry.reason} ({entry.code})" if entry.reason else entry.code),
    )
