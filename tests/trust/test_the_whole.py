"""The session as a whole; runs last, and only when all trust tests ran."""

from __future__ import annotations

from sandbox.faults import KINDS
from tests.trust.cases import READS, SHAPED, WRITES, kinds_at
from tests.trust.tally import TALLY
from tests.trust.test_feed import FEED_KINDS


def test_every_hard_path_was_walked() -> None:
    """A session that never reached one of the hard paths proves less than its green says."""
    assert TALLY.missing == []


def test_every_fault_kind_struck_at_every_endpoint() -> None:
    """Every kind of fault struck at least once at each endpoint where it can."""
    wanted = {(endpoint, kind) for endpoint in (*READS, *WRITES) for kind in kinds_at(endpoint)}
    wanted |= {("events", kind) for kind in FEED_KINDS}
    assert wanted - TALLY.cells == set()
    assert {kind for _, kind in wanted} == set(KINDS), "every kind that the sandbox knows"
    assert set(SHAPED) == {*READS, *WRITES}


def test_every_invariant_was_checked() -> None:
    """Every invariant of the list was asserted, and not only once."""
    names = {f"S{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 16)} | {"L1"}
    assert {name for name in names if TALLY.invariants[name] < 50} == set()
