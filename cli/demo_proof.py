"""The demo's last act: reconcile all three sides with the real flow, certify the range, hold it against all books."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State

from cli.demo_books import AccountBooks, Verdict
from flows.reconcile import reconcile
from ledger import Ledger
from ledger.coverage import proven_from
from models.ids import AccountKey
from models.money import total_of
from models.ranges import Span, day_of, day_span, zone_of
from models.time import utc_now
from reports.certificate import Certificate
from reports.gather import certificate_of
from reports.html import page


class Proof:
    """What the last act came to: its verdict, and the certificates' pages."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.pages: list[Path] = []


async def prove(ledger: Ledger, keys: dict[str, AccountKey], books: list[AccountBooks], folder: Path) -> Proof:
    """Reconcile without repairing, and write the certificates.

    Args:
        ledger: the demo's.
        keys: the accounts by name.
        books: all sides' own books, read before.
        folder: where the pages go.
    """
    first = await _first_day(ledger, keys.values())
    # The real flow, so that it stands in Prefect's UI with its artifacts.
    state: State[Any] = await reconcile(start=first, repair=False, return_state=True)
    proof = Proof(Verdict("the certificate has the sums of both sides' own books, and explains every difference"))
    span = Span(day_span(first, zone_of("UTC")).start, utc_now())
    for account in books:
        key = keys[account.name]
        certificate = await certificate_of(ledger, key, account=account.name, span=span, zone=zone_of("UTC"))
        proof.pages.append(await asyncio.to_thread(_write, folder / f"{account.name}.html", page(certificate)))
        _hold_against(proof.verdict, certificate, account)
    if state.name == "Not all read":
        proof.verdict.against.append(f"the reconciliation ended {state.name}: {state.message}")
    return proof


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def _first_day(ledger: Ledger, keys: Iterable[AccountKey]) -> date:
    """The first day that the demo's ledger knows of; a demo that is run again may be days old."""
    known = [at for key in keys if (at := await proven_from(ledger, key)) is not None]
    return day_of(min(known, default=utc_now() - timedelta(days=1)), zone_of("UTC"))


def _hold_against(verdict: Verdict, certificate: Certificate, books: AccountBooks) -> None:
    """Every currency of the certificate against what the simulated sides really hold."""
    verdict.looked_at += certificate.orders
    landed = {line.order for line in books.ledger if line.bucket == "landed"}
    paid = _sums((line.currency or "?", line.total or Decimal(0)) for line in books.glopal if line.order in landed)
    live = _sums((stored.currency, stored.total) for stored in books.store if stored.live)
    for side, held, state in (("Glopal", paid, "landed"), ("the store", live, "live")):
        certified = {
            line.currency: (tally.orders, tally.total)
            for line in certificate.total
            if (tally := (line.ledger if state == "landed" else line.store)[state]).orders
        }
        for currency in sorted({*held, *certified}):
            if held.get(currency) != certified.get(currency):
                said = f"{side} has {held.get(currency)}, certified are {certified.get(currency)}"
                verdict.against.append(f"{books.name}: {currency}: {said}")
    for each in certificate.total:
        if each.unexplained.orders or each.unexplained.total:
            verdict.against.append(f"{books.name}: {each.currency}: {each.unexplained} is unexplained")


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, tuple[int, Decimal]]:
    found: dict[str, tuple[int, Decimal]] = {}
    for currency, amount in amounts:
        count, total = found.get(currency, (0, Decimal(0)))
        found[currency] = count + 1, total_of([total, amount])
    return found
