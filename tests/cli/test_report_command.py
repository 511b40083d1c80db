"""``crossdock report`` and ``crossdock coverage``: the files they write, read back, and what they refuse."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ledger import Ledger
from ledger.coverage import coverage_row
from ledger.events import record_page
from models.ranges import Span
from models.settings import LedgerSettings
from reports.export import read_orders_csv
from reports.verify import verify
from tests.cli.conftest import ACCOUNT, CANARIES, RULES, Run, write_config

DAY = Span(datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC))
RANGE = ["--from", "2026-01-10", "--to", "2026-01-12"]
FILES = {
    "html": ["main-2026-01-10-to-2026-01-11.html"],
    "csv": ["main-2026-01-10-to-2026-01-11-days.csv", "main-2026-01-10-to-2026-01-11-orders.csv"],
    "json": ["main-2026-01-10-to-2026-01-11.json"],
}
ORDERS = {"100-1", "100-2", "100-3", "100-4", "100-6", "../admin"}


async def _prove(path: Path, *spans: Span) -> None:
    ledger = Ledger(LedgerSettings(url=f"sqlite+aiosqlite:///{path}"))
    try:
        rows = [
            coverage_row(ACCOUNT, span, by="backfill", how="every page was read", now=span.end, events=8, pages=1)
            for span in spans
        ]
        await record_page(ledger, ACCOUNT, [], RULES, coverage=rows)
    finally:
        await ledger.dispose()


@pytest.fixture
def proven(books: Path) -> Path:
    """The ledger with one of the range's two days proven complete."""
    asyncio.run(_prove(books, DAY))
    return books


def written(folder: Path) -> list[str]:
    """The names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


class _Loads(HTMLParser):
    """Collects what a page would load from elsewhere, and whether it has scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note addresses and scripts."""
        loads = tag in ("script", "iframe", "object", "embed")
        self.found += [tag] if loads else []
        self.found += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]


# ---------------------------------------------------------------------------- report


def test_a_report_is_four_files_that_read_back(run: Run, proven: Path, folder: Path) -> None:
    """The page, both CSV files and the JSON are written and named; JSON and CSV hold the same orders and verify."""
    said = run("report", *RANGE, "--out", "out").stdout
    names = sorted(name for part in FILES.values() for name in part)
    assert written(folder / "out") == names
    assert all(f"out/{name}" in said for name in names)
    document = json.loads((folder / "out" / FILES["json"][0]).read_text())
    assert verify(document) == ()
    with (folder / "out" / FILES["csv"][1]).open(newline="", encoding="utf-8") as file:
        facts = list(read_orders_csv(file))
    assert {fact.order for fact in facts} == {entry["order"] for entry in document["orders"]} == ORDERS
    assert verify(document, facts) == ()
    assert document["order_count"] == len(ORDERS)
    assert document["verdict"] in said
    days = (folder / "out" / FILES["csv"][0]).read_text(encoding="utf-8")
    assert "2026-01-10" in days
    assert "2026-01-11" in days


def test_the_page_stands_alone(run: Run, proven: Path, folder: Path) -> None:
    """The page says the verdict, names the parked order's reason, and loads nothing from anywhere."""
    run("report", *RANGE, "--out", "out", "--format", "html")
    page = (folder / "out" / FILES["html"][0]).read_text(encoding="utf-8")
    loads = _Loads()
    loads.feed(page)
    assert loads.found == []
    assert not re.search(r"url\(|@import", page)
    assert "HAT-9" in page
    assert "<svg" in page


def test_only_what_was_asked_for_is_written(run: Run, books: Path, folder: Path) -> None:
    """--format picks the files."""
    for kind, names in FILES.items():
        run("report", *RANGE, "--out", kind, "--format", kind)
        assert written(folder / kind) == names


def test_files_are_named_by_the_days_of_the_zone(run: Run, books: Path, folder: Path) -> None:
    """The last day named is the last one inside of the range, in the zone that was given; a folder is made for them."""
    run("report", "--from", "2026-01-10", "--to", "2026-01-11", "--zone", "Asia/Tokyo", "--format", "csv")
    stem = "main-2026-01-10-to-2026-01-10"
    assert written(folder / "reports-out") == [f"{stem}-days.csv", f"{stem}-orders.csv"]


def test_a_report_again_takes_the_place_of_the_one_before(run: Run, books: Path, folder: Path) -> None:
    """The same range written twice is one set of files, and what was not asked for stays."""
    (folder / "out" / "sub").mkdir(parents=True)
    for _ in range(2):
        run("report", *RANGE, "--out", "out/sub", "--format", "json")
    assert written(folder / "out" / "sub") == FILES["json"]
    assert verify(json.loads((folder / "out" / "sub" / FILES["json"][0]).read_text())) == ()


def test_orders_of_other_days_are_left_out(run: Run, books: Path, folder: Path) -> None:
    """A range without orders is a statement, too."""
    run("report", "--from", "2026-01-11", "--to", "2026-01-12", "--out", "out", "--format", "json")
    [path] = (folder / "out").iterdir()
    document = json.loads(path.read_text())
    assert (document["order_count"], document["orders"], len(document["days"])) == (0, [], 1)


def test_each_account_has_files_of_its_own(run: Run, books: Path, folder: Path, config: Path) -> None:
    """Without --account all are written; with it only the ones named."""
    text = config.read_text()
    section = text[text.index("[accounts.main]") : text.index("[stores.shop]")]
    config.write_text(text + section.replace("main", "second").replace('"912"', '"913"'))
    run("report", *RANGE, "--out", "all", "--format", "html")
    assert written(folder / "all") == [FILES["html"][0], FILES["html"][0].replace("main", "second")]
    run("report", *RANGE, "--out", "one", "--format", "html", "--account", "second")
    assert written(folder / "one") == [FILES["html"][0].replace("main", "second")]


def test_no_buyer_and_no_key_is_in_any_file(run: Run, proven: Path, folder: Path) -> None:
    """The ledger holds documents with buyers in them, and no file that goes to a finance person does."""
    assert "canary-buyer.example" in str(proven.read_bytes())
    run("report", *RANGE, "--out", "out")
    run("coverage", *RANGE, "--html", "out/map.html")
    for path in (folder / "out").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not [canary for canary in CANARIES if canary in text], path


# ---------------------------------------------------------------------------- coverage


def test_the_map_tells_each_day_and_why_not(run: Run, proven: Path) -> None:
    """One line a month, the proven day counted, and the rest with its reason."""
    said = run("coverage", *RANGE).stdout
    assert "main: 1 of 2 days proven complete" in said
    assert "2026-01  " in said
    assert "1 of 2 proven" in said
    reason = said.splitlines()[-2]
    assert reason.startswith("2026-01-11")


def test_the_map_for_programs(run: Run, proven: Path) -> None:
    """--json gives each day with its proof, what proved it, and the gaps with their reasons, and nothing else."""
    [found] = json.loads(run("coverage", *RANGE, "--json").stdout)
    assert [(day["day"], day["whole_day"], day["proven_by"]) for day in found["days"]] == [
        ("2026-01-10", True, ["backfill"]),
        ("2026-01-11", True, []),
    ]
    assert (found["account"], found["proven_days"], found["complete"]) == ("main", 1, False)
    [gap] = found["gaps"]
    assert gap["from"] == "2026-01-11T00:00:00.000000Z"
    assert gap["reason"]


def test_the_map_begins_where_the_ledger_begins(run: Run, proven: Path) -> None:
    """Without --from it begins with the first day that anything is known of, and ends now."""
    [found] = json.loads(run("coverage", "--json").stdout)
    assert found["days"][0]["day"] == "2026-01-10"
    assert found["days"][-1]["day"] == f"{datetime.now(UTC).date()}"


def test_a_ledger_that_proves_nothing_shows_a_month(run: Run, books: Path) -> None:
    """Nothing proven is shown as that, for the last days."""
    [found] = json.loads(run("coverage", "--json").stdout)
    assert (found["proven_days"], found["complete"]) == (0, False)
    assert 31 <= len(found["days"]) <= 33


def test_the_map_as_a_page(run: Run, proven: Path, folder: Path) -> None:
    """--html also writes a page that loads nothing; where it lies is said beside, and not in, what programs read."""
    result = run("coverage", *RANGE, "--json", "--html", "map.html")
    assert json.loads(result.stdout)
    assert "written: map.html" in result.stderr
    page = (folder / "map.html").read_text(encoding="utf-8")
    loads = _Loads()
    loads.feed(page)
    assert loads.found == []
    assert "1 of 2 days proven complete" in page


# ---------------------------------------------------------------------------- what is refused


REFUSED = {
    "is after the end": ["--from", "2024-03-02", "--to", "2024-03-01"],
    "is in the future": ["--from", "2999-01-01"],
    "is neither a date (2026-03-01) nor a date and time": ["--from", "yesterday"],
    "did you mean Europe/Berlin": ["--from", "2024-03-01", "--zone", "Europe/Belrin"],
    "known accounts: main": ["--from", "2024-03-01", "--account", "mian"],
}


@pytest.mark.parametrize("command", ["report", "coverage"])
def test_what_cannot_be_meant_is_refused(run: Run, books: Path, folder: Path, command: str) -> None:
    """Plain words on standard error and exit code 1, and no file is written."""
    for words, arguments in REFUSED.items():
        result = run(command, *arguments, code=1)
        assert words in result.stderr
        assert result.stdout == ""
    assert not [path for path in folder.rglob("*") if path.suffix in (".html", ".csv", ".json")]


@pytest.mark.parametrize(
    ("command", "option"), [("report", "--out"), ("coverage", "--html")], ids=["report", "coverage"]
)
def test_a_place_that_cannot_be_written_to_is_told(
    run: Run, books: Path, folder: Path, command: str, option: str
) -> None:
    """A file where a folder should be, and a folder where a file should be: the place and the reason, no traceback."""
    (folder / "taken").write_text("x")
    where = "taken/deeper" if command == "report" else str(folder)
    result = run(command, *RANGE, option, where, code=1)
    assert "cannot be written to" in result.stderr
    assert where.split("/")[-1] in result.stderr
    assert "Errno" not in result.stderr


@pytest.mark.parametrize("command", ["report", "coverage"])
def test_without_a_ledger_the_commands_say_what_makes_one(run: Run, config: Path, command: str) -> None:
    """Looking makes no ledger."""
    assert "there is no ledger yet" in run(command, *RANGE, code=1).stderr
    assert not (config.parent / "ledger.db").exists()


@pytest.mark.parametrize("command", ["report", "coverage"])
def test_a_missing_configuration_is_told(run: Run, command: str) -> None:
    """Without a file the command says where the example is."""
    assert "crossdock.example.toml" in run(command, *RANGE, code=1).stderr


def test_unknown_formats_and_missing_days_are_usage_errors(run: Run, books: Path) -> None:
    """A report needs a first day, and knows its formats."""
    run("report", code=2)
    run("report", *RANGE, "--format", "pdf", code=2)


def test_looking_needs_neither_side(run: Run, proven: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Report and coverage read the ledger only: without any key, and with nobody at the provider's address."""
    monkeypatch.delenv("CROSSDOCK_TEST_KEY")
    write_config(folder, "http://127.0.0.1:9")
    run("report", *RANGE, "--out", "out")
    run("coverage", *RANGE)
