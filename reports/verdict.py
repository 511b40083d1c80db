"""The verdict on a day and on a range, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from reports.model import Standing
from reports.proof import DayProof, Gap, Proof, reasons_of
from reports.words import count


def day_standing(proof: DayProof, differing: int, unread: int, findings: int) -> Standing:
    """How one day stands."""
    complete = proof.proof is Proof.FULL
    against = _against(differing, unread)
    if complete:
        verdict = ", ".join(["proven", *against]) if against else "proven and agreed"
    else:
        verdict = f"{_how_much(proof.proof)}: {', '.join([reasons_of(proof.gaps), *against])}"
    return Standing(complete, not against, differing, unread, findings, verdict)


def whole_standing(
    proofs: Sequence[DayProof], days: Sequence[Standing], missing: Sequence[Gap], undated: tuple[int, int]
) -> Standing:
    """How the range stands, from its days and from open findings that belong to none: their orders, their number."""
    differing = sum(day.differing for day in days) + undated[0]
    unread = sum(day.unread for day in days)
    against = _against(differing, unread)
    complete = not missing
    if complete:
        verdict = ", ".join(["proven", *against]) if against else "proven and agreed"
    else:
        short = sum(proof.proof is not Proof.FULL for proof in proofs)
        what = f"{short:,} of {count(len(proofs), 'day')} {'is' if short == 1 else 'are'} not proven complete"
        verdict = ", ".join([f"not proven: {what} ({reasons_of(missing)})", *against])
    return Standing(complete, not against, differing, unread, sum(day.findings for day in days) + undated[1], verdict)


def _how_much(proof: Proof) -> str:
    return Proof.PARTLY.value if proof is Proof.PARTLY else Proof.NOT.value


def _against(differing: int, unread: int) -> list[str]:
    """What speaks against agreement."""
    found = [count(differing, "difference")] if differing else []
    return [*found, f"{count(unread, 'order')} not compared"] if unread else found
