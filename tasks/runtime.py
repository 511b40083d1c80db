"""What a flow run works with: the account, the ledger, the provider's client and the store, opened once per run.

Tasks get ids and a label as parameters, never clients or documents: parameters are shown in the Prefect UI. They find
the runtime through a context variable, which Prefect's awaited tasks inherit from their flow.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prefect.blocks.system import Secret as SecretBlock
from pydantic import SecretStr

from clients.glopal import GlopalClient
from clients.redaction import install_log_redaction, register_secret
from ledger import Ledger, LedgerUnavailable
from ledger.documents import DocumentReader
from ledger.engine import sqlite_file
from ledger.events import keep_bad_answer
from ledger.holds import held
from ledger.leases import heartbeat
from ledger.migrate import current_version, migrate, newest_version
from ledger.recorder import Recorder
from ledger.steps import Rules
from models.backoff import backoff
from models.document import OrderDocument
from models.ids import AccountKey
from models.lifecycle import ImportOn
from models.outcome import BadDocument, ConfigurationError, RefusalCode, Refused
from models.settings import GlopalAccount, Secret, Settings
from models.time import utc_now
from stores.protocol import Store
from stores.registry import open_store
from tasks.held import Held

logger = logging.getLogger("crossdock")
# Measured knee of throughput on one process: more in flight only adds memory.
IN_FLIGHT = 16
# So many "not yet" in a row from one side mean that the side is down, not that these orders are special.
DOWN_AFTER = 20


_SHAPE = json.dumps(OrderDocument.model_json_schema(), sort_keys=True)
NAMES_NO_ORDER = frozenset({RefusalCode.CREDENTIALS, RefusalCode.OTHER, RefusalCode.BAD_ANSWER, RefusalCode.NOT_FOUND})
# So many such refusals in a row are about the side and not about these orders.
STRANGE_ENOUGH = 3


@dataclass
class Side:
    """How one side (the provider or the store) behaves in this run."""

    name: str
    in_a_row: int = 0
    strange: int = 0
    stopped: str | None = None
    asked: tuple[float, str] | None = None

    def well(self) -> None:
        """An answer came that speaks of the order."""
        self.in_a_row = self.strange = 0

    def asked_to_wait(self, seconds: float, message: str) -> None:
        """A Retry-After too long to be waited for concerns the whole side, and the runs after this one."""
        if self.asked is None or seconds > self.asked[0]:
            self.asked = seconds, message
        self.stopped = self.stopped or f"the {self.name} asked to be left alone for {seconds:.0f} s ({message})"

    def not_yet(self, message: str) -> None:
        """Another call could not be made; after ``DOWN_AFTER`` in a row the run leaves this side alone."""
        self.in_a_row += 1
        if self.in_a_row >= DOWN_AFTER and self.stopped is None:
            self.stopped = f"the {self.name} does not answer ({self.in_a_row} calls in a row failed: {message})"

    def refused(self, refusal: Refused) -> None:
        """Refused credentials concern every order, so the run stops calling this side.

        So do refusals that name nothing about an order, when several come with no good answer between them: a wrong
        address or a store that is set up wrong must not park every order there is.
        """
        if refusal.code in NAMES_NO_ORDER:
            self.strange += 1
        else:
            self.in_a_row = self.strange = 0
        if self.stopped is None and (refusal.code is RefusalCode.CREDENTIALS or self.strange >= STRANGE_ENOUGH):
            self.stopped = refusal.message


@dataclass
class Runtime:
    """One account's open connections and rules for one run."""

    settings: Settings
    name: str
    account: GlopalAccount
    key: AccountKey
    rules: Rules
    ledger: Ledger
    recorder: Recorder
    client: GlopalClient
    store: Store
    flight: asyncio.Semaphore
    documents: DocumentReader
    provider_side: Side = field(default_factory=lambda: Side("provider"))
    store_side: Side = field(default_factory=lambda: Side("store"))
    held: Held = field(default_factory=Held)
    random: Callable[[], float] = random.random

    def sides(self) -> list[tuple[Side, str]]:
        """Both sides, and the names under which the ledger keeps what they asked for."""
        return [(self.provider_side, f"provider:{self.key}"), (self.store_side, f"store:{self.account.store}")]

    def wait(self, attempts: int, retry_after: float | None = None) -> float:
        """Seconds until the next run's try of an order that failed ``attempts`` times."""
        policy = self.account.policy
        own = backoff(attempts, policy.backoff_first, policy.backoff_longest, self.random())
        return own if retry_after is None else max(retry_after, min(own, policy.backoff_first))


_current: ContextVar[Runtime] = ContextVar("crossdock_runtime")


def current() -> Runtime:
    """The runtime of the flow run that this task belongs to.

    Raises:
        RuntimeError: no flow opened one.
    """
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("no runtime is open; tasks run inside a Crossdock flow") from None


def account_of(settings: Settings, name: str) -> GlopalAccount:
    """The account's section.

    Raises:
        ConfigurationError: there is none by that name.
    """
    try:
        return settings.accounts[name]
    except KeyError:
        known = ", ".join(sorted(settings.accounts)) or "none"
        text = f"there is no [accounts.{name}] in the configuration; known accounts: {known}"
        raise ConfigurationError(text) from None


def rules_of(account: GlopalAccount, import_on: ImportOn | None = None) -> Rules:
    """The scheduling rules of an account, with the run's own ``import_on`` when it has one."""
    return Rules(
        import_on=import_on or account.import_on,
        deadline=timedelta(hours=account.policy.deadline_hours),
        first_probe=timedelta(seconds=account.policy.probe_delays[0]),
        start_at=account.start_at,
        mapping=mapping_hash(account),
    )


def mapping_hash(account: GlopalAccount) -> str:
    """Of all that decides how a document is read: the mapping, the base currency, the shape of the canonical order.

    When it changes, documents that could not be read get another chance, and hashes of before are not compared.
    """
    parts = [account.mapping.model_dump_json(), account.base_currency, _SHAPE]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def secret_of(secret: Secret, where: str) -> SecretStr:
    """A secret's value from its environment variable or Prefect Secret block.

    Raises:
        ConfigurationError: it is not there; the message names the place, never a value.
    """
    value = secret.from_environment()
    if value is not None:
        return value
    if secret.block is None:
        raise ConfigurationError(f"{where}: {secret.where} is not set")
    try:
        block: SecretBlock[str] = await SecretBlock.aload(secret.block)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {secret.where} does not exist in Prefect") from error
    return SecretStr(str(block.get()))


async def ready_ledger(settings: Settings, *, clock: Callable[[], datetime] = utc_now, upgrade: bool = True) -> Ledger:
    """Open the ledger, making or upgrading its tables where that is ours to do.

    SQLite files and empty databases are upgraded at once. A PostgreSQL ledger with older tables is left to
    ``crossdock migrate``, because other workers may still run the older release.

    Raises:
        ConfigurationError: the tables are of another version.
        LedgerUnavailable: the database cannot be reached.
    """
    missing = sqlite_file(settings.ledger.url)
    if not upgrade and missing is not None and not missing.exists():
        raise ConfigurationError(f"there is no ledger at {missing}, and a dry run makes none; run: crossdock migrate")
    ledger = Ledger(settings.ledger, clock=clock)
    try:
        version = await current_version(ledger)
        if version == newest_version():
            return ledger
        if upgrade and (version is None or ledger.is_sqlite):
            await migrate(ledger)
            return ledger
    except OSError as error:
        await ledger.dispose()
        raise LedgerUnavailable(f"the ledger's database cannot be reached: {error.strerror or error}") from error
    except BaseException:
        await ledger.dispose()
        raise
    await ledger.dispose()
    text = f"the ledger has version {version}, this release needs {newest_version()}; run: crossdock migrate"
    raise ConfigurationError(text)


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    name: str,
    *,
    import_on: ImportOn | None = None,
    clock: Callable[[], datetime] = utc_now,
    dry_run: bool = False,
) -> AsyncIterator[Runtime]:
    """Open everything that one account's run needs, keep its leases alive, and close it all at the end.

    With ``dry_run`` nothing is written: no tables are made, no bad answer is kept.
    """
    install_log_redaction()
    account = account_of(settings, name)
    key_value = await secret_of(account.key, f"accounts.{name}.key")
    store_settings = settings.stores[account.store]
    token = getattr(store_settings, "token", None)
    token_value = await secret_of(token, f"stores.{account.store}.token") if token is not None else None
    if token_value is not None:
        register_secret(token_value)
    ledger = await ready_ledger(settings, clock=clock, upgrade=not dry_run)
    key, rules = account.key_of, rules_of(account, import_on)

    async def keep(what: str, bad: BadDocument) -> None:
        await keep_bad_answer(ledger, key, what=what, code=bad.code, reason=bad.message, body=bad.raw, size=bad.size)

    store: Store | None = None
    beat: asyncio.Task[None] | None = None
    try:
        store = open_store(account.store, store_settings, lambda _: token_value)
        async with GlopalClient(account, key_value, on_bad_answer=None if dry_run else keep) as client:
            runtime = Runtime(
                settings=settings,
                name=name,
                account=account,
                key=key,
                rules=rules,
                ledger=ledger,
                recorder=Recorder(ledger, rules),
                client=client,
                store=store,
                flight=asyncio.Semaphore(IN_FLIGHT),
                documents=DocumentReader(ledger),
            )
            for side, side_name in runtime.sides():
                side.stopped = await held(ledger, side_name)
            if not dry_run:
                beat = asyncio.create_task(_beat(ledger))
            mark = _current.set(runtime)
            try:
                yield runtime
            finally:
                _current.reset(mark)
    finally:
        if beat is not None:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        if store is not None:
            await store.aclose()
        await ledger.dispose()


async def _beat(ledger: Ledger) -> None:
    """Prolong our leases until cancelled. A failed beat is logged and tried again; the fence protects meanwhile."""
    while True:
        await asyncio.sleep(ledger.settings.lease_seconds / 4)
        try:
            await heartbeat(ledger)
        except LedgerUnavailable as error:
            logger.warning("heartbeat: %s", error)


def with_import_on(rules: Rules, import_on: ImportOn) -> Rules:
    """The same rules with another ``import_on``."""
    return replace(rules, import_on=import_on)
