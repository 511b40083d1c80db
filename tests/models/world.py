"""A tiny world for the lifecycle: Glopal, a store and our landing, with steps that begin, may go wrong, and end.

The steps do what the tasks do, in miniature; whatever they find broken on the way is an assertion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.lifecycle import (
    LIVE_STORE_ORDER,
    UNKNOWN,
    ImportOn,
    Landing,
    OrderView,
    SourceStatus,
    Step,
    at_least,
    check_move,
    merge_status,
    next_step,
)

Fault = Literal["none", "not_sent", "lost_with_effect", "lost_without", "killed_before", "killed_after"]
FAULTS: tuple[Fault, ...] = ("none", "not_sent", "lost_with_effect", "lost_without", "killed_before", "killed_after")
AFTER_UNKNOWN = {
    Step.INSERT: Landing.INSERT_UNKNOWN,
    Step.INSERT_HELD: Landing.INSERT_UNKNOWN,
    Step.ACCEPT: Landing.ACCEPT_UNKNOWN,
    Step.CANCEL_SOURCE: Landing.SOURCE_CANCEL_UNKNOWN,
}


@dataclass
class World:
    """One order on three sides. ``refuses_cancel``: the store has shipped and says no."""

    import_on: ImportOn = "ready"
    refuses_cancel: bool = False
    # Glopal
    truth: SourceStatus = SourceStatus.UNSEEN
    accepted_by_us: bool = False
    cancelled_by_us: bool = False
    # the store: the state of each order that was ever created with our reference
    store: list[str] = field(default_factory=list)
    # the ledger
    known: SourceStatus = SourceStatus.UNSEEN
    landing: Landing = Landing.SEEN
    document: SourceStatus | None = None
    parked: bool = False
    cancel_wanted: bool = False
    began: tuple[Step, Fault] | None = None
    found: Landing | None = None

    def view(self) -> OrderView:
        """What the lifecycle sees."""
        return OrderView(self.known, self.landing, self.document, self.parked, self.cancel_wanted, self.import_on)

    @property
    def live(self) -> list[str]:
        """Live store orders."""
        return [state for state in self.store if state != "cancelled"]

    def happens(self, status: SourceStatus) -> None:
        """Glopal moves on; it does not go back, and accepts only through us."""
        self.truth = merge_status(self.truth, status)

    def learn(self, status: SourceStatus) -> None:
        """An event arrives, or a document says so. News give a parked order another chance."""
        after = merge_status(self.known, status)
        if after is not self.known:
            self.known, self.parked = after, False

    def step(self, fault: Fault = "none") -> Step | None:
        """Begin and end whatever comes next."""
        begun = self.begin(fault)
        self.finish()
        return begun

    def begin(self, fault: Fault = "none") -> Step | None:
        """Begin whatever comes next: the effect takes place (or not), and nobody has recorded how it ended."""
        if self.began is not None:
            return None
        step = next_step(self.view())
        if step is None:
            return None
        self.began = step, fault
        if fault in ("none", "lost_with_effect", "killed_after"):
            self._effect(step)
        return step

    def finish(self) -> None:
        """Record how the begun step ended, as the process or its successor sees it."""
        if self.began is None:
            return
        (step, fault), self.began = self.began, None
        if fault == "none":
            self._record(step)
        elif fault != "not_sent":
            self._move(AFTER_UNKNOWN.get(step, self.landing))

    def _move(self, landing: Landing) -> None:
        if self.landing in UNKNOWN and landing not in UNKNOWN:
            self.parked = False
        self.landing = check_move(self.landing, landing)

    def _effect(self, step: Step) -> None:
        if step in (Step.INSERT, Step.INSERT_HELD):
            self.store.append("held" if step is Step.INSERT_HELD else "open")
            assert len(self.live) == 1, "S1: a second live store order"
        elif step is Step.RELEASE:
            self.store = ["open" if state == "held" else state for state in self.store]
        elif step is Step.ACCEPT:
            assert self.live == ["open"], "S2: accepted without a live store order"
            assert not self.cancelled_by_us, "S3: accepted and cancelled"
            if self.truth in (SourceStatus.READY, SourceStatus.ACCEPTED):
                self.truth, self.accepted_by_us = SourceStatus.ACCEPTED, True
        elif step is Step.CANCEL_STORE and not self.refuses_cancel:
            self.store = ["cancelled" for _ in self.store]
        elif step is Step.CANCEL_SOURCE:
            assert not self.live, "S5: cancelled at the source beside a live store order"
            assert not self.accepted_by_us, "S3: accepted and cancelled"
            self.truth, self.cancelled_by_us = SourceStatus.CANCELLED, True

    def _record(self, step: Step) -> None:  # noqa: C901, PLR0912 - one branch a step
        if step is Step.FETCH:
            self.document = self.truth
            self.learn(self.truth)
            if self.landing is Landing.SEEN and self.truth is not SourceStatus.CANCELLED:
                self._move(Landing.FETCHED)
        elif step is Step.INSERT:
            self._move(Landing.INSERTED)
        elif step is Step.INSERT_HELD:
            self._move(Landing.HELD)
        elif step is Step.RELEASE:
            self._move(Landing.INSERTED)
        elif step is Step.PROBE_INSERT:
            self._move(self._in_store())
        elif step in (Step.ACCEPT, Step.CHECK_ACCEPT, Step.ADOPT):
            self._move(Landing.ACCEPTED if self.accepted_by_us else Landing.INSERTED if self.store else self.landing)
            self.learn(self.truth)
        elif step is Step.CANCEL_STORE:
            if self.refuses_cancel:
                self.parked = True
            else:
                self._move(Landing.STORE_CANCELLED)
        elif step is Step.CANCEL_SOURCE:
            self._move(Landing.CANCELLED)
            self.learn(SourceStatus.CANCELLED)
        elif step is Step.CHECK_SOURCE_CANCEL:
            if self.truth is SourceStatus.CANCELLED:
                self.learn(self.truth)
                self._move(Landing.CANCELLED)
            else:
                back = Landing.STORE_CANCELLED if self.store else Landing.FETCHED if self.document else Landing.SEEN
                self._move(back)
        elif step is Step.CLOSE:
            assert not self.live, "S4: closed beside a live store order"
            self._move(Landing.CANCELLED)

    def _in_store(self) -> Landing:
        if not self.store:
            return Landing.FETCHED
        return {"held": Landing.HELD, "open": Landing.INSERTED, "cancelled": Landing.STORE_CANCELLED}[self.store[-1]]

    def calm(self) -> None:
        """The faults are over: go on until nothing is left to do."""
        self.finish()
        for _ in range(40):
            if self.step() is None:
                return
        raise AssertionError(f"does not come to rest: {self.view()}")

    def check(self) -> None:
        """What must hold at any time between two steps."""
        assert len(self.live) <= 1, "S1"
        if self.landing in LIVE_STORE_ORDER:
            assert self.live, "the ledger says a store order is live, the store has none"
        if self.landing in (Landing.ACCEPTED, Landing.ACCEPT_UNKNOWN):
            assert at_least(self.known, SourceStatus.READY)
        assert not (self.accepted_by_us and self.cancelled_by_us), "S3"
