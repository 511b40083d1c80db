"""What reconciliation may change by itself: each repair's effect on the order's row, and the step that comes next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from ledger import Ledger
from ledger.notices import untold
from ledger.queries import broken_chains
from ledger.reconcile import Saved
from ledger.repairs import MENDABLE
from ledger.resume import resume_unreadable
from ledger.rows import step_of
from models.lifecycle import MOVES, REPAIR_MOVES, IllegalMove, Landing, SourceStatus, Step, check_move
from models.sides import Mismatch, Repair, StoreSide
from tests.ledger.comparing import HERE, TOLD, TWICE, Look, change, findings_of, has, judged, look, save, says, told
from tests.ledger.kit import (
    ACCOUNT,
    RULES,
    STORE,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    record,
    row_of,
    take,
)
from tests.models.sides_of import NOT_IN_STORE, NOT_THERE, PAID, SEVERAL
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio

L, M, R = Landing, Mismatch, Repair


@dataclass(frozen=True)
class Case:
    """One repair.

    Attributes:
        at: where the ledger has the order.
        look: what the other sides say.
        finding: the class under which it is repaired.
        landing: where the order is afterwards.
        step: what comes next.
        row: other columns, as they must be afterwards.
        given: columns that are set before.
        words: what the finding says that is done.
    """

    at: Landing
    look: Look
    finding: Mismatch
    landing: Landing
    step: Step | None
    words: str
    row: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


_CANCELLED: dict[str, Any] = {"landing": "cancelled", "source_status": "CANCELLED", "due_at": None}
_LATE = has("open", id="8001", number="000099")

CASES = {
    "tell of a cancel": Case(
        L.ACCEPTED, Look(says("CANCELLED"), HERE), M.CANCELLED_AT_PROVIDER_ONLY, L.ACCEPTED, Step.CANCEL_STORE,
        "the ledger takes the provider's status over and does what follows",
        {"source_status": "CANCELLED", "settled_at": None},
    ),
    "tell that it is paid": Case(
        L.SEEN, Look(says("READY"), NOT_IN_STORE), M.STATUS_DIFFERS, L.SEEN, Step.FETCH,
        "the ledger takes the provider's status over and does what follows",
        {"source_status": "READY"}, {"source_status": "RECEIVED", "due_at": None},
    ),
    "tell that somebody accepted it": Case(
        L.FETCHED, Look(TOLD, NOT_IN_STORE), M.ACCEPTED_NOT_INSERTED, L.FETCHED, Step.FETCH,
        "the ledger takes the provider's status over and does what follows", {"source_status": "ACCEPTED"},
    ),
    "accept again": Case(
        L.ACCEPTED, Look(says("READY"), HERE), M.INSERTED_NOT_ACCEPTED, L.INSERTED, Step.ACCEPT,
        "it is accepted again with the same store order",
        {**STORE, "source_status": "READY", "document_status": "READY", "accepted_at": None, "attempts": 0},
        {"document_status": "RECEIVED", "attempts": 4},
    ),
    "look for what was inserted": Case(
        L.INSERTED, Look(says("READY"), NOT_IN_STORE), M.MISSING_IN_STORE, L.INSERT_UNKNOWN, Step.PROBE_INSERT,
        "the store is searched several times; only then it is created again",
        {**STORE, "store_state": None, "inserted_at": None, "probes_missed": 0, "attempts": 0}, {"probes_missed": 2},
    ),
    "cancel what came late": Case(
        L.ACCEPTED, Look(says("CANCELLED"), _LATE), M.CANCELLED_AT_PROVIDER_ONLY, L.INSERTED, Step.CANCEL_STORE,
        "its store order is cancelled",
        {"store_order_id": "8001", "store_order_number": "000099", "source_status": "CANCELLED"}, _CANCELLED,
    ),
    "read the document again": Case(
        L.FETCHED, Look(says("READY", total=TWICE), NOT_IN_STORE), M.DOCUMENT_CHANGED, L.FETCHED,
        Step.FETCH, "its document is read again", {"document_status": None, "attempts": 0},
        {"currency": "EUR", "total": PAID, "attempts": 3},
    ),
    "wake what is stuck": Case(
        L.FETCHED, Look(says("READY"), NOT_IN_STORE), M.STUCK, L.FETCHED, Step.INSERT, "it is done now",
        {"attempts": 0}, {"attempts": 5, "due_at": None},
    ),
    "take over what was forgotten": Case(
        L.FETCHED, Look(says("READY"), HERE), M.STATUS_DIFFERS, L.INSERTED, Step.ACCEPT, "it is done now", dict(STORE),
    ),
    "take over what was forgotten on hold": Case(
        L.FETCHED, Look(says("READY"), has("held")), M.STATUS_DIFFERS, L.HELD, Step.RELEASE, "it is done now",
        {**STORE, "store_state": "held"},
    ),
    "take over what nobody told of": Case(
        L.SEEN, Look(says("READY"), HERE), M.STATUS_DIFFERS, L.INSERTED, Step.FETCH,
        "the ledger takes the provider's status over and does what follows",
        dict(STORE), {"source_status": "RECEIVED", "due_at": None},
    ),
    "leave to adopting what somebody accepted": Case(
        L.FETCHED, Look(TOLD, HERE), M.STATUS_DIFFERS, L.FETCHED, Step.FETCH,
        "the ledger takes the provider's status over and does what follows", {"store_order_id": None},
    ),
}  # fmt: skip


async def prepared(ledger: Ledger, clock: VirtualClock) -> dict[str, str]:
    """An order for each case, where the case wants it; returns them by the cases' names."""
    placed = {name: f"200-{number}" for number, name in enumerate(CASES)}
    # The one that is to be stuck is a day and an hour older than the others.
    stuck = {name for name, case in CASES.items() if case.finding is M.STUCK}
    for some in (stuck, set(CASES) - stuck):
        for landing in sorted({CASES[name].at for name in some}):
            await bring_to(ledger, landing, *sorted(placed[name] for name in some if CASES[name].at is landing))
        for name in some:
            await change(ledger, placed[name], **CASES[name].given)
        if some is stuck:
            clock.forward(hours=25)
    return placed


async def test_a_repair_changes_the_row_and_makes_a_step_due(ledger: Ledger, clock: VirtualClock) -> None:
    """Each repair leaves the order where its next step mends the difference, due now and with its reason written."""
    for name, order in (await prepared(ledger, clock)).items():
        case, before = CASES[name], await effects_of(ledger, order)
        saved = await look(ledger, case.look, order=order)
        row = await row_of(ledger, order)
        assert [kind for _, kind in saved.opened][:1] == [case.finding], name
        assert (saved.repaired, saved.parked, saved.agreeing) == ([row.id], [], 0), name
        assert (row.landing, step_of(row, "ready")) == (case.landing, case.step), name
        assert {column: getattr(row, column) for column in case.row} == case.row, name
        wait = RULES.first_probe if case.step is Step.PROBE_INSERT else timedelta(0)
        assert row.due_at == clock.now + wait, name
        assert (row.settled_at, row.parked_at, row.reconciled_at) == (None, None, None), name
        [line] = (await effects_of(ledger, order))[len(before) :]
        assert (line.phase, line.kind, line.at) == ("note", "reconcile", clock.now), name
        assert case.words.capitalize() in line.detail, name
        finding = (await findings_of(ledger, order))[0]
        assert (finding.mismatch, finding.action) == (case.finding.value, case.words), name
        assert finding.explanation in line.detail, name
    assert [problem async for problem in broken_chains(ledger)] == []


async def test_a_report_only_tells_what_would_be_done(ledger: Ledger, clock: VirtualClock) -> None:
    """Without repairs the row stays as it is to the last column, and the finding says that nothing was done."""
    for name, order in (await prepared(ledger, clock)).items():
        before, story = await row_of(ledger, order), await effects_of(ledger, order)
        saved = await look(ledger, CASES[name].look, order=order, repair=False)
        assert (saved.repaired, saved.parked) == ([], []), name
        assert await row_of(ledger, order) == before, name
        assert await effects_of(ledger, order) == story, name
        finding = (await findings_of(ledger, order))[0]
        assert finding.mismatch == CASES[name].finding.value, name
        assert finding.action == f"not repaired in this run: {CASES[name].words}", name


async def test_a_store_order_that_is_gone_is_created_again_only_after_every_look(
    ledger: Ledger, clock: VirtualClock
) -> None:
    """Nothing is claimed before the first look is due, and no insert follows before the looks have missed."""
    await bring_to(ledger, L.INSERTED)
    await look(ledger, Look(says("READY"), NOT_IN_STORE))
    assert await claim(ledger) == []
    clock.forward(RULES.first_probe.total_seconds())
    work = await take(ledger, Step.PROBE_INSERT)
    assert work.store_order_id is not None, "each look asks for the id that is known, too"
    assert work.unknown_since == clock.now - RULES.first_probe
    [after] = await end(ledger, done(work, L.FETCHED, note_kind="probe"))
    assert after.next_step is Step.INSERT


async def test_an_acceptance_sent_again_begins_its_time_anew(ledger: Ledger, clock: VirtualClock) -> None:
    """What kept its deadline long ago gets a new one, so that neither the policy nor a warning meets it at once."""
    await bring_to(ledger, L.ACCEPTED)
    clock.forward(hours=1000)
    await change(ledger, deadline_applied_at=clock.now, warned_at=clock.now)
    await look(ledger, Look(says("READY"), HERE))
    row = await row_of(ledger)
    assert (row.ready_at, row.deadline_at) == (clock.now, clock.now + RULES.deadline)
    assert (row.deadline_applied_at, row.warned_at) == (None, None)
    clock.forward(hours=1)
    assert (await judged(ledger, {"100-1": Look(says("READY"), HERE)}))[0].comparison.findings == ()


async def test_a_document_is_not_read_again_where_nothing_would_follow(ledger: Ledger) -> None:
    """An order that is not paid is read when it is; until then the finding is told, and the row stays as it is."""
    await bring_to(ledger, L.FETCHED)
    await change(ledger, source_status="RECEIVED", due_at=None)
    before = await row_of(ledger)
    [entry] = await judged(ledger, {"100-1": Look(says("RECEIVED"), NOT_IN_STORE)})
    saved = await save(ledger, [replace(entry, comparison=told("100-1", M.DOCUMENT_CHANGED, R.FETCH))])
    assert (saved.repaired, await row_of(ledger)) == ([], before)


# ---------------------------------------------------------------------- parking


PARKS = {
    "store.order_missing": Look(TOLD, NOT_IN_STORE),
    "store.duplicate": Look(TOLD, SEVERAL),
    "store.other_order": Look(TOLD, _LATE),
    "insert.store_cancelled": Look(TOLD, has("cancelled")),
    "insert.total_differs": Look(TOLD, has("open", total=TWICE)),
    "insert.hold_ignored": Look(says("RECEIVED"), HERE),
    "accept.ids_differ": Look(says("ACCEPTED", external_id="other"), HERE),
    "source.order_missing": Look(NOT_THERE, HERE),
    "document.unusable": Look(says("ACCEPTED", problem="it has no lines"), HERE),
    "document.changed_after_import": Look(says("ACCEPTED", base_total=TWICE), HERE),
    "fetch.unknown_status": Look(says("PAUSED"), HERE),
}
MENDS = {
    "store.order_missing",
    "store.duplicate",
    "store.other_order",
    "insert.store_cancelled",
    "insert.total_differs",
    "accept.ids_differ",
    "source.order_missing",
}


async def parked(ledger: Ledger, code: str) -> Saved:
    """A landed order that a reconciliation parks with this code."""
    await bring_to(ledger, L.ACCEPTED)
    return await look(ledger, PARKS[code])


async def one_for_each_parking(ledger: Ledger) -> dict[str, str]:
    """A landed order for each code."""
    orders = {code: f"300-{number}" for number, code in enumerate(PARKS)}
    await bring_to(ledger, L.ACCEPTED, *orders.values())
    return orders


async def test_what_a_person_must_see_is_parked_and_told(ledger: Ledger) -> None:
    """The order waits with the finding as its reason, one notice is written, and a second run tells nobody again."""
    for number, (code, order) in enumerate((await one_for_each_parking(ledger)).items()):
        saved = await look(ledger, PARKS[code], order=order)
        row = await row_of(ledger, order)
        assert (saved.parked, saved.repaired) == ([row.id], [row.id]), code
        assert (row.landing, row.parked_code, row.settled_at, row.due_at) == ("accepted", code, None, None)
        found = await findings_of(ledger, order)
        assert f"parked: {code}" in {finding.action for finding in found}
        assert row.parked_reason in {finding.explanation for finding in found}, code
        notice = (await untold(ledger, ACCOUNT))[-1]
        assert (notice.event, notice.code, notice.reason) == ("crossdock.order.parked", code, row.parked_reason)
        assert (await effects_of(ledger, order))[-1].detail == f"parked: {row.parked_reason}", code
        again = await look(ledger, PARKS[code], order=order)
        assert (again.parked, again.repaired, again.opened) == ([], [], []), code
        assert len(await untold(ledger, ACCOUNT)) == number + 1, code
        assert {finding.action for finding in await findings_of(ledger, order)} == {f"waits for a person: {code}"}


async def test_nobody_is_told_of_what_is_only_reported(ledger: Ledger) -> None:
    """Without repairs nothing is parked and no notice is written; the finding says what would be done."""
    for code, order in (await one_for_each_parking(ledger)).items():
        saved = await look(ledger, PARKS[code], order=order, repair=False)
        assert (saved.parked, (await row_of(ledger, order)).parked_at) == ([], None), code
        assert f"would be parked: {code}" in {finding.action for finding in await findings_of(ledger, order)}
    assert await untold(ledger, ACCOUNT) == []


async def test_what_is_right_again_waits_no_longer(ledger: Ledger) -> None:
    """A parking that only the difference caused ends by itself; one that asks for a person's look does not."""
    for code, order in (await one_for_each_parking(ledger)).items():
        mends = code in MENDS
        await look(ledger, PARKS[code], order=order)
        saved = await look(ledger, order=order)
        row = await row_of(ledger, order)
        assert (row.parked_code, row.settled_at is not None) == ((None, True) if mends else (code, False)), code
        assert saved.repaired == ([row.id] if mends else []), code
        left = [finding.mismatch for finding in await findings_of(ledger, order) if finding.closed_at is None]
        assert left == ([] if mends else [M.PARKED.value]), code
        assert [kind for _, kind in saved.opened] == ([] if mends else [M.PARKED]), code
        assert (await look(ledger, order=order)).agreeing == int(mends), code
    assert [problem async for problem in broken_chains(ledger)] == []


async def test_every_parking_that_ends_by_itself_is_tried_here() -> None:
    """The list of what ends by itself is this one, and one more that only a cancelled order can have."""
    assert {*MENDS, "cancel.store_order_live"} == MENDABLE


async def test_a_reopened_store_order_that_is_cancelled_again_waits_no_longer(ledger: Ledger) -> None:
    """The store order of a cancelled order was reopened, a person cancels it, and the order is settled again."""
    await bring_to(ledger, L.ACCEPTED)
    await change(ledger, **_CANCELLED)
    await look(ledger, Look(says("CANCELLED"), HERE))
    assert (await row_of(ledger)).parked_code == "cancel.store_order_live"
    await look(ledger, Look(says("CANCELLED"), has("cancelled")))
    row = await row_of(ledger)
    assert (row.parked_code, row.landing, row.settled_at is not None) == (None, "cancelled", True)


@pytest.mark.parametrize("landing", ["store_cancelled", "insert_unknown", "accept_unknown", "source_cancel_unknown"])
async def test_what_is_not_settled_in_the_store_stays_parked(ledger: Ledger, landing: str) -> None:
    """Nothing is right again while a call's end is unknown, or while we have cancelled only our half."""
    await parked(ledger, "store.duplicate")
    await change(ledger, landing=landing)
    status = "READY" if landing == "store_cancelled" else "ACCEPTED"
    await look(ledger, Look(says(status), has("cancelled") if landing == "store_cancelled" else HERE))
    assert (await row_of(ledger)).parked_code == "store.duplicate"
    still = {finding.mismatch for finding in await findings_of(ledger) if finding.closed_at is None}
    assert (M.DUPLICATE_IN_STORE.value in still) is (landing != "store_cancelled")


async def test_an_edited_mapping_and_nothing_else_gives_the_unreadable_another_chance(ledger: Ledger) -> None:
    """What reconciliation parked as unreadable is not put back in line by the next poll under the same mapping."""
    await parked(ledger, "document.unusable")
    assert await resume_unreadable(ledger, ACCOUNT, RULES) == 0
    assert await resume_unreadable(ledger, ACCOUNT, replace(RULES, mapping="edited")) == 1


async def test_a_person_comes_before_every_repair(ledger: Ledger) -> None:
    """Where one difference asks for a person and another one for a repair, it is parked and nothing else is done."""
    await bring_to(ledger, L.ACCEPTED)
    await look(ledger, Look(says("READY"), has("open", total=TWICE)))
    row = await row_of(ledger)
    assert (row.landing, row.source_status, row.parked_code) == ("accepted", "ACCEPTED", "insert.total_differs")


async def test_news_of_a_cancel_come_before_a_person(ledger: Ledger) -> None:
    """A parked order that the provider cancelled is freed, and its store order cancelled next."""
    await parked(ledger, "insert.total_differs")
    await look(ledger, Look(says("CANCELLED"), HERE))
    row = await row_of(ledger)
    assert (row.parked_code, row.source_status, step_of(row, "ready")) == (None, "CANCELLED", Step.CANCEL_STORE)


async def test_a_closed_order_is_left_to_the_person_who_closed_it(ledger: Ledger, clock: VirtualClock) -> None:
    """What a person settled by hand is told of where goods may ship twice, and never changed."""
    await bring_to(ledger, L.FETCHED)
    await change(ledger, closed_at=clock.now, closed_why="by hand", settled_at=clock.now, due_at=None)
    before = await row_of(ledger)
    saved = await look(ledger, Look(TOLD, StoreSide(found=True, several=True)))
    assert saved.opened == [("100-1", M.DUPLICATE_IN_STORE)]
    assert await row_of(ledger) == before
    assert (await look(ledger, Look(TOLD, HERE))).opened == []


# ---------------------------------------------------------------------- moves and priorities


async def test_a_repair_s_moves_are_no_step_s_moves() -> None:
    """What only reconciliation may write, no step may: the two tables have no move in common."""
    for old, allowed in REPAIR_MOVES.items():
        for new in allowed:
            assert new not in MOVES[old]
            assert check_move(old, new, repair=True) is new
            with pytest.raises(IllegalMove):
                check_move(old, new)


async def test_a_step_cannot_take_an_acceptance_back(ledger: Ledger) -> None:
    """A step's end that goes back along a repair's move is refused, and nothing of it is written."""
    await bring_to(ledger, L.INSERTED)
    work = await take(ledger, Step.ACCEPT)
    await end(ledger, done(work, L.ACCEPTED, told_status=SourceStatus.ACCEPTED))
    await look(ledger, Look(says("READY"), HERE))
    work = await take(ledger, Step.ACCEPT)
    with pytest.raises(IllegalMove):
        await end(ledger, done(work, L.INSERT_UNKNOWN))
    assert (await row_of(ledger)).landing == "inserted"


@pytest.mark.parametrize("priority", [0, 1])
async def test_a_repaired_order_keeps_its_place_behind_live_ones(ledger: Ledger, priority: int) -> None:
    """History that is repaired stays history, so that live orders are still taken first."""
    await bring_to(ledger, L.ACCEPTED)
    await change(ledger, priority=priority)
    await look(ledger, Look(says("READY"), HERE))
    await record(ledger, an_event("200-2"))
    assert (await row_of(ledger)).priority == priority
    first = (await claim(ledger, 1))[0].source_order_id
    assert first == ("200-2" if priority else "100-1")
