"""Hypothesis at the controls: the operator's buttons, the provider's and the store's whims, kills, and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar, get_args

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flows.plan import plan
from ledger.decisions import CannotDecide, Decision
from models.outcome import EffectFailed
from sandbox.running import RunningSandbox
from tasks.runtime import open_runtime
from tests.support import Databases
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.evidence import count
from tests.trust.tally import TALLY
from tests.trust.world import ACCOUNT, HOLD, World

T = TypeVar("T")
STORIES = ["plain", "received", "cancelled_early", "cancelled_during", "reordered_cancel", "poison_unknown_sku", "tiny"]
FAULTS = [
    ("store.create", "500_after"),
    ("store.create", "500_before"),
    ("store.create", "timeout_after"),
    ("store.find", "lookup_lag"),
    ("store.find", "503_before"),
    ("store.cancel", "reset_after"),
    ("store.release", "502_after"),
    ("accept", "reset_after"),
    ("accept", "500_before"),
    ("cancel", "504_after"),
    ("order", "stale_read"),
    ("order", "broken_json"),
    ("events", "duplicate_events"),
    ("events", "cut_body"),
]


class Hub(RuleBasedStateMachine):
    """The hub as people and the two other sides may use it, in any order."""

    sandbox: RunningSandbox
    ledgers: Databases

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.worlds = Worlds(self.sandbox, self.ledgers)
        self.made = 0
        self.changed = False

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on this machine's loop."""
        self.changed = True
        return self.loop.run(work)

    @property
    def world(self) -> World:
        """The present world."""
        return self.worlds.now

    @initialize(
        import_on=st.sampled_from(["ready", "received"]),
        on_failure=st.sampled_from(["notify", "cancel"]),
        idempotent=st.booleans(),
    )
    def begin(self, import_on: str, on_failure: str, idempotent: bool) -> None:
        """An account with these settings."""
        self.do(self.worlds.fresh(import_on=import_on, on_failure=on_failure, page_size=5))
        self.sandbox.store("settings", idempotent=idempotent)
        self.sandbox.generate(4, seed=0, mix={"plain": 2, "received": 1, "cancelled_during": 1})

    @rule(story=st.sampled_from(STORIES), number=st.integers(1, 2))
    def orders_come(self, story: str, number: int) -> None:
        """The provider has new orders."""
        self.made += 1
        self.sandbox.generate(number, seed=self.made, mix={story: 1})

    @rule(limit=st.sampled_from([None, None, 1, 3]))
    def poll(self, limit: int | None) -> None:
        """The schedule runs, or a person starts a run."""
        self.do(self.world.poll(limit=limit))

    @rule()
    def two_polls(self) -> None:
        """The same minute runs twice."""

        async def both() -> None:
            await asyncio.gather(self.world.poll(), self.world.poll())
            TALLY.saw("two_runs_at_once")

        self.do(both())

    @rule(at=st.integers(1, 90))
    def killed(self, at: int) -> None:
        """A run is killed at some edge; the lease runs out."""
        if self.do(self.world.poll(Edges(at=at))) is None:
            self.world.lease_over()

    @rule()
    def dry_run(self) -> None:
        """A dry run touches nothing."""
        tables = ("source_order", "source_event", "effect", "order_document", "open_intent")

        async def look() -> list[int]:
            return [await count(self.world.checker, table) for table in tables]

        async def dry() -> None:
            async with open_runtime(self.world.settings(), ACCOUNT, clock=self.world.clock) as runtime:
                await plan(runtime, None)

        before, creates = self.do(look()), self.sandbox.store_books()["traffic"]["calls"]
        # A feed that cannot be read ends a dry run with that error.
        with contextlib.suppress(EffectFailed):
            self.do(dry())
        assert self.do(look()) == before
        assert self.sandbox.store_books()["traffic"]["calls"] == creates

    @rule(data=st.data(), status=st.sampled_from(["READY", "CANCELLED", "COMPLETED"]))
    def provider_moves(self, data: st.DataObject, status: str) -> None:
        """The provider changes an order's status, where it may."""
        orders = sorted(self.sandbox.orders())
        if orders:
            # Not every status can become every other.
            with contextlib.suppress(httpx.HTTPStatusError):
                self.sandbox.advance(data.draw(st.sampled_from(orders)), status)

    @rule(data=st.data())
    def store_ships(self, data: st.DataObject) -> None:
        """The merchant ships an order."""
        live = sorted(o["reference"] for o in self.sandbox.store_books()["orders"].values() if o["state"] == "open")
        if live:
            self.sandbox.store("ship", reference=data.draw(st.sampled_from(live)))

    @rule(on=st.booleans())
    def store_outage(self, on: bool) -> None:
        """The store goes down or comes back."""
        self.sandbox.store("outage", on=on)

    @rule(fault=st.sampled_from(FAULTS), times=st.integers(1, 3))
    def trouble(self, fault: tuple[str, str], times: int) -> None:
        """A run that meets a fault; what is left of the fault waits for the next run."""
        where, kind = fault
        self.world.fault(where, kind, times=times, params={"seconds": HOLD} if "timeout" in kind else {"calls": 1})
        self.do(self.world.poll())

    @rule(data=st.data(), decision=st.sampled_from(get_args(Decision)))
    def person_decides(self, data: st.DataObject, decision: Decision) -> None:
        """A person decides about any order, sensible or not."""
        seen = self.do(self.world.evidence())
        if seen.rows:
            order_id = data.draw(st.sampled_from(sorted(seen.rows)))
            try:
                self.do(self.world.decide(order_id, decision))
            except CannotDecide:
                assert self.do(self.world.evidence()).rows[order_id].landing == seen.rows[order_id].landing

    @rule(hours=st.sampled_from([-1.0, 0.02, 1.0, 30.0]))
    def time_passes(self, hours: float) -> None:
        """Time passes, or our clock is put right."""
        self.world.clock.forward(hours=hours)

    @rule()
    def all_calms_down(self) -> None:
        """The faults stop; everything has to find its rest."""
        self.sandbox.store("outage", on=False)
        self.world.collect()
        self.sandbox.clear_faults()
        self.do(self.world.calm(most=120))
        self.changed = False

    @precondition(lambda self: self.changed)
    @invariant()
    def always_true(self) -> None:
        """What holds at every moment."""
        self.do(self.world.check())
        self.changed = False

    def teardown(self) -> None:
        """Everything has to find its rest at the end, too."""
        if self.worlds._world is not None:
            self.all_calms_down()
            self.do(self.worlds.end())
        self.loop.close()


@pytest.fixture
def machine(trust_sandbox: RunningSandbox, ledgers: Databases, trust_environment: None) -> type[RuleBasedStateMachine]:
    """The machine, told where its world is."""
    Hub.sandbox, Hub.ledgers = trust_sandbox, ledgers
    return Hub


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        # Shrinking runs the real hub; explaining would run it many times more.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def test_any_sequence_of_buttons_and_events_keeps_the_invariants(machine: type[RuleBasedStateMachine]) -> None:
    """Whatever people, provider and store do in whatever order, the invariants hold and everything finds its rest."""
    run_state_machine_as_test(machine, settings=_settings(3, 12))


@pytest.mark.nightly
def test_many_sequences_keep_the_invariants(machine: type[RuleBasedStateMachine]) -> None:
    """The same, longer and more often."""
    run_state_machine_as_test(machine, settings=_settings(60, 40))
