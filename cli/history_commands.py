"""The commands about history and proof: backfill, reconcile, report, coverage, retry."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.console import plain_errors

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text.")]
From = Annotated[str, typer.Option("--from", help="First day (2026-03-01), or first moment (2026-03-01T06:00+01:00).")]
To = Annotated[
    str | None, typer.Option("--to", help="The day after the last one, or the moment of the end. Left out: now.")
]
Zone = Annotated[str, typer.Option(help="Time zone of days and of times without an offset, e.g. Europe/Berlin.")]
Accounts = Annotated[
    list[str] | None, typer.Option("--account", help="An account of the configuration; may be repeated. All without.")
]


class ModeWord(StrEnum):
    """How a backfill treats what is proven already."""

    FILL_GAPS = "fill-gaps"
    REFRESH = "refresh"


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"
    ALL = "all"


@plain_errors
def backfill(  # noqa: PLR0913, PLR0917 - one for each option
    start: From,
    end: To = None,
    zone: Zone = "UTC",
    account: Accounts = None,
    mode: Annotated[
        ModeWord, typer.Option(help="fill-gaps: only what is not proven yet. refresh: all of it again, on all sides.")
    ] = ModeWord.FILL_GAPS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only plan. Writes nothing.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, max=5000, help="Orders at once in one step.")] = None,
    calls_per_second: Annotated[
        float | None, typer.Option(min=0.01, max=1000, help="Most HTTP calls a second to either side.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a range of days, land what is missing, and prove it. Started again, it goes on where it stopped."""
    from cli.backfill import run_backfill  # noqa: PLC0415
    from cli.problems import load_settings  # noqa: PLC0415

    code = run_backfill(
        load_settings(),
        start,
        end,
        zone,
        account or [],
        mode="refresh" if mode is ModeWord.REFRESH else "fill gaps",
        dry_run=dry_run,
        batch=batch,
        calls_per_second=calls_per_second,
        as_json=as_json,
    )
    raise typer.Exit(code)


@plain_errors
def reconcile(
    start: Annotated[
        str | None, typer.Option("--from", help="First day or moment. Left out: as many days back as --days says.")
    ] = None,
    end: To = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Whole days back, without --from.")] = 7,
    zone: Zone = "UTC",
    account: Accounts = None,
    repair: Annotated[
        bool, typer.Option("--repair/--only-report", help="Mend what is safe and park the rest, or only report.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Compare provider, ledger and store order by order, each read afresh; mend what is safe to mend."""
    from cli.problems import load_settings  # noqa: PLC0415
    from cli.reconcile import run_reconcile_command  # noqa: PLC0415

    code = run_reconcile_command(load_settings(), start, end, days, zone, account or [], repair=repair, as_json=as_json)
    raise typer.Exit(code)


@plain_errors
def report(
    start: From,
    end: To = None,
    zone: Zone = "UTC",
    account: Accounts = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the files; made if missing.")] = Path("reports-out"),
    kind: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.ALL,
) -> None:
    """Write the certificate of a range: a page to file, and CSV and JSON for programs. Reads the ledger only."""
    from cli.problems import load_settings  # noqa: PLC0415
    from cli.report import run_report  # noqa: PLC0415

    run_report(load_settings(), start, end, zone, account or [], folder, kind.value)


@plain_errors
def coverage(
    start: Annotated[str | None, typer.Option("--from", help="First day. Left out: what the ledger knows.")] = None,
    end: To = None,
    zone: Zone = "UTC",
    account: Accounts = None,
    html: Annotated[Path | None, typer.Option(help="Also write the map as a page to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which days of which account are proven complete, which are not, and why."""
    from cli.problems import load_settings  # noqa: PLC0415
    from cli.report import run_coverage  # noqa: PLC0415

    run_coverage(load_settings(), start, end, zone, account or [], html, as_json=as_json)


@plain_errors
def retry(
    reason: Annotated[str, typer.Option(help="Why, in your own words. Kept in each order's story for good.")],
    order: Annotated[str, typer.Argument(help="One order, by any of its numbers.")] = "",
    code: Annotated[
        str, typer.Option(help="All that were parked for this kind of reason, e.g. insert.unknown_sku or insert.")
    ] = "",
    account: Annotated[str, typer.Option(help="All parked orders of this account.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which orders that would be.")] = False,
) -> None:
    """Put parked orders back in line: one, a kind of reason, or all of an account. The next poll tries them."""
    from cli.problems import load_settings  # noqa: PLC0415
    from cli.retry import run_retry  # noqa: PLC0415

    raise typer.Exit(run_retry(load_settings(), reason, order, code, account, dry_run=dry_run, say=console.say))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (backfill, reconcile, report, coverage, retry):
        app.command()(command)
