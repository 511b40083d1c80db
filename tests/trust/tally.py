"""What a whole test session reached: the numbers of the report, and the properties that must be seen sometimes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SOMETIMES = {
    "create_timed_out_but_done": "a create that got no clear answer and did succeed",
    "create_timed_out_not_done": "a create that got no clear answer and did not succeed",
    "lookup_missed_then_found": "a lookup that first misses and then finds",
    "cancel_before_order": "a cancel before its order",
    "cancel_between_insert_and_accept": "a cancel between insert and accept",
    "killed_between_insert_and_record": "a crash between insert and record",
    "two_runs_at_once": "two runs at once",
    "lease_ran_out_while_alive": "a lease that expired while its owner was alive",
    "budget_ended_by_deadline": "a retry budget ended by the deadline and not by the count",
    "total_did_not_agree": "a total that did not agree",
    "page_repeated": "a page that led to where the feed had been before",
    "accept_unclear_but_done": "an accept that got no clear answer and did arrive",
    "accept_unclear_not_done": "an accept that got no clear answer and did not arrive",
    "cancel_refused_as_shipped": "a cancel that the store refused because the order had shipped",
    "parked_then_landed": "a parked order that a person put back in line and that landed",
    "cursor_rejected": "a cursor that the provider did not take any more",
    "backfill_resumed": "a backfill that was stopped and resumed",
}
"""What a session must have walked through, or its green means less than it says."""


@dataclass
class Tally:
    """Counts over all trust tests of one session."""

    orders: int = 0
    polls: int = 0
    kills: int = 0
    worlds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    cells: set[tuple[str, str]] = field(default_factory=set)
    seeds: list[int] = field(default_factory=list)
    invariants: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)

    def saw(self, name: str, times: int = 1) -> None:
        """Count a sometimes-property."""
        assert name in SOMETIMES, name
        if times:
            self.reached[name] += times

    def injected(self, books: Mapping[str, int]) -> None:
        """Count what a fault plan did, by ``endpoint:kind``."""
        for name, number in books.items():
            endpoint, kind = name.split(":", 1)
            self.faults[kind] += number
            self.cells.add((endpoint, kind))

    @property
    def missing(self) -> list[str]:
        """Sometimes-properties that were never reached."""
        return [SOMETIMES[name] for name in SOMETIMES if not self.reached[name]]

    def lines(self) -> Iterable[str]:
        """The report."""
        yield f"worlds {self.worlds}, orders simulated {self.orders}, polls {self.polls}, kills {self.kills}"
        if self.seeds:
            yield f"random seeds: {', '.join(map(str, self.seeds))}"
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.faults.items()))
        yield f"faults injected {sum(self.faults.values())}: {kinds}"
        steps: dict[str, int] = Counter(step for step, _ in self.cells)
        reached = ", ".join(f"{step} {number}" for step, number in sorted(steps.items()))
        yield f"steps x faults reached {len(self.cells)}: {reached}"
        checked = ", ".join(f"{name} {number}" for name, number in sorted(self.invariants.items(), key=_by_number))
        yield f"invariants checked: {checked}"
        seen = sum(bool(self.reached[name]) for name in SOMETIMES)
        yield f"sometimes-properties reached {seen} of {len(SOMETIMES)}"
        yield from (f"  never: {text}" for text in self.missing)


def _by_number(entry: tuple[str, int]) -> tuple[str, int]:
    name = entry[0]
    return name[0], int(name[1:])


TALLY = Tally()
"""The session's one tally."""
