"""The certificate against the sandbox's own books, which are added up here by other means."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.ranges import Span
from reports.certificate import Certificate, CurrencyLine
from reports.export import to_json
from reports.facts import OrderFact
from reports.gather import certificate_of
from reports.verify import verify
from tasks import compare
from tests.trust.conftest import Worlds
from tests.trust.deeds import Act, at_provider, do, forget, in_store, raise_total, second_store_order
from tests.trust.history import at_present, put, raw
from tests.trust.reconciling import reconciled, rest, whole_feed
from tests.trust.world import ACCOUNT, World

BERLIN = ZoneInfo("Europe/Berlin")
MIX = {"plain": 30, "tiny": 1, "received": 2, "cancelled_early": 1, "cancelled_ready": 1, "cancelled_late": 3}
MIX |= dict.fromkeys("cancelled_during reordered reordered_cancel poison_total poison_currency poison_id".split(), 1)
MIX |= dict.fromkeys("poison_negative poison_no_items poison_no_total poison_status".split(), 1)
MIX |= dict.fromkeys("poison_unknown_sku poison_out_of_stock".split(), 1)
NOTHING = (0, Decimal(0))
# Number and sum, by the day (or None for all of them), the currency and the state.
Sums = dict[tuple[date | None, str, str], tuple[int, Decimal]]
PAID = ("READY", "ACCEPTED", "COMPLETED")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once."""
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)


async def lived(worlds: Worlds) -> World:
    """A world in which three days of orders of all kinds came to their rest."""
    world = await at_present(worlds)
    world.sandbox.generate(90, seed=7, mix=MIX, hours=72)
    await rest(world)
    for order, book in world.sandbox.orders().items():
        if book["story"] == "cancelled_late":
            world.sandbox.advance(order, "CANCELLED")
    await rest(world)
    world.clock.forward(hours=1)
    return world


# ---------------------------------------------------------------------- the books, added up


def days_of(world: World) -> dict[str, date]:
    """The day of each order: of its first event, on Berlin's calendar."""
    first: dict[str, datetime] = {}
    for event in world.sandbox.feed():
        at = datetime.fromisoformat(event["event_at"])
        first[event["order_id"]] = min(at, first.get(event["order_id"], at))
    return {order: at.astimezone(BERLIN).date() for order, at in first.items()}


class Adding:
    """Adds up, by day and for all days."""

    def __init__(self) -> None:
        self.sums: Sums = defaultdict(lambda: NOTHING)

    def add(self, day: date, currency: str, state: str, orders: int, amount: Decimal) -> None:
        """Add to a day and to the whole."""
        for key in ((day, currency, state), (None, currency, state)):
            number, total = self.sums[key]
            self.sums[key] = (number + orders, total + amount)


def amounts_of(world: World, order: str, book: Mapping[str, Any]) -> tuple[str, Decimal]:
    """What an order counts with: nothing where the provider names no currency, or none that there is."""
    if book["story"] in ("poison_id", "poison_currency"):
        return "?", Decimal(0)
    return book["currency"], Decimal(book["total"] or 0)


def provider_sums(world: World) -> Sums:
    """What the provider's books come to."""
    added, days = Adding(), days_of(world)
    states = {**dict.fromkeys(PAID, "paid"), "RECEIVED": "waiting", "CANCELLED": "cancelled"}
    for order, book in world.sandbox.orders().items():
        odd = book["story"] in ("poison_status", "poison_id")
        added.add(days[order], *_place(world, order, book, "other" if odd else states[book["status"]]))
    return added.sums


def _place(world: World, order: str, book: Mapping[str, Any], state: str) -> tuple[str, str, int, Decimal]:
    currency, amount = amounts_of(world, order, book)
    return currency, state, 1, amount


def store_sums(world: World) -> Sums:
    """What the store's books come to, with the orders that it does not have."""
    added, days = Adding(), days_of(world)
    held = {order["reference"]: order for order in world.sandbox.store_books()["orders"].values()}
    for order, book in world.sandbox.orders().items():
        there = held.get(world.reference(order))
        if there is None:
            added.add(days[order], amounts_of(world, order, book)[0], "missing", 1, Decimal(0))
            continue
        state = "cancelled" if there["state"] == "cancelled" else "live"
        added.add(days[order], there["currency"], state, 1, Decimal(there["total"]))
    return added.sums


def ledger_states(world: World) -> dict[tuple[date | None, str], int]:
    """Where each order of the books has to be in the ledger, by the day."""
    days, found = days_of(world), defaultdict[tuple[date | None, str], int](int)
    for order, book in world.sandbox.orders().items():
        state = {"CANCELLED": "cancelled", "RECEIVED": "waiting"}.get(book["status"], "landed")
        state = "parked" if book["story"].startswith("poison") else state
        for day in (days[order], None):
            found[day, state] += 1
    return found


def landed_sums(world: World) -> Sums:
    """What was accepted and is live, by the provider's books."""
    added, days = Adding(), days_of(world)
    for order, book in world.sandbox.orders().items():
        if book["accepts"] and book["status"] in PAID:
            added.add(days[order], *_place(world, order, book, "landed"))
    return added.sums


# ---------------------------------------------------------------------- the certificate, taken apart


def sums_of(certificate: Certificate, side: str, states: Iterable[str] | None = None) -> Sums:
    """What the certificate says of one side, without the empty ones."""
    told: Sums = {}
    lines: list[tuple[date | None, CurrencyLine]] = [(None, line) for line in certificate.total]
    lines += [(day.day, line) for day in certificate.days for line in day.currencies]
    for day, line in lines:
        for state, tally in getattr(line, side).items():
            if (tally.orders or tally.total) and (states is None or state in states):
                told[day, line.currency, state] = (tally.orders, tally.total)
    return told


def unexplained_of(certificate: Certificate) -> Sums:
    """The unexplained difference by day and currency, without the empty ones."""
    lines: list[tuple[date | None, CurrencyLine]] = [(None, line) for line in certificate.total]
    lines += [(day.day, line) for day in certificate.days for line in day.currencies]
    told = {(day, line.currency, ""): (line.unexplained.orders, line.unexplained.total) for day, line in lines}
    return {key: value for key, value in told.items() if value != NOTHING}


def states_of(certificate: Certificate) -> dict[tuple[date | None, str], int]:
    """Orders by the ledger's state and the day, without the empty ones."""
    told = defaultdict[tuple[date | None, str], int](int)
    for day in certificate.days:
        for state, number in day.by_state.items():
            told[day.day, state] += number
            told[None, state] += number
    return {key: number for key, number in told.items() if number}


async def certified(world: World, span: Span, orders: list[OrderFact] | None = None) -> Certificate:
    """The certificate of a range, of what the ledger has now."""
    keep = orders.append if orders is not None else None
    return await certificate_of(world.checker, world.key, account=ACCOUNT, span=span, zone=BERLIN, keep=keep)


def adds_up(world: World, certificate: Certificate) -> None:
    """The certificate says what the books say, on each side, each day, in each currency."""
    assert sums_of(certificate, "provider") == provider_sums(world)
    assert sums_of(certificate, "store") == store_sums(world)
    assert sums_of(certificate, "ledger", ["landed"]) == landed_sums(world)
    assert states_of(certificate) == ledger_states(world)
    assert certificate.orders == len(world.sandbox.orders())
    for line in certificate.total:
        paid, live = line.provider["paid"], line.store["live"]
        told = (line.difference.orders, line.difference.total)
        assert told == (paid.orders - live.orders, paid.total - live.total), line.currency


# ---------------------------------------------------------------------- agreeing


async def books_and_certificate(worlds: Worlds) -> None:
    """What was landed, parked, cancelled or waits is told as the books have it, and nothing is unexplained."""
    world = await lived(worlds)
    span = whole_feed(world)
    result = await reconciled(world, span=span, zone=BERLIN.key)
    orders: list[OrderFact] = []
    certificate = await certified(world, span, orders)
    adds_up(world, certificate)
    currencies = {line.currency for line in certificate.total}
    assert {"JPY", "KWD", "EUR", "?"} <= currencies
    states = {state for _, state in states_of(certificate)}
    assert states == {"landed", "cancelled", "parked", "waiting"}
    assert len(certificate.days) >= 3
    assert unexplained_of(certificate) == {}
    parked = [order for order, book in world.sandbox.orders().items() if book["story"].startswith("poison")]
    assert sum(line.explained["parked"].orders for line in certificate.total) == sum(
        world.sandbox.orders()[order]["story"] not in ("poison_status", "poison_id") for order in parked
    )
    assert certificate.standing.agrees
    assert certificate.standing.complete
    assert result.certificate is not None
    assert result.certificate.sha256 == certificate.sha256
    document = json.loads("".join(to_json(certificate, orders)))
    assert verify(document) == ()
    document["orders"][0]["order"] += "0"
    assert verify(document) != ()
    await parts_add_up(world, span, certificate)


async def parts_add_up(world: World, span: Span, whole: Certificate) -> None:
    """Cut at any day's beginning, both parts together say what the whole says."""
    for day in whole.days[1:]:
        cut = day.proof.window.span.start
        parts = [await certified(world, part) for part in (Span(span.start, cut), Span(cut, span.end))]
        assert parts[0].orders + parts[1].orders == whole.orders
        assert [line.day for part in parts for line in part.days] == [line.day for line in whole.days]
        for side in ("provider", "ledger", "store", "explained"):
            added = defaultdict[tuple[date | None, str, str], tuple[int, Decimal]](lambda: NOTHING)
            for part in parts:
                for key, (number, total) in sums_of(part, side).items():
                    added[key] = (added[key][0] + number, added[key][1] + total)
            assert added == sums_of(whole, side), f"{side}, cut at {cut}"


@pytest.mark.asyncio
async def test_the_certificate_says_what_the_books_say(worlds: Worlds) -> None:
    """Counts and sums of all sides by currency and day are the books' own; cut at a day, both parts are the whole."""
    await books_and_certificate(worlds)


@pytest.mark.nightly
@pytest.mark.asyncio
async def test_the_certificate_says_what_the_books_say_on_postgresql(postgres_worlds: Worlds) -> None:
    """The same on PostgreSQL."""
    await books_and_certificate(postgres_worlds)


# ---------------------------------------------------------------------- after sabotage


Adds = Callable[[str, Decimal], list[tuple[str, int, Decimal]]]


async def _forget(world: World, order_id: str) -> None:
    await forget(world, order_id, events=False)


def _same(orders: int, part: str = "1", plus: str = "0") -> Adds:
    """Adds to the difference in the order's own currency: this part of its total, and so much more."""
    return lambda has, total: [(has, orders, total * Decimal(part) + Decimal(plus))]


SABOTAGE: dict[str, tuple[Act, Adds]] = {
    "gone from the store": (in_store("delete"), _same(1)),
    "cancelled in the store": (in_store("state", state="cancelled"), _same(1)),
    "another total in the store": (in_store("change", new_total="0.01"), _same(0, plus="-0.01")),
    "another currency in the store": (
        in_store("change", new_currency="BRL"),
        lambda has, total: [(has, 1, total), ("BRL", -1, -total)],
    ),
    "cancelled without an event": (at_provider(status="CANCELLED"), _same(-1, "-1")),
    "another total at the provider": (raise_total, _same(0, "0", "7")),
    # Of several amounts none is the order's.
    "a second store order": (second_store_order, _same(0)),
    "forgotten by the ledger": (_forget, _same(0, "0")),
}


@pytest.mark.asyncio
async def test_the_difference_is_what_was_done_behind_our_back(worlds: Worlds) -> None:
    """Only reported, each deed's number and amount is the unexplained difference of its day and currency, exactly."""
    world = await lived(worlds)
    span = whole_feed(world)
    await reconciled(world, span=span, zone=BERLIN.key)
    before = await certified(world, span)
    assert unexplained_of(before) == {}
    books = world.sandbox.orders()
    plain = [order for order, book in books.items() if book["story"] == "plain" and book["currency"] != "BRL"]
    expected, days, done = Adding(), days_of(world), dict(zip(SABOTAGE, plain, strict=False))
    for name, order in done.items():
        act, adds = SABOTAGE[name]
        await do(act, world, order)
        for currency, number, amount in adds(books[order]["currency"], Decimal(books[order]["total"])):
            expected.add(days[order], currency, "", number, amount)
    world.clock.forward(hours=1)
    result = await reconciled(world, span=span, zone=BERLIN.key, repair=False)
    after = await certified(world, span)
    assert unexplained_of(after) == {key: value for key, value in expected.sums.items() if value != NOTHING}
    assert {entry.order for entry in after.listing.differences} == set(done.values())
    assert after.standing.differing == len(done)
    assert not after.standing.agrees
    assert after.sha256 != before.sha256
    assert result.state[1] == "Differences"
    assert after.orders == before.orders


# ---------------------------------------------------------------------- whose day


@pytest.mark.asyncio
async def test_an_order_belongs_to_the_day_of_its_first_event_in_the_zone(worlds: Worlds) -> None:
    """Around midnight in Berlin, in a night of 25 hours and in June, each order counts on its own side of it."""
    world = await at_present(worlds)
    midnights = [datetime(2025, 10, 27, tzinfo=BERLIN), datetime(2025, 6, 2, tzinfo=BERLIN)]
    entries, wanted = [], defaultdict[date, int](int)
    for number, midnight in enumerate(midnights):
        for place, gap in enumerate((timedelta(milliseconds=-1), timedelta(0), timedelta(hours=23))):
            at = midnight.astimezone(ZoneInfo("UTC")) + gap
            entries.append(raw(10 * number + place, at))
            wanted[at.astimezone(BERLIN).date()] += 1
        # What is told later of the same order does not move it to another day.
        entries.append(raw(10 * number + 5, midnight + timedelta(days=2), f"100-{10 * number}", "order.cancelled"))
    put(world, sorted(entries, key=lambda entry: str(entry["event_at"])))
    await world.poll()
    for midnight in midnights:
        # Days of the zone, not of 24 hours.
        span = Span(midnight - timedelta(days=1), midnight + timedelta(days=1))
        told = {day.day: day.orders for day in (await certified(world, span)).days}
        assert told == {midnight.date() - timedelta(days=1): 1, midnight.date(): 2}
        assert told == {day: wanted[day] for day in told}
