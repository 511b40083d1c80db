"""Deliberate breaks of the hub: each must turn a trust test red, or green means nothing."""

from __future__ import annotations

import pytest

from tests.trust.mutant_list import MUTANTS, Mutant
from tests.trust.mutants import ROOT, judge


def test_every_mutant_still_fits_the_source() -> None:
    """Each mutant's text stands in the source exactly once, so that none of them changes nothing in silence."""
    found = [problem for mutant in MUTANTS for edit in mutant.edits if (problem := edit.problem(ROOT)) is not None]
    assert found == []


def test_every_invariant_has_a_mutant() -> None:
    """Each invariant of the list has at least one break that it must notice."""
    wanted = {*(f"S{number}" for number in range(1, 12)), "S14", "S16", "L1", "L2"}
    assert wanted - {mutant.breaks for mutant in MUTANTS} == set()


@pytest.mark.nightly
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant) -> None:
    """A break of the hub turns at least one trust test red."""
    assert judge(mutant).red is not None
