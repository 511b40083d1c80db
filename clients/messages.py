"""What people read when a call did not end as done: what happened, what it means for the order, what to do.

Only our own words, a status, an endpoint's name, an order id and a machine code go in. Nothing of a body does: the
other side's sentences may echo a buyer's values.
"""

from __future__ import annotations

from dataclasses import dataclass

from clients.redaction import redact
from models.outcome import RefusalCode


@dataclass(frozen=True, slots=True)
class Wording:
    """The names that stand in every message of one client.

    Attributes:
        service: e.g. ``Glopal``.
        account: the account's identifier at that service.
        key_place: where its key lives, in words.
    """

    service: str
    account: str
    key_place: str

    def refused(self, where: str, status: int, code: RefusalCode, machine: str | None) -> str:
        """The other side said no."""
        said = f"status {status}" + (f", code {machine}" if machine else "")
        advice = _ADVICE.get(code, _ADVICE[RefusalCode.OTHER]).format(service=self.service, place=self.key_place)
        return self._sentence(where, f"refused ({said}), so this call changed nothing. {advice}")

    def not_yet(self, where: str, what: str, tries: int, retry_after: float | None) -> str:
        """It certainly did not happen and is tried again."""
        times = f" ({tries} tries)" if tries > 1 else ""
        wish = f", not before {max(1, round(retry_after))} s as {self.service} asked" if retry_after else ""
        return self._sentence(
            where,
            f"{what}{times}. Nothing was changed; it is tried again by itself{wish}. "
            "If this goes on, run crossdock check.",
        )

    def held(self, where: str, remaining: float) -> str:
        """The account waits for a Retry-After; the call was not made."""
        return self._sentence(
            where,
            f"not called, {self.service} asked to be left alone for another {max(1, round(remaining))} s. "
            "Nothing was changed; it is tried again by itself after that.",
        )

    def unknown(self, where: str, what: str) -> str:
        """Nobody knows."""
        return self._sentence(
            where,
            f"{what}. Nobody knows whether it took effect, so it is not repeated: "
            f"the order is read again at {self.service} and its state decides. Nothing needs to be done now.",
        )

    def bad_answer(self, where: str, what: str) -> str:
        """An answer that will not become better by asking again."""
        return self._sentence(
            where,
            f"{what}. Nothing was changed and what came was kept. Compare it with the documented answer: either the "
            f"address or the endpoint table of this account is wrong, or {self.service} must mend it.",
        )

    def _sentence(self, where: str, rest: str) -> str:
        return redact(f"{self.service} {where}, account {self.account}: {rest}")


_ADVICE = {
    RefusalCode.CREDENTIALS: (
        "The key was not accepted; no order of this account moves on until it is. Put a valid key into {place}, then "
        "run crossdock check."
    ),
    RefusalCode.NOT_FOUND: (
        "{service} does not know it under this account. Check store_id and base_url of the account with crossdock "
        "check; if they are right, ask {service} about the order."
    ),
    RefusalCode.CONFLICT: (
        "It does not fit the present state at {service}. The order is read again there before anything else is done."
    ),
    RefusalCode.INVALID_ORDER: (
        "{service} read the request and found it not valid; a repeat would get the same answer. The order waits for a "
        "person: compare the account's endpoint table with {service}'s documentation, then retry."
    ),
    RefusalCode.OTHER: (
        "A repeat would get the same answer. What waits for this call waits for a person: compare the account's "
        "endpoint table with {service}'s documentation, then retry."
    ),
}
