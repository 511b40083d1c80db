"""The lifecycle: what comes next, in every state there is and in every order of events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lifecycle import (
    EFFECTS,
    LIVE_STORE_ORDER,
    MOVES,
    NO_STORE_ORDER,
    SETTLED,
    UNKNOWN,
    IllegalMove,
    ImportOn,
    OrderView,
    Step,
    at_least,
    check_move,
    merge_status,
    next_step,
    no_store_order_possible,
)
from models.lifecycle import Landing as L  # noqa: N817 - it stands on every other line
from models.lifecycle import SourceStatus as S
from tests.models.world import FAULTS, Fault, World

MODES: tuple[ImportOn, ...] = ("ready", "received")
ALL_VIEWS = [
    OrderView(status, landing, document, parked, wanted, mode, closed)
    for status, landing, document, parked, wanted, mode, closed in itertools.product(
        S, L, [None, *S], (False, True), (False, True), MODES, (False, True)
    )
]
STEPS = [(view, next_step(view)) for view in ALL_VIEWS]
statuses = st.sampled_from(list(S))

# Every landing in which the tasks can end a step, done, found by a look, or left unknown.
ENDS: dict[Step, set[L]] = {
    Step.FETCH: {L.FETCHED},
    Step.INSERT: {L.INSERTED, L.HELD, L.STORE_CANCELLED, L.INSERT_UNKNOWN},
    Step.INSERT_HELD: {L.INSERTED, L.HELD, L.STORE_CANCELLED, L.INSERT_UNKNOWN},
    Step.PROBE_INSERT: {L.FETCHED, L.HELD, L.INSERTED, L.STORE_CANCELLED},
    Step.RELEASE: {L.INSERTED},
    Step.ADOPT: {L.ACCEPTED},
    Step.ACCEPT: {L.ACCEPTED, L.INSERTED, L.ACCEPT_UNKNOWN},
    Step.CHECK_ACCEPT: {L.ACCEPTED, L.INSERTED},
    Step.CANCEL_STORE: {L.STORE_CANCELLED},
    Step.CANCEL_SOURCE: {L.CANCELLED, L.SOURCE_CANCEL_UNKNOWN},
    Step.CHECK_SOURCE_CANCEL: {L.CANCELLED, L.STORE_CANCELLED, L.FETCHED, L.SEEN},
    Step.CLOSE: {L.CANCELLED},
}


def _views(step: Step) -> list[OrderView]:
    found = [view for view, following in STEPS if following is step]
    assert found, f"no state leads to {step}"
    return found


@given(statuses, statuses, statuses)
def test_statuses_merge_in_any_order(one: S, two: S, three: S) -> None:
    """Merging is commutative, associative and idempotent, so late, early and repeated events do no harm."""
    assert merge_status(one, two) is merge_status(two, one)
    assert merge_status(merge_status(one, two), three) is merge_status(one, merge_status(two, three))
    assert merge_status(one, one) is one
    assert at_least(merge_status(one, two), one)


def test_statuses_rank_from_unseen_to_cancelled() -> None:
    """Cancelled is the furthest and unseen the least; a missing status is below all."""
    assert list(S) == [S.UNSEEN, S.RECEIVED, S.READY, S.ACCEPTED, S.COMPLETED, S.CANCELLED]
    assert not at_least(None, S.UNSEEN)
    assert at_least(S.CANCELLED, S.COMPLETED)


def test_effects_never_happen_while_an_outcome_is_unknown() -> None:
    """In an unknown landing the only step is its own look, whatever else is known, wanted or parked."""
    for view, step in STEPS:
        if view.landing in UNKNOWN:
            assert step in (Step.PROBE_INSERT, Step.CHECK_ACCEPT, Step.CHECK_SOURCE_CANCEL)
            assert step not in EFFECTS


def test_parked_orders_only_look() -> None:
    """Nothing but a look is done about an order that waits for a person."""
    for view, step in STEPS:
        assert not view.parked or step is None or view.landing in UNKNOWN


def test_closed_orders_only_look() -> None:
    """Nothing but a look is done about an order that a person settled by hand."""
    for view, step in STEPS:
        assert not view.closed or step is None or view.landing in UNKNOWN


def test_only_inserted_ready_orders_are_accepted() -> None:
    """S2: an accept follows an insert that is known, of an order that is READY and that nobody wants cancelled."""
    for view in _views(Step.ACCEPT):
        assert (view.landing, view.source_status) == (L.INSERTED, S.READY)
        assert not view.cancel_wanted


def test_source_is_cancelled_only_without_a_store_order() -> None:
    """S5: never while the insert's result is unknown or a store order is live, and only when somebody wants it."""
    for view in _views(Step.CANCEL_SOURCE):
        assert view.landing not in UNKNOWN | LIVE_STORE_ORDER
        assert no_store_order_possible(view.landing)
        assert view.cancel_wanted
        assert view.source_status is not S.CANCELLED


def test_accepted_orders_are_never_cancelled_by_us() -> None:
    """S3: once accepted, the only step is to follow the provider's own cancellation in the store."""
    for view, step in STEPS:
        if view.landing is L.ACCEPTED:
            assert step is None or (step, view.source_status) == (Step.CANCEL_STORE, S.CANCELLED)
        if view.landing is L.ACCEPT_UNKNOWN:
            assert step is Step.CHECK_ACCEPT


def test_cancelled_orders_lose_their_store_order() -> None:
    """S4: after the provider's cancel a live store order is cancelled, and an order is closed only without one."""
    for view, step in STEPS:
        waits = view.parked or view.closed
        if view.source_status is S.CANCELLED and not waits and view.landing not in UNKNOWN | {L.CANCELLED}:
            assert step is (Step.CANCEL_STORE if view.landing in LIVE_STORE_ORDER else Step.CLOSE)
    for view in _views(Step.CLOSE):
        assert view.source_status is S.CANCELLED


def test_inserts_need_a_document_that_is_new_enough() -> None:
    """An order goes live in the store from a document read at READY or later; on hold when the account wants that."""
    for view in _views(Step.INSERT) + _views(Step.RELEASE):
        assert at_least(view.source_status, S.READY)
        assert at_least(view.document_status, S.READY) or at_least(view.source_status, S.ACCEPTED)
    for view in _views(Step.INSERT):
        assert (view.landing, view.source_status) == (L.FETCHED, S.READY)
    for view in _views(Step.INSERT_HELD):
        assert (view.landing, view.source_status, view.import_on) == (L.FETCHED, S.RECEIVED, "received")


def test_every_end_of_every_step_is_an_allowed_move() -> None:
    """The table of moves is closed under what the steps do, from each state in which they are taken."""
    assert set(ENDS) == set(Step)
    for view, step in STEPS:
        if step is not None:
            for landing in ENDS[step] - ({L.FETCHED} if step is Step.FETCH and view.landing is not L.SEEN else set()):
                assert check_move(view.landing, landing) is landing


def test_orders_that_turn_out_live_may_be_taken_over() -> None:
    """When the store turns out to have our order before a source cancel, it becomes the inserted one."""
    for landing in NO_STORE_ORDER:
        assert check_move(landing, L.INSERTED) is L.INSERTED


def test_moves_that_would_lose_something_are_illegal() -> None:
    """Nothing leaves a cancelled order, an unknown insert is not called cancelled, and an accepted one not undone."""
    forbidden = [
        *((L.CANCELLED, landing) for landing in L if landing is not L.CANCELLED),
        (L.INSERT_UNKNOWN, L.CANCELLED),
        (L.INSERT_UNKNOWN, L.SOURCE_CANCEL_UNKNOWN),
        (L.INSERT_UNKNOWN, L.ACCEPTED),
        (L.INSERTED, L.FETCHED),
        (L.INSERTED, L.CANCELLED),
        (L.INSERTED, L.SOURCE_CANCEL_UNKNOWN),
        (L.HELD, L.ACCEPTED),
        (L.ACCEPTED, L.INSERTED),
        (L.ACCEPTED, L.CANCELLED),
        (L.ACCEPT_UNKNOWN, L.STORE_CANCELLED),
        (L.STORE_CANCELLED, L.INSERTED),
        (L.STORE_CANCELLED, L.FETCHED),
        (L.FETCHED, L.SEEN),
    ]
    for old, new in forbidden:
        with pytest.raises(IllegalMove, match=f"{old.value} -> {new.value}"):
            check_move(old, new)


def test_staying_is_always_allowed() -> None:
    """An order may always stay where it is, and every landing stands in the table."""
    assert set(MOVES) == set(L)
    assert [check_move(landing, landing) for landing in L] == list(L)


def test_landings_are_of_one_kind_each() -> None:
    """No landing is both unknown and settled, or both with and without a store order."""
    assert not UNKNOWN & SETTLED
    assert not NO_STORE_ORDER & LIVE_STORE_ORDER
    assert {landing for landing in L if no_store_order_possible(landing)} == NO_STORE_ORDER | {L.STORE_CANCELLED}


# The world's own histories: what happens at Glopal, which of its events arrive when, and what goes wrong.
histories = st.sampled_from(
    [
        [S.RECEIVED],
        [S.RECEIVED, S.READY],
        [S.RECEIVED, S.READY, S.CANCELLED],
        [S.RECEIVED, S.CANCELLED],
        [S.CANCELLED],
        [S.READY],
    ]
)
faults = st.sampled_from(FAULTS)
actions = st.lists(
    st.tuples(st.sampled_from(["happen", "arrive", "begin", "finish", "step"]), st.integers(0, 5), faults), max_size=40
)


def _live_through(world: World, history: list[S], script: list[tuple[str, int, Fault]]) -> None:
    told: list[S] = []
    ahead = list(history)
    for action, number, fault in script:
        if action == "happen" and ahead:
            told.append(ahead[0])
            world.happens(ahead.pop(0))
        elif action == "arrive" and told:
            world.learn(told[number % len(told)])
        elif action == "begin":
            world.begin(fault)
        elif action == "finish":
            world.finish()
        elif action == "step":
            world.finish()
            world.step(fault)
        world.check()
    world.finish()
    for status in ahead:
        world.happens(status)


@settings(max_examples=120)
@given(history=histories, script=actions, order=st.randoms(use_true_random=False), mode=st.sampled_from(MODES))
def test_any_order_of_events_ends_in_the_same_landing(
    history: list[S], script: list[tuple[str, int, Fault]], order: object, mode: ImportOn
) -> None:
    """Late, early, repeated events before, during and after steps, with faults at any of them, end alike."""
    world = World(mode)
    _live_through(world, history, script)
    last = history * 2
    order.shuffle(last)  # type: ignore[attr-defined]
    for status in last:
        world.learn(status)
        world.calm()
        world.check()

    if S.CANCELLED in history:
        assert (world.landing, world.live) == (L.CANCELLED, [])
    elif S.READY in history:
        assert (world.landing, world.live, world.truth) == (L.ACCEPTED, ["open"], S.ACCEPTED)
    elif mode == "received":
        assert (world.landing, world.live) == (L.HELD, ["held"])
    else:
        assert (world.landing, world.live) == (L.SEEN, [])


@settings(max_examples=120)
@given(history=histories, script=actions, moments=st.sets(st.integers(0, 40), max_size=3), mode=st.sampled_from(MODES))
def test_deciding_to_cancel_never_does_both(
    history: list[S], script: list[tuple[str, int, Fault]], moments: set[int], mode: ImportOn
) -> None:
    """A cancel decided at any moment, beside any faults and events, ends accepted or cancelled and never as both."""
    world = World(mode)
    for moment, action in enumerate(script):
        # Nobody can decide to cancel while an outcome is unknown or after the accept; the ledger refuses it.
        if moment in moments and world.landing not in UNKNOWN | {L.ACCEPTED}:
            world.cancel_wanted = True
        _live_through(world, history if moment == 0 else [], [action])
    for status in history:
        world.happens(status)
        world.learn(status)
    world.calm()
    world.check()

    assert world.landing is L.CANCELLED or not (world.cancel_wanted and world.landing is not L.ACCEPTED)
    assert world.landing is not L.CANCELLED or not world.live


@settings(max_examples=100)
@given(script=actions)
def test_a_store_that_refuses_to_cancel_leaves_a_parked_order(script: list[tuple[str, int, Fault]]) -> None:
    """S4: when the store has shipped and will not cancel, the order waits for a person."""
    world = World(refuses_cancel=True)
    _live_through(world, [S.READY, S.CANCELLED], script)
    world.learn(S.READY)
    world.learn(S.CANCELLED)
    world.calm()

    assert (world.landing is L.CANCELLED and not world.live) or (world.parked and world.live)
