"""Deliberate breaks of backfill, proof and resuming: the list of ``mutant_list.py`` goes on here."""

from __future__ import annotations

from tests.trust.mutant_list import Edit, Mutant

_WALK, _BACKFILL, _EVENTS, _LEASES = "tasks/walk.py", "tasks/backfill.py", "ledger/events.py", "ledger/leases.py"
_COVERAGE, _RESUME = "ledger/coverage.py", "ledger/resume.py"
_WALKS = "test_walk.py"
_LEDGER = "../ledger/test_coverage.py"
_RESUMES = "../ledger/test_resume.py test_resume.py"


def _one(path: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(path, old, new),)


HISTORY_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "anchor-before-not-checked",
        "S13",
        "a walk trusts the place of the event that it begins at",
        _one(_WALK, "    if not lies_before(times_of(stands), seen.span.start - MARGIN):\n", "    if False:\n"),
        _WALKS,
    ),
    Mutant(
        "anchor-after-not-checked",
        "S13",
        "a walk backwards trusts the place of the event that it begins at",
        _one(_WALK, "        if not others or lies_after(", "        if True or lies_after("),
        _WALKS,
    ),
    Mutant(
        "first-page-taken-for-the-page-before",
        "S13",
        "a provider that takes no notice of what it should go back from is believed",
        _one(_WALK, "    if first is None or anchor not in ids_of(first):\n", "    if first is None:\n"),
        _WALKS,
    ),
    Mutant(
        "first-page-taken-for-the-last",
        "S13",
        "the page that came for the feed's end is not checked to be its end",
        _one(_WALK, "    if not follows:\n        return True\n", "    if True:\n        return True\n"),
        _WALKS,
    ),
    Mutant(
        "margin-ignored",
        "S12",
        "what may still be published is called complete",
        _one(_WALK, "    end = min(seen.span.end, until)\n", "    end = seen.span.end\n"),
        _WALKS,
    ),
    Mutant(
        "walks-on",
        "S13",
        "a walk goes on to the feed's end although the interval is behind it",
        _one(
            _WALK,
            "        if page and lies_after(lately.with_page(page), seen.span.end + MARGIN):\n",
            "        if False:\n",
        ),
        _WALKS,
    ),
    Mutant(
        "walks-back-for-ever",
        "S13",
        "a walk backwards goes on to the feed's beginning",
        _one(
            _WALK,
            "        if lies_before(lately.with_page(page), seen.span.start - MARGIN):\n",
            "        if False:\n",
        ),
        _WALKS,
    ),
    Mutant(
        "one-event-ends-the-walk",
        "S13",
        "a single event from another time, alone on its page, ends a walk",
        _one(_WALK, "ENOUGH = 25\n", "ENOUGH = 1\n"),
        _WALKS,
    ),
    Mutant(
        "proven-although-stuck",
        "S13",
        "a feed that leads nowhere proves what was read of it",
        _one(
            _WALK,
            '            seen.proven, seen.why_not = None, "the feed gave',
            '            seen.proven, seen.how, seen.why_not = seen.span, "read", "the feed gave',
        ),
        _WALKS,
    ),
    Mutant(
        "before-the-feed",
        "S13",
        "days before the feed's first event are called complete",
        _one(_WALK, "    if seen.from_start and seen.begins_at is not None and", "    if seen.begins_at is None and"),
        _WALKS,
    ),
    Mutant(
        "checked-pages-dropped",
        "S13",
        "what was read to check an anchor is thrown away",
        _one(_WALK, "    await _hand_out(runtime, seen, stands, on_page)\n", ""),
        _WALKS,
    ),
    Mutant(
        "end-included",
        "S13",
        "a range has its end in it",
        _one(
            "models/ranges.py",
            "        return self.start <= require_utc(at) < self.end\n",
            "        return self.start <= require_utc(at) <= self.end\n",
        ),
        "test_backfill.py",
    ),
    Mutant(
        "whole-pages",
        "S13",
        "whatever stands on the pages around a range is recorded, too",
        _one(_WALK, "            await on_page(own)\n", "            await on_page(page)\n"),
        "test_backfill.py",
    ),
    Mutant(
        "proof-first",
        "S12",
        "the proof is written before the events that it speaks of",
        _one(
            _BACKFILL,
            "    for page in leg.pages[:-1]:\n",
            "    await record([], _proofs(runtime, leg, leg.walked, run_id))\n    for page in leg.pages[:-1]:\n",
        ),
        "test_backfill_resume.py",
    ),
    Mutant(
        "backfill-moves-the-cursor",
        "S12",
        "a backfill moves the live cursor",
        (
            Edit(
                _BACKFILL,
                'page, runtime.rules, via="backfill", coverage=proofs, lease=lease\n',
                "page, runtime.rules, CursorMove(page[-1].event_id, *lease) if page else None,\n"
                '            via="backfill", coverage=proofs, lease=lease,\n',
            ),
            Edit(
                _BACKFILL,
                "from ledger.events import Recorded, record_page\n",
                "from ledger.cursor import CursorMove\nfrom ledger.events import Recorded, record_page\n",
            ),
        ),
        "test_backfill.py",
    ),
    Mutant(
        "history-is-live",
        "L2",
        "orders that a backfill found are taken like live ones",
        _one(_EVENTS, 'HISTORY if via == "backfill" else LIVE', "LIVE"),
        "test_backfill_resume.py",
    ),
    Mutant(
        "oldest-first",
        "L2",
        "what is due for longest is taken first, history before live orders",
        _one(_LEASES, ".order_by(ORDERS.c.priority, ORDERS.c.due_at", ".order_by(ORDERS.c.due_at"),
        "test_backfill_resume.py",
    ),
    Mutant(
        "no-share",
        "L2",
        "a poll takes all history that is due",
        _one(
            "flows/settle.py", "        history: int | None = HISTORY_SHARE,\n", "        history: int | None = None,\n"
        ),
        "test_backfill_resume.py",
    ),
    Mutant(
        "news-stay-history",
        "L2",
        "live news of an order of history do not make it a live one",
        _one(_EVENTS, '        if via == "live":\n            row.priority = LIVE\n', ""),
        f"{_LEDGER}",
    ),
    Mutant(
        "overlap-of-everything",
        "S6",
        "the overlap is counted in recorded events, whoever found them",
        (
            Edit("ledger/cursor.py", "    if len(tail) > overlap:\n", "    if False:\n"),
            Edit("ledger/cursor.py", 'SourceEvent.via == "live", ', ""),
        ),
        _LEDGER,
    ),
    Mutant(
        "backfill-lease-not-checked",
        "S14",
        "a backfill that lost its lease records and proves on",
        _one(_EVENTS, "        if lease is not None:\n", "        if False:\n"),
        f"{_LEDGER} test_backfill_resume.py",
    ),
    Mutant(
        "live-proof-without-lease",
        "S14",
        "a poll that lost the feed still says that it was read to its end",
        _one(_COVERAGE, "        await check_feed(session, ledger, lease, fence)\n", ""),
        _LEDGER,
    ),
    Mutant(
        "proof-over-a-gap",
        "S6",
        "live polling's proof grows over the gap that a rejected cursor left",
        _one(
            _COVERAGE,
            '        chain = col(Coverage.by).in_(("live", CHAIN_BROKEN))\n',
            '        chain = col(Coverage.by) == "live"\n',
        ),
        _LEDGER,
    ),
    Mutant(
        "lost-place-not-written-down",
        "S6",
        "a poll that lost its place and is interrupted lets the next one prove the time between",
        _one("tasks/events.py", " if after is None and pulled.cursor_reset else ()\n", " if False else ()\n"),
        "test_live_proof.py",
    ),
    Mutant(
        "misplaced-left-alone",
        "S12",
        "events that stand out of their time are taken by nobody",
        _one("tasks/sorter.py", " or late or early\n", "\n"),
        f"{_WALKS} test_live_proof.py",
    ),
    Mutant(
        "ends-of-pages-not-judged",
        "S12",
        "what follows a page is not asked whether its last events are misdated",
        _one(
            "tasks/sorter.py", "        return self._judge(page, following)\n", "        return self._judge(page, ())\n"
        ),
        "test_live_proof.py",
    ),
    Mutant(
        "history-taken-along",
        "S13",
        "a walk that has to begin anew takes everything on its way",
        (
            Edit(_WALK, "    seen.pages = seen.events = seen.inside = seen.unreadable = 0\n", ""),
            Edit(_WALK, "    stands: Sequence[Entry] | None = (),\n", "    stands: Sequence[Entry] | None = None,\n"),
        ),
        "test_live_proof.py",
    ),
    Mutant(
        "faster-clock-believed",
        "S12",
        "a machine whose clock is ahead proves what the provider has not published yet",
        _one(_WALK, "timedelta(seconds=max(skew or 0.0, 0.0)) - MARGIN", "MARGIN"),
        "test_live_proof.py",
    ),
    Mutant(
        "forgotten-days-asked-again",
        "S13",
        "days before the feed's beginning are asked for at every run",
        _one(
            "flows/backfill.py",
            "            if begins is not None and leg.span.end <= begins - MARGIN:\n",
            "            if False:\n",
        ),
        "test_backfill_resume.py",
    ),
    Mutant(
        "refresh-trusts-all",
        "S12",
        "a refresh does not read again what somebody else proved",
        _one("ledger/backfills.py", "if run.mode == FILL_GAPS or proof.run_id == run.id]", "]"),
        "../ledger/test_backfills.py test_backfill_resume.py",
    ),
    Mutant(
        "always-anew",
        "S12",
        "a killed backfill is not gone on with",
        _one(
            "ledger/backfills.py",
            "        resumed = row is not None\n",
            "        row = None\n        resumed = False\n",
        ),
        "../ledger/test_backfills.py test_backfill_resume.py",
    ),
    Mutant(
        "gone-for-good",
        "S16",
        "an order whose row is gone is not made again by its known events",
        _one(_EVENTS, "        fresh += await _events_again(session, key, events, ids, made, fresh)\n", ""),
        _LEDGER,
    ),
    Mutant(
        "latest-day",
        "S16",
        "an order belongs to the day of its latest event",
        _one(_EVENTS, "event.event_at < row.source_at", "event.event_at > row.source_at"),
        _LEDGER,
    ),
    Mutant(
        "everything-is-tried",
        "L1",
        "every parked order is tried again by itself",
        (
            Edit(_RESUME, "ORDERS.c.parked_code.in_(RECHECKED))", "ORDERS.c.parked_code.is_not(None))"),
            Edit(_RESUME, " and row.parked_code in RECHECKED]", "]"),
        ),
        _RESUMES,
    ),
    Mutant(
        "tried-at-every-poll",
        "L1",
        "an order that is refused for ever is tried as often as a fresh one",
        _one(_RESUME, "max(first_wait, min(waited / SHARE, LONGEST_WAIT))", "first_wait"),
        _RESUMES,
    ),
    Mutant(
        "told-at-every-try",
        "L1",
        "people are told of every try of an order that is refused for the same reason again",
        _one(
            "ledger/steps.py",
            "    again = parking is not None and (row.parked_code, row.parked_reason) == parking\n",
            "    again = False\n",
        ),
        _RESUMES,
    ),
    Mutant(
        "all-at-once",
        "L1",
        "of many orders that wait for the same all are tried",
        _one(
            _RESUME,
            "        if row is not None and row.parked_at is None and row.store_order_id is not None:\n",
            "        if row is not None:\n",
        ),
        _RESUMES,
    ),
    Mutant(
        "limit-forgotten",
        "L1",
        "a poll with a limit settles those that follow beyond it",
        _one("flows/glopal.py", "None if limit is None else max(0, limit - report.tally.claimed)", "limit"),
        _RESUMES,
    ),
    Mutant(
        "mapping-never-edited",
        "L1",
        "orders that could not be read are read again at every poll",
        _one(_RESUME, "            or_(ORDERS.c.parked_with.is_(None), ORDERS.c.parked_with != rules.mapping),\n", ""),
        _RESUMES,
    ),
    Mutant(
        "dry-run-asks",
        "S12",
        "a dry run leaves a backfill behind that was never run",
        _one(
            "flows/backfill.py",
            "        if self.asked.dry_run:\n            run = Opened(0,",
            "        if False:\n            run = Opened(0,",
        ),
        "test_backfill_resume.py",
    ),
    Mutant(
        "held-is-done",
        "L1",
        "orders that a killed process still holds are called done",
        _one("flows/backfill_report.py", "max(self.tally.unfinished, self.under_way)", "self.tally.unfinished"),
        "test_backfill_resume.py",
    ),
    Mutant(
        "upgraded-without-days",
        "S16",
        "orders of an earlier release belong to the day of their latest event",
        _one("ledger/migrations/versions/0003_history_and_proof.py", "(SELECT min(event_at)", "(SELECT max(event_at)"),
        "../ledger/test_old_ledgers.py",
    ),
)
