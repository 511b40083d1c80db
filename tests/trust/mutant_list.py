"""The deliberate breaks: what is replaced by what, which invariant has to notice, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """One replacement; the old text stands in the file exactly once."""

    path: str
    old: str
    new: str

    def problem(self, root: Path) -> str | None:
        """Why it cannot be made in this tree, or None."""
        number = (root / self.path).read_text().count(self.old)
        return None if number == 1 else f"{self.path} has {self.old!r} {number} times"

    def make(self, root: Path) -> None:
        """Make it."""
        path = root / self.path
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True)
class Mutant:
    """A deliberate break.

    Attributes:
        name: its short name.
        breaks: the invariant that should notice.
        what: the break in words.
        edits: how it is made.
        tests: where to look for the red test, as pytest takes it.
    """

    name: str
    breaks: str
    what: str
    edits: tuple[Edit, ...]
    tests: str


def _one(path: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(path, old, new),)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "create-again-without-looking",
        "S1",
        "what the search found is ignored before the second create",
        _one(
            "tasks/insert.py",
            "    if there is not None:\n        document =",
            "    if False:\n        document =",
        ),
        "test_cancels.py test_faults.py",
    ),
    Mutant(
        "unknown-is-not-yet",
        "S1",
        "a create of unknown outcome is simply tried again",
        _one(
            "tasks/insert.py",
            "        outcome.message,\n        landing=Landing.INSERT_UNKNOWN,\n",
            "        outcome.message,\n",
        ),
        "test_cancels.py test_kills.py",
    ),
    Mutant(
        "look-once",
        "S1",
        "one search that finds nothing proves that there is nothing",
        _one("models/backoff.py", "    if missed >= len(delays):\n", "    if missed >= 1:\n"),
        "test_cancels.py test_faults.py",
    ),
    Mutant(
        "orphans-forgotten",
        "S1",
        "an intent that a dead process left open is deleted instead of looked into",
        _one("ledger/rows.py", "    if landing is not None:\n        move(row", "    if False:\n        move(row"),
        "test_kills.py",
    ),
    Mutant(
        "accept-before-insert",
        "S2",
        "an order is accepted with its own reference before it is in the store",
        (
            Edit(
                "models/lifecycle.py",
                "        if landing is Landing.INSERTED:\n            return Step.ACCEPT\n",
                "        if landing in (Landing.INSERTED, Landing.FETCHED):\n            return Step.ACCEPT\n",
            ),
            Edit(
                "tasks/accept.py",
                "    if not work.store_order_id or not work.store_order_number:\n",
                "    if False:\n",
            ),
            Edit(
                "tasks/accept.py",
                "runtime.client.accept(work.source_order_id, work.store_order_id, work.store_order_number)",
                'runtime.client.accept(work.source_order_id, work.store_order_id or "1", "1")',
            ),
            Edit(
                "models/lifecycle.py",
                "    L.FETCHED: frozenset(\n        {",
                "    L.FETCHED: frozenset(\n        {L.ACCEPT_UNKNOWN, ",
            ),
        ),
        "test_feed.py test_kills.py",
    ),
    Mutant(
        "cancel-after-accept",
        "S3",
        "a person may cancel an order that was accepted",
        _one(
            "ledger/decisions.py",
            "    if landing is Landing.ACCEPTED or row.source_status in",
            "    if False and row.source_status in",
        ),
        "test_cancels.py",
    ),
    Mutant(
        "cancelled-but-live",
        "S4",
        "a cancel by the provider closes the order and leaves the store order alive",
        _one(
            "models/lifecycle.py",
            "    return Step.CANCEL_STORE if landing in LIVE_STORE_ORDER else Step.CLOSE\n",
            "    return Step.CLOSE\n",
        ),
        "test_cancels.py",
    ),
    Mutant(
        "cancel-without-asking",
        "S5",
        "the provider is told to cancel without asking the store first",
        _one(
            "tasks/cancel.py",
            "    if found.value is not None and found.value.state.live:\n        return _live",
            "    if False:\n        return _live",
        ),
        "test_cancels.py",
    ),
    Mutant(
        "cancel-while-unknown",
        "S5",
        "the deadline's policy cancels while nobody knows whether the create succeeded",
        (
            Edit(
                "ledger/policy.py",
                "Landing(row.landing) in NO_STORE_ORDER\n        and",
                "Landing(row.landing) in NO_STORE_ORDER | UNKNOWN\n        and",
            ),
            Edit(
                "models/lifecycle.py",
                "    if order.landing in _LOOK:\n",
                "    if order.landing in _LOOK and not order.cancel_wanted:\n",
            ),
        ),
        "test_policy.py",
    ),
    Mutant(
        "cursor-first",
        "S6",
        "the cursor moves in a transaction of its own, before the events are recorded",
        _one(
            "tasks/events.py",
            "        recorded = await record_page(",
            "        if move is not None:\n"
            "            await record_page(runtime.ledger, runtime.key, page.events[-1:], runtime.rules, move)\n"
            "        recorded = await record_page(",
        ),
        "test_kills.py test_random.py",
    ),
    Mutant(
        "no-overlap",
        "S6",
        "events that are committed behind the cursor are never read",
        _one("tasks/events.py", "    if cursor is not None and runtime.account.overlap:\n", "    if False:\n"),
        "test_feed.py",
    ),
    Mutant(
        "total-not-compared",
        "S7",
        "the store's total is not compared with what was paid",
        _one(
            "tasks/ends.py",
            "    differs = total_difference(order, document) if document is not None else None\n",
            "    differs = None\n",
        ),
        "test_policy.py",
    ),
    Mutant(
        "accept-without-intent",
        "S8",
        "the accept is sent without an intent in the ledger",
        _one(
            "ledger/rows.py", "    return step in EFFECTS\n", "    return step in EFFECTS and step is not Step.ACCEPT\n"
        ),
        "test_feed.py test_kills.py",
    ),
    Mutant(
        "chain-broken",
        "S9",
        "effect lines are not chained to the line before",
        _one("ledger/rows.py", '        "prev_hash": row.effect_hash,\n', '        "prev_hash": "",\n'),
        "test_feed.py",
    ),
    Mutant(
        "bodies-logged",
        "S10",
        "an answer that could not be used is logged with its body",
        _one(
            "clients/transport.py",
            '        log.info("%s: %s", call.where, message)\n',
            '        log.info("%s: %s %s", call.where, message, answer.body)\n',
        ),
        "test_faults.py test_bad_input.py",
    ),
    Mutant(
        "bug-told-in-its-own-words",
        "S10",
        "an unexpected error's own words, which may hold a buyer's values, are shown to people",
        _one("tasks/batch.py", "of Crossdock itself ({name}); see", "of Crossdock itself ({error}); see"),
        "test_policy.py",
    ),
    Mutant(
        "retry-after-ignored",
        "S11",
        "an order that was told to wait is called again at once",
        _one(
            "tasks/runtime.py",
            "        return own if retry_after is None else max(retry_after, min(own, policy.backoff_first))\n",
            "        return own\n",
        ),
        "test_bad_input.py",
    ),
    Mutant(
        "account-not-held",
        "S11",
        "a Retry-After holds one call and not the whole account",
        _one("clients/transport.py", "        if wish:\n            self._entered.hold(wish)\n", ""),
        "test_bad_input.py",
    ),
    Mutant(
        "fence-not-checked",
        "S14",
        "a process that lost its lease still writes how its step ended",
        _one(
            "ledger/steps.py",
            "    return row is not None and _mine(row, ledger) and row.fence == end.work.fence\n",
            "    return row is not None\n",
        ),
        "test_two_runs.py",
    ),
    Mutant(
        "leases-ignored",
        "S14",
        "a run takes orders that another run holds",
        (
            Edit(
                "ledger/leases.py",
                "        or_(col(SourceOrder.lease_until).is_(None), col(SourceOrder.lease_until) < now),\n    )",
                "    )",
            ),
            Edit("ledger/steps.py", "    return row.lease_owner == ledger.owner\n", "    return True\n"),
        ),
        "test_two_runs.py",
    ),
    Mutant(
        "unreadable-dropped",
        "S16",
        "entries of the feed that are no events are dropped",
        _one(
            "ledger/events.py",
            "    for entry in events:\n        row = _event_row",
            "    for entry in [e for e in events if isinstance(e, GlopalEvent)]:\n        row = _event_row",
        ),
        "test_feed.py",
    ),
    Mutant(
        "parked-is-green",
        "S16",
        "a run that parked an order ends green",
        _one("flows/report.py", "    if report.tally.parked or", "    if"),
        "test_policy.py test_cancels.py",
    ),
    Mutant(
        "search-never-due",
        "L1",
        "an order of unknown outcome is not looked for a second time",
        _one(
            "ledger/rows.py",
            "        row.due_at = due_at or (row.due_at if probing else now)\n",
            "        row.due_at = None if step is Step.PROBE_INSERT and row.probes_missed else due_at or now\n",
        ),
        "test_cancels.py test_faults.py",
    ),
    Mutant(
        "check-forgets",
        "L1",
        "an accept that did arrive is not believed",
        _one("tasks/accept.py", "        if head.external_order_id == work.store_order_id:\n", "        if False:\n"),
        "test_kills.py test_faults.py",
    ),
    Mutant(
        "one-bug-stops-all",
        "L2",
        "an error of ours in one order ends the whole run",
        (
            Edit(
                "tasks/batch.py",
                "            except Exception as error:",
                "            except ZeroDivisionError as error:",
            ),
            Edit(
                "tasks/batch.py",
                "        if isinstance(end, LedgerUnavailable) or (",
                "        if end is not None or (",
            ),
        ),
        "test_policy.py",
    ),
    Mutant(
        "no-blast-radius",
        "policy",
        "automatic cancels have no limit",
        _one("ledger/policy.py", "    if len(amounts) + 1 > policy.max_cancels_per_hour:\n", "    if False:\n"),
        "test_policy.py",
    ),
)
