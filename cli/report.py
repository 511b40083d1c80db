"""``crossdock report`` and ``crossdock coverage``: what the ledger can prove, as files and on the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path

from cli import console
from cli.backfill import range_of
from cli.ledger_access import open_ledger
from flows.range_form import Range, names_of
from ledger import Ledger
from ledger.coverage import proven_from
from models.ids import AccountKey
from models.outcome import ConfigurationError
from models.ranges import day_of, zone_of
from models.settings import Settings
from models.time import utc_now
from reports import coverage as coverage_report
from reports.coverage import CoverageMap, coverage_map
from reports.export import to_json
from reports.facts import OrderFact
from reports.gather import MARGIN, certificate_of, gap_reasons, proven_facts
from reports.html import page
from reports.sheets import days_csv, orders_csv

# Without --from, and with a ledger that proves nothing yet, a month is shown.
DAYS_SHOWN = 31


def run_report(
    settings: Settings, start: str, end: str | None, zone: str, accounts: list[str], folder: Path, kind: str
) -> None:
    """Write the files, and say where they are.

    Raises:
        ConfigurationError: the range or an account cannot be meant, or the folder cannot be written to.
    """
    wanted = range_of(start, end, zone)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names_of(settings, accounts):
            asyncio.run(_report(settings, name, wanted, folder, kind))
    except OSError as error:
        raise ConfigurationError(f"the report cannot be written to {folder}: {error.strerror or error}") from None


async def _report(settings: Settings, name: str, wanted: Range, folder: Path, kind: str) -> None:
    key = settings.accounts[name].key_of
    last = day_of(wanted.span.end - timedelta(microseconds=1), wanted.zone)
    stem = folder / f"{name}-{day_of(wanted.span.start, wanted.zone)}-to-{last}"
    orders: list[OrderFact] = []
    async with open_ledger(settings) as ledger:
        certificate = await certificate_of(
            ledger, key, account=name, span=wanted.span, zone=wanted.zone, keep=orders.append
        )
    console.say(f"{name}: {certificate.standing.verdict}")
    if kind in ("html", "all"):
        _write(stem.with_suffix(".html"), [page(certificate)])
    if kind in ("csv", "all"):
        _write(stem.with_name(f"{stem.name}-days.csv"), [days_csv(certificate)])
        _write(stem.with_name(f"{stem.name}-orders.csv"), orders_csv(orders))
    if kind in ("json", "all"):
        _write(stem.with_suffix(".json"), to_json(certificate, orders))


def _write(path: Path, parts: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts)
    console.say(f"  {path}")


def run_coverage(
    settings: Settings,
    start: str | None,
    end: str | None,
    zone: str,
    accounts: list[str],
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show what is proven.

    Raises:
        ConfigurationError: the range or an account cannot be meant, or the page cannot be written.
    """
    maps = [asyncio.run(_map(settings, name, start, end, zone)) for name in names_of(settings, accounts)]
    if as_json:
        console.say_json([coverage_report.as_dict(found) for found in maps])
    else:
        for found in maps:
            for line in coverage_report.text(found):
                console.say(line)
            console.say("")
    if html is not None:
        for number, found in enumerate(maps):
            path = html if len(maps) == 1 else html.with_name(f"{html.stem}-{number + 1}{html.suffix}")
            try:
                path.write_text(coverage_report.html_page(found), encoding="utf-8")
            except OSError as error:
                text = f"the map cannot be written to {path}: {error.strerror or error}"
                raise ConfigurationError(text) from None
            console.complain(f"written: {path}")


async def _map(settings: Settings, name: str, start: str | None, end: str | None, zone: str) -> CoverageMap:
    key = settings.accounts[name].key_of
    async with open_ledger(settings) as ledger:
        first = start or str(await _first_day(ledger, key, zone))
        wanted = range_of(first, end, zone)
        return coverage_map(
            account=name,
            span=wanted.span,
            zone=wanted.zone,
            proven=await proven_facts(ledger, key, wanted.span),
            made_at=ledger.clock(),
            margin=MARGIN,
            reasons=await gap_reasons(ledger, key, wanted.span),
        )


async def _first_day(ledger: Ledger, key: AccountKey, zone: str) -> date:
    """The first day that the ledger knows anything of."""
    known: datetime | None = await proven_from(ledger, key)
    return day_of(known or utc_now() - timedelta(days=DAYS_SHOWN), zone_of(zone))
