"""The page and the markdown: nothing in a fact becomes markup, nothing is loaded, long lists are cut and say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from models.currencies import EXPONENTS
from models.ranges import Span
from models.sides import StoreSide
from reports.certificate import Certificate
from reports.charts import ages_chart, amounts_chart, coverage_strip, landing_chart, states_chart
from reports.facts import FindingFact, OrderFact
from reports.html import page
from reports.markdown import safe, summary
from tests.reports.kit import NOW, SPAN, START, certificate, fact, ledger, life, lists_of_facts, proven, source, store

DAY = timedelta(days=1)
EVIL = "<script>alert('1')</script>\"&|`*_[x](javascript:1)\n# big\u202e"
CHARTS = (states_chart, landing_chart, ages_chart, amounts_chart, coverage_strip)
VOID = {"meta", "br", "!doctype"}


class Balanced(HTMLParser):
    """Reads a page and remembers what stands in it and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element without content."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember text."""
        if self.open and self.open[-1] != "style":
            self.text += data


def read(made: Certificate) -> Balanced:
    """The certificate's page, read."""
    parser = Balanced()
    parser.feed(page(made))
    parser.close()
    assert parser.open == []
    return parser


def hostile() -> Certificate:
    """A certificate in which every text is hostile."""
    parked = ledger(bucket="parked", parked_code=EVIL, parked_reason=EVIL)
    facts = [
        fact(EVIL, store=StoreSide(found=False)),
        fact(f"{EVIL}2", ledger=parked, store=store(state=EVIL)),
        fact(f"{EVIL}3", source=source(status=EVIL, currency=EVIL), store=store(currency=EVIL)),
    ]
    found = [FindingFact(EVIL, EVIL, EVIL, START, None, EVIL)]
    gap = Span(START, START + DAY)
    known = [proven(Span(gap.end, SPAN.end), EVIL)]
    return certificate(facts, known, found, account=EVIL, key=EVIL, sources_note=EVIL, reasons={gap: EVIL})


def busy() -> Certificate:
    """A month of orders with gaps, findings, parked orders and differences."""
    facts = list(life(900))
    facts += [fact(f"9-{number:03}", START + number % 30 * DAY, store=StoreSide(found=False)) for number in range(70)]
    found = [FindingFact(f"9-{number:03}", "missing_in_store", "It is gone.", START, None, "") for number in range(60)]
    found.append(FindingFact("9-001", "stuck", "It was stuck.", START, NOW, "woken"))
    return certificate(facts, [proven(Span(START + DAY, SPAN.end))], found, sources_note="read at night")


def test_no_text_of_a_fact_becomes_markup() -> None:
    """A script in an order id, a reason, a status or an account's name is shown, and is no script."""
    parsed = read(hostile())

    assert "script" not in parsed.tags
    assert "<script>alert('1')</script>" in parsed.text
    assert not {name for name, _ in parsed.attributes if name.startswith("on")}
    assert "\u202e" not in page(hostile())


@pytest.mark.parametrize("made", [busy(), hostile(), certificate()], ids=["busy", "hostile", "empty"])
def test_a_page_loads_nothing_and_runs_nothing(made: Certificate) -> None:
    """No address, script, link, image, frame or font: the page is one file, and its policy says so to the browser."""
    text, parsed = page(made), read(made)

    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"url\(|@import|src=|href=", text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(parsed.tags)
    assert "default-src 'none'" in text


def test_a_page_says_what_a_person_files() -> None:
    """Account, range in the zone and in UTC, when it was made, the verdict, the lists, the rules and the hash."""
    made = busy()
    text = read(made).text

    for words in (
        "main (glopal/live/acme)",
        "2026-03-01 00:00 +0100 in Europe/Berlin, that is 2026-02-28 23:00 UTC",
        "2026-03-31 00:00 +0200 in Europe/Berlin, that is 2026-03-30 22:00 UTC, not included",
        "2026-03-31 04:00 UTC",
        "read at night",
        "Not proven: 1 of 30 days is not proven complete (no proof recorded), 70 differences; ",
        "Sun 2026-03-01",
        "not proven: no proof recorded",
        "Not proven, and why",
        "2026-03-01 00:00 +0100 to 2026-03-02 00:00 +0100",
        "paid at the provider and not live in the store",
        "missing in store",
        "1 further finding was mended by now.",
        "the store does not know SKU TEA-2 (insert.unknown_sku)",
        "How this was counted",
        made.sha256,
    ):
        assert words in text
    for day in made.days:
        assert str(day.day) in text


def test_long_lists_are_cut_and_say_so() -> None:
    """Fifty entries are shown, and how many more there are and where."""
    text = read(busy()).text

    assert "… and 20 more; all are in the JSON." in text
    assert "… and 10 more; all are in the JSON." in text
    parked = certificate([fact(f"1-{number:02}", ledger=ledger(bucket="parked")) for number in range(63)])
    assert "… and 13 more; all are in the JSON." in read(parked).text
    assert "1-49" in read(parked).text
    assert "1-50" not in read(parked).text
    few = certificate([fact(f"1-{number}", store=None) for number in range(60)], most_named=55)
    assert "… and 10 more; the JSON has every order." in read(few).text


def test_a_page_of_an_empty_range_is_a_statement() -> None:
    """Nothing happened, and that is proven: 0 orders on each day, and nothing to draw."""
    parsed = read(certificate())

    assert "Proven and agreed." in parsed.text
    assert "The provider spoke of no order in it." in parsed.text
    assert parsed.text.count("✓ proven and agreed0 orders") == 30
    assert "There is nothing to draw." in parsed.text


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ([fact("1-1")], "Its 1 order was read at the provider and in the store, and nothing is unexplained."),
        ([fact("1-1"), fact("1-2")], "All 2 orders were read at the provider and in the store"),
        ([fact("1-1"), fact("1-2", ledger=ledger(bucket="parked"))], "1 of them waits for a person."),
        ([fact("1-1", store=None)], "Among 1 order there is 1 order whose sides could not be compared."),
    ],
)
def test_the_verdict_is_explained_in_sentences(orders: list[OrderFact], words: str) -> None:
    """Below the verdict stands in whole sentences what it means."""
    assert words in read(certificate(orders)).text


def test_a_long_range_is_told_by_months_first() -> None:
    """A year has a table of its months before the one of its days, and its charts have a bar a week."""
    year = Span(START - 300 * DAY, START + 65 * DAY)
    made = certificate(list(life(500, year)), span=year, made_at=year.end + DAY)
    text = read(made).text

    assert "Month by month" in text
    assert "31 of 31 days proven" in text
    assert "a bar for each week" in text
    assert "Month by month" not in read(busy()).text


def test_a_range_of_many_years_has_a_bar_a_month() -> None:
    """However long the range is, the chart has not more bars than fit."""
    long = Span(START - 1000 * DAY, SPAN.end)
    picture = states_chart(certificate(list(life(500, long)), span=long))

    assert 20 < picture.count("month of ") < 40


def test_a_day_that_is_cut_says_so() -> None:
    """A range that ends within a day shows which part of the day is meant."""
    made = certificate([fact()], span=Span(START + DAY / 2, START + 1.25 * DAY))

    assert "12:00 to 24:00 only" in read(made).text
    assert "00:00 to 06:00 only" in read(made).text


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("made", [busy(), hostile(), certificate(), certificate([fact()])])
def test_charts_are_told_to_those_who_cannot_see_them(chart: Any, made: Certificate) -> None:
    """Every chart is well-formed, has a title and a description, and stays within its frame."""
    root = ET.fromstring(chart(made))  # noqa: S314 - our own text
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    ids = root.attrib["aria-labelledby"].split()

    assert root.attrib["role"] == "img"
    assert [f"{root.find(name).attrib['id']}" for name in ("title", "desc")] == ids  # type: ignore[union-attr]
    assert all(root.findtext(name) for name in ("title", "desc"))
    for left, top, right, bottom in boxes(root):
        assert -1 <= left <= right <= width + 1
        assert -1 <= top <= bottom <= height + 1


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("days", [1, 2, 30, 99, 365, 1000])
def test_labels_of_charts_never_overlap(chart: Any, days: int) -> None:
    """However long the range is, no text lies over another one or leaves its chart."""
    span = Span(START, START + days * DAY)
    made = certificate(list(life(60 * min(days, 60), span)), span=span, made_at=span.end)
    root = ET.fromstring(chart(made))  # noqa: S314 - our own text
    placed = list(texts(root))

    assert all(left >= -1 and right <= float(root.attrib["width"]) + 1 for left, _, right, _ in placed)
    for index, (left, top, right, bottom) in enumerate(placed):
        for left2, top2, right2, bottom2 in placed[index + 1 :]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top


@pytest.mark.parametrize("days", range(2, 130, 3))
def test_the_last_date_stays_within_its_chart(days: int) -> None:
    """A date below the last bar is never cut at the edge, however narrow the bars are."""
    span = Span(START, START + days * DAY)
    root = ET.fromstring(states_chart(certificate(span=span, made_at=span.end)))  # noqa: S314 - our own text

    assert all(left >= 0 and right <= float(root.attrib["width"]) for left, _, right, _ in texts(root))


def boxes(root: ET.Element) -> Iterator[tuple[float, float, float, float]]:
    """The places of all shapes and texts."""
    for shape in root.iter("rect"):
        x, y, width, height = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        yield x, y, x + width, y + height
    yield from texts(root)


def texts(root: ET.Element) -> Iterator[tuple[float, float, float, float]]:
    """The places of all texts, a little smaller than they are drawn at most."""
    for label in root.iter("text"):
        x, y = float(label.attrib["x"]), float(label.attrib["y"])
        wide = 0.52 * 12 * len(label.text or "")
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[label.attrib.get("text-anchor", "start")]
        yield left, y - 9, left + wide, y + 1


def test_no_identifier_stands_twice_on_a_page() -> None:
    """Titles and descriptions are found by their ids, which are each there once."""
    ids = [value for name, value in read(busy()).attributes if name == "id"]

    assert len(ids) == len(set(ids)) == 10


@given(lists_of_facts)
def test_any_facts_make_a_page(facts: list[OrderFact]) -> None:
    """Whatever the sides say, the page and the summary are made, and every element is closed."""
    made = certificate(facts)

    assert made.sha256 in read(made).text
    assert made.sha256 in summary(made)


def test_the_summary_is_compact_and_whole() -> None:
    """The verdict, the days, what differs and what is open stand in the markdown, and long lists are cut."""
    text = summary(busy())
    lines = text.splitlines()

    waiting = [line for line in lines if line.startswith("**Not proven: 1 of 30 days is not proven complete")]
    assert len(waiting) == 1
    assert re.search(r"70 differences; \d+ parked orders for a person\.", waiting[0])
    assert sum(bool(re.match(r"\| [■◧□] ", line)) for line in lines) == 30
    assert sum("It is gone." in line for line in lines) == 50
    assert "… and 20 orders more; all are in the JSON." in lines
    assert "… and 10 findings more; all are in the JSON." in lines
    year = Span(START - 300 * DAY, SPAN.end)
    assert sum(line.startswith("| ■ ") for line in summary(certificate(span=year)).splitlines()) == 62
    assert "… and 268 days more; all are in the JSON." in summary(certificate(span=year))


def test_no_text_of_a_fact_becomes_markdown() -> None:
    """A pipe, a new line, a tag or a link in a text is shown as it is, and ends no cell."""
    text = summary(hostile())
    tables = [line for line in text.splitlines() if line.startswith("|")]

    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "\n# big" not in text
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert cells <= {6, 7}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("<b>", "&lt;b&gt;"),
        ("a&lt;", "a&amp;lt;"),
        ("[a](b)", r"\[a\](b)"),
        ("1_2", r"1\_2"),
    ],
)
def test_markdown_is_escaped(text: str, shown: str) -> None:
    """Each character that would mean something is made to mean itself."""
    assert shown == safe(text)


def test_many_currencies_stand_in_tables_side_by_side() -> None:
    """Five currencies share a table; the page never grows wider than paper."""
    codes: Sequence[str] = ("AUD", "CAD", "CHF", "CNY", "DKK", "EUR", "GBP")
    facts = [
        fact(f"1-{code}", source=source(currency=code), ledger=ledger(currency=code), store=store(currency=code))
        for code in codes
    ]

    assert page(certificate(facts)).count('<table class="sums">') == 2


def test_the_chart_of_amounts_says_what_it_leaves_out() -> None:
    """Twelve currencies are drawn, those with most orders first, and how many more there are is said."""
    codes = [code for code in EXPONENTS if code > "T"][:15]
    facts = [
        fact(f"1-{code}", source=source(currency=code), ledger=ledger(currency=code), store=store(currency=code))
        for code in codes
    ]
    picture = amounts_chart(certificate([*facts, *(fact(f"2-{number}") for number in range(3))]))

    assert "… and 4 currencies more, above" in picture
    assert picture.index(">EUR<") < picture.index(f">{min(codes)}<")


def test_an_unexplained_difference_catches_the_eye() -> None:
    """It is marked on the page, and an order that agrees is not."""
    wrong = replace(fact(), store=StoreSide(found=False))

    assert "alarm" in page(certificate([wrong])).partition("</style>")[2]
    assert "alarm" not in page(certificate([fact()])).partition("</style>")[2]
