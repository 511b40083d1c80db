"""Deliberate breaks of backfill, proof and resuming: each must turn a test red."""

from __future__ import annotations

import pytest

from tests.trust.history_mutants import HISTORY_MUTANTS
from tests.trust.mutant_list import Mutant
from tests.trust.mutants import ROOT, judge


def test_every_mutant_of_history_still_fits_the_source() -> None:
    """Each mutant's text stands in the source exactly once, so that none of them changes nothing in silence."""
    found = [problem for mutant in HISTORY_MUTANTS for edit in mutant.edits if (problem := edit.problem(ROOT))]
    assert found == []


@pytest.mark.nightly
@pytest.mark.parametrize("mutant", HISTORY_MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_of_history_is_noticed(mutant: Mutant) -> None:
    """A break of the hub's history turns at least one test red."""
    assert judge(mutant).red is not None
