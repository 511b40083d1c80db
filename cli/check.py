"""``crossdock check``: all that can be wrong before orders flow, as a list of ok, warn and error with what to do.

Reads only: one call to each side, no table is made or changed in the ledger. An embedded store makes its tables on its
first use, which may be this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import SecretStr
from rich.table import Table

from cli import console
from cli.ledger_access import place, sqlite_file, version_problem
from cli.problems import ConfigurationProblems, load_settings
from clients.glopal import GlopalClient
from clients.redaction import redact, register_secret
from ledger import Ledger, LedgerUnavailable
from ledger.migrate import current_version, newest_version
from ledger.queries import broken_chains
from models.outcome import ConfigurationError, Done, RefusalCode, Refused
from models.settings import GlopalAccount, Secret, Settings
from stores.registry import open_store

CLOCK_WARN = 30.0
CLOCK_ERROR = 300.0
_MOST_CHAINS = 20
Level = Literal["ok", "warn", "error"]
_STYLE = {"ok": "green", "warn": "yellow", "error": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the list: what was looked at, what was found, what to do about it."""

    level: Level
    what: str
    found: str
    do: str = ""


async def check(*, as_json: bool) -> int:
    """Look at everything and print what was found; the exit code."""
    findings = await look()
    worst = any(finding.level == "error" for finding in findings)
    if as_json:
        console.say_json({"ok": not worst, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    return 1 if worst else 0


async def look() -> list[Finding]:
    """All findings, in the order in which a person would mend them."""
    try:
        settings = load_settings()
    except ConfigurationProblems as error:
        return [Finding("error", problem.key, problem.what, problem.do) for problem in error.problems]
    if not settings.accounts:
        return [Finding("error", "accounts", "there is none", "Add an [accounts.NAME] section; the example shows one")]
    findings = [
        Finding("ok", "configuration", f"{len(settings.accounts)} account(s), {len(settings.stores)} store(s)"),
        *_unused_stores(settings),
    ]
    with console.progress() as bar:
        task = bar.add_task("Looking at accounts, stores and the ledger", total=len(settings.accounts) + 2)
        for name, account in settings.accounts.items():
            findings += await _account(name, account)
            bar.advance(task)
        for name in settings.stores:
            findings.append(await _store(name, settings))
        bar.advance(task)
        findings += [finding async for finding in _ledger(settings)]
        bar.advance(task)
    return [
        *findings,
        *(finding for name, account in settings.accounts.items() for finding in _reminders(name, account)),
    ]


def _unused_stores(settings: Settings) -> list[Finding]:
    used = {account.store for account in settings.accounts.values()}
    return [
        Finding("warn", f"stores.{name}", "no account lands here", "Name it in an account, or remove the section")
        for name in settings.stores
        if name not in used
    ]


async def _secret(secret: Secret, where: str, meaning: str) -> SecretStr | Finding:
    """The secret's value, or the finding that says why there is none."""
    value = secret.from_environment()
    if value is None and secret.block is not None:
        # Only blocks need Prefect, which takes more than a second to import.
        from tasks.runtime import secret_of  # noqa: PLC0415

        try:
            value = await secret_of(secret, where)
        except ConfigurationError as error:
            return Finding("error", where, redact(str(error)), _secret_advice(secret))
        except Exception as error:  # noqa: BLE001 - Prefect's client fails in many ways; the rest is still looked at
            found = f"{secret.where} could not be read ({type(error).__name__}); {meaning}"
            advice = f"Is PREFECT_API_URL the address of a running Prefect server? {_secret_advice(secret)}"
            return Finding("error", where, found, advice)
    if value is None:
        return Finding("error", where, f"{secret.where} is not set; {meaning}", _secret_advice(secret))
    register_secret(value)
    return value


def _secret_advice(secret: Secret) -> str:
    if secret.env:
        return f"Set it where the flows run, e.g. export {secret.env}=…"
    return f"Make the Secret block {secret.block} in Prefect's UI, under Blocks"


async def _account(name: str, account: GlopalAccount) -> list[Finding]:
    where = f"accounts.{name}"
    key = await _secret(account.key, f"{where}.key", "the account's orders cannot be read")
    if isinstance(key, Finding):
        return [key]
    try:
        async with GlopalClient(account, key) as client:
            outcome = await client.check()
            skew = client.server_clock.skew
    except ConfigurationError as error:
        return [Finding("error", where, redact(str(error)))]
    if isinstance(outcome, Done):
        return [Finding("ok", where, redact(outcome.value)), *_clock(where, skew)]
    advice = "Nothing was changed; orders wait at the provider."
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.CREDENTIALS:
        advice += f" Put the right key into {account.key.where}."
    return [Finding("error", where, redact(outcome.message), advice), *_clock(where, skew)]


def _clock(where: str, skew: float | None) -> list[Finding]:
    if skew is None or abs(skew) <= CLOCK_WARN:
        return []
    side = "ahead of" if skew > 0 else "behind"
    found = f"this machine's clock is {abs(skew):.0f} s {side} the provider's"
    level: Level = "error" if abs(skew) > CLOCK_ERROR else "warn"
    return [Finding(level, f"{where} clock", found, "Set it by NTP: deadlines and waits are counted on it")]


async def _store(name: str, settings: Settings) -> Finding:
    where, section = f"stores.{name}", settings.stores[name]
    secret: Secret | None = getattr(section, "token", None)
    value = await _secret(secret, f"{where}.token", "no order can land here") if secret is not None else None
    if isinstance(value, Finding):
        return value
    try:
        store = open_store(name, section, lambda _: value)
    except ConfigurationError as error:
        return Finding("error", where, redact(str(error)))
    try:
        outcome = await store.check()
    finally:
        await store.aclose()
    if isinstance(outcome, Done):
        return Finding("ok", where, redact(outcome.value))
    return Finding("error", where, redact(outcome.message), "No order can land here until this is mended; they wait")


async def _ledger(settings: Settings) -> AsyncIterator[Finding]:
    where, file = place(settings.ledger), sqlite_file(settings.ledger.url)
    if file is not None and not file.exists():
        yield Finding("ok", "ledger", f"{where}: not there yet; the first run makes it")
        return
    ledger = Ledger(settings.ledger)
    try:
        version = await current_version(ledger)
        if version is None:
            yield Finding("ok", "ledger", f"{where}: reached, without tables yet; the first run makes them")
            return
        if version != newest_version():
            yield Finding("error", "ledger", f"{where}: {version_problem(version)}", "crossdock migrate")
            return
        yield Finding("ok", "ledger", f"{where}: reached, tables of version {version}")
        broken = [text async for text in broken_chains(ledger)]
        for text in broken[:_MOST_CHAINS]:
            yield Finding("error", "ledger proof", text, "Somebody changed the ledger by hand; compare with a backup")
        if len(broken) > _MOST_CHAINS:
            yield Finding("error", "ledger proof", f"and {len(broken) - _MOST_CHAINS} more", "")
        if not broken:
            yield Finding("ok", "ledger proof", "every order's story is complete and unchanged")
    except LedgerUnavailable as error:
        yield Finding(
            "error", "ledger", redact(str(error)), "Nothing can land until the ledger answers; nothing is lost"
        )
    finally:
        await ledger.dispose()


def _reminders(name: str, account: GlopalAccount) -> list[Finding]:
    """What is right as far as it goes and still wants a person's word."""
    where, ours, found = f"accounts.{name}", account.endpoints, []
    # Written out is confirmed, also where the words are those of the default.
    if "accept" not in ours.model_fields_set:
        found.append(
            Finding(
                "warn",
                f"{where}.endpoints.accept",
                f"not confirmed; the assumed call is {ours.accept_method} {ours.accept}",
                "Ask Glopal for path, method and body of accept, and write them here even if they are the same",
            )
        )
    if not account.cancel_confirmed:
        policy = (
            'the policy on_failure = "cancel" parks orders instead' if account.policy.on_failure == "cancel" else ""
        )
        found.append(
            Finding(
                "warn",
                f"{where}.cancel_confirmed",
                "off: Crossdock cancels nothing at Glopal" + (f", and {policy}" if policy else ""),
                "Once Glopal confirmed path, method and body of cancel, set cancel_confirmed = true",
            )
        )
    return found


def _print(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark = console.cell(finding.level)
        mark.stylize(_STYLE[finding.level])
        text = finding.found + (f"\n→ {finding.do}" if finding.do else "")
        table.add_row(mark, console.cell(finding.what), console.cell(text))
    console.out().print(table)
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warn" for finding in findings)
    if errors:
        console.say(f"\n{errors} error(s), {warnings} warning(s). Orders cannot land until the errors are mended.")
    else:
        console.say(f"\nReady, with {warnings} warning(s)." if warnings else "\nReady.")


def run_check(*, as_json: bool) -> int:
    """``check`` for the command line."""
    return asyncio.run(check(as_json=as_json))
