"""Settings: one ``crossdock.toml`` plus secrets from the environment. The only module that reads the environment.

Secrets are named in the file by the environment variable (``key_env``) or Prefect Secret block (``key_block``) that
holds them and never stand in the file itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from models.currencies import EXPONENTS
from models.glopal import GlopalMapping
from models.ids import AccountKey

CONFIG_FILE_ENV = "CROSSDOCK_CONFIG"
DEFAULT_CONFIG_FILE = "crossdock.toml"
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?")
_STORE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_HTTPS = re.compile(r"https://[^/\s?#@]+(?:/[^\s?#@]*)?")
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/[^\s?#@]*)?", re.ASCII)
_ENVIRONMENT = r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,31}\z"

# Bounded, so that no setting can push a time beyond the calendar's end. A field with bounds of its own is a plain
# float: the bounds of an annotation would replace them.
Seconds = Annotated[float, Field(ge=0, le=31 * 86_400, allow_inf_nan=False)]
Hours = Annotated[float, Field(gt=0, le=366 * 24, allow_inf_nan=False)]
Environment = Annotated[str, Field(pattern=_ENVIRONMENT)]
_DAY = 86_400.0


class _Section(BaseModel):
    # A secret written into the wrong place must not come back in the message about it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Secret(_Section):
    """Where a secret lives: an environment variable or a Prefect Secret block, exactly one of them."""

    env: str | None = None
    block: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.block is None):
            raise ValueError("give exactly one of env (environment variable) and block (Prefect Secret block)")
        return self

    @property
    def where(self) -> str:
        """The place in words, for messages; never the value."""
        return f"environment variable {self.env}" if self.env else f"Prefect Secret block {self.block}"

    def from_environment(self) -> SecretStr | None:
        """The value from the environment, or None when it is a block or not set."""
        value = os.environ.get(self.env, "") if self.env else ""
        return SecretStr(value) if value else None


class GlopalEndpoints(_Section):
    """Glopal's endpoint table. Events and order are documented; accept, cancel and the paging names are assumed.

    A merchant who holds the vendor's OpenAPI file corrects them here and nowhere else. Templates know ``{store_id}``,
    ``{order_id}``, and in bodies ``{store_order_id}``, ``{store_order_number}`` and ``{reason}``.
    """

    events: str = "/v2/events/{store_id}"
    order: str = "/v2/orders/{store_id}/{order_id}"
    accept_method: Literal["POST", "PUT", "PATCH"] = "POST"
    accept: str = "/v2/orders/{store_id}/{order_id}/accept"
    accept_body: dict[str, Any] = Field(
        default_factory=lambda: {"external": {"order_id": "{store_order_id}", "order_number": "{store_order_number}"}}
    )
    cancel_method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    cancel: str = "/v2/orders/{store_id}/{order_id}/cancel"
    cancel_body: dict[str, Any] = Field(default_factory=lambda: {"reason": "{reason}"})
    event_param: str = "event"
    after_param: str = "after_event_id"
    before_param: str = "before_event_id"
    limit_param: str = "limit"

    @field_validator("events", "order", "accept", "cancel")
    @classmethod
    def _a_path(cls, value: str) -> str:
        if not value.startswith("/") or "{store_id}" not in value:
            raise ValueError("a path that starts with / and holds {store_id}")
        return value


class Limits(_Section):
    """How hard one account or store may be called by one process."""

    concurrency: int = Field(default=16, ge=1, le=64)
    per_second: float | None = Field(default=None, gt=0, description="Calls a second; None for no limit of our own.")
    timeout: float = Field(default=15.0, gt=0, le=40, description="Hard limit of one call, in seconds.")
    read_tries: int = Field(default=3, ge=1, le=10, description="Quick tries of a read before it counts as not yet.")
    retry_after_wait: float = Field(default=30.0, ge=0, le=60, description="Longest Retry-After waited inside a call.")
    max_body: int = Field(default=8 * 1024 * 1024, ge=1024, description="Largest answer read, in bytes.")


class Policy(_Section):
    """What happens to orders that cannot be landed."""

    deadline_hours: Hours = 72.0
    warn_after_hours: Hours = Field(default=24.0, description="READY longer than this: a person is told.")
    on_failure: Literal["notify", "cancel"] = "notify"
    max_cancels_per_hour: int = Field(default=5, ge=0, description="Blast radius: automatic cancels by count.")
    max_cancel_value_per_hour: Decimal = Field(
        default=Decimal(2000), ge=0, description="Blast radius: automatic cancels by value, in base currency."
    )
    task_retry_delays: list[Seconds] = Field(default_factory=lambda: [2.0, 10.0, 30.0], max_length=10)
    probe_delays: list[Seconds] = Field(
        default_factory=lambda: [5.0, 30.0, 120.0, 600.0],
        min_length=2,
        description="Unknown create: seconds after the intent at which the store is searched for our reference. "
        "Only when all of these found nothing is a second create allowed.",
    )
    recheck_refused: Seconds = Field(
        default=60.0,
        description="An order refused for an unknown SKU or missing stock is tried again by itself, one of each kind, "
        "at the first poll after so many seconds; the longer it waits, the rarer (at least every hour). 0: never.",
    )
    backoff_first: float = Field(default=60.0, gt=0, le=_DAY)
    backoff_longest: float = Field(default=1800.0, gt=0, le=_DAY)

    @field_validator("probe_delays")
    @classmethod
    def _spaced(cls, value: list[float]) -> list[float]:
        if any(later <= earlier for earlier, later in pairwise([0.0, *value])):
            raise ValueError("each later than the one before, the first above 0")
        return value


class GlopalAccount(_Section):
    """One Glopal store identifier."""

    provider: Literal["glopal"] = "glopal"
    store_id: str = Field(description="Store Identifier issued by Glopal.")
    environment: Environment = Field(
        default="live", description="Must equal the environment in Glopal's order documents."
    )
    base_url: str
    key: Secret
    store: str = Field(description="Name of the [stores.*] section where this account's orders land.")
    base_currency: str
    import_on: Literal["ready", "received"] = "ready"
    events: list[str] = Field(default_factory=lambda: ["order.received", "order.ready", "order.cancelled"])
    page_size: int | None = Field(default=None, ge=1, le=1000, description="Sent as limit when set; 20 is Glopal's.")
    overlap: int = Field(default=10, ge=0, le=200, description="Events re-read before the cursor on each poll.")
    start_at: AwareDatetime | None = Field(
        default=None,
        description="Older orders are recorded and left alone: another system landed them.",
    )
    cancel_confirmed: bool = Field(
        default=False, description="Set true once the cancel endpoint was checked with Glopal; it is off until then."
    )
    endpoints: GlopalEndpoints = Field(default_factory=GlopalEndpoints)
    mapping: GlopalMapping = Field(default_factory=GlopalMapping)
    limits: Limits = Field(default_factory=Limits)
    policy: Policy = Field(default_factory=Policy)

    @field_validator("store_id")
    @classmethod
    def _plain_store_id(cls, value: str) -> str:
        if not _STORE_ID.fullmatch(value):
            raise ValueError("letters, digits, - and _ only, at most 64")
        return value

    @field_validator("base_currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in EXPONENTS:
            raise ValueError(f"{value!r} is not an ISO 4217 currency code")
        return value

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        return _checked_url(value)

    @property
    def key_of(self) -> AccountKey:
        """The ledger's key of this account."""
        return AccountKey("glopal", self.environment, self.store_id)


class EmbeddedStore(_Section):
    """Orders land in SQL tables that an ERP or OMS reads."""

    kind: Literal["embedded"] = "embedded"
    environment: Environment = "live"
    url: str = "sqlite+aiosqlite:///.crossdock/store.db"
    limits: Limits = Field(default_factory=Limits)

    @field_validator("url")
    @classmethod
    def _known_driver(cls, value: str) -> str:
        return _checked_database(value)


class HttpStore(_Section):
    """Orders land behind the generic HTTP order endpoint (docs/http-order-endpoint.md)."""

    kind: Literal["http"] = "http"
    environment: Environment = "live"
    base_url: str
    token: Secret
    limits: Limits = Field(default_factory=Limits)

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        return _checked_url(value)


StoreSettings = Annotated[EmbeddedStore | HttpStore, Field(discriminator="kind")]


class LedgerSettings(_Section):
    """The ledger's own database; SQLite (WAL) by default, PostgreSQL by URL."""

    url: str = "sqlite+aiosqlite:///.crossdock/ledger.db"
    lease_seconds: float = Field(default=90.0, ge=5, le=_DAY, description="Longer than any single call's timeout.")

    @field_validator("url")
    @classmethod
    def _known_driver(cls, value: str) -> str:
        return _checked_database(value)


class NotifySettings(_Section):
    """Which Prefect notification block tells people about parked and late orders."""

    block: str | None = Field(default=None, description="e.g. slack-webhook/orders")


class Settings(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, env_prefix="CROSSDOCK_", env_nested_delimiter="__"
    )

    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    accounts: dict[str, GlopalAccount] = Field(default_factory=dict)
    stores: dict[str, StoreSettings] = Field(default_factory=dict)
    notify: NotifySettings = Field(default_factory=NotifySettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file, overridden by CROSSDOCK_… variables."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(misfits(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def config_file() -> Path:
    """The configuration file in force: ``CROSSDOCK_CONFIG`` or ``crossdock.toml`` in the current directory."""
    return Path(os.environ.get(CONFIG_FILE_ENV, DEFAULT_CONFIG_FILE))


def _checked_database(value: str) -> str:
    """Only the two async drivers that the ledger and the embedded store are built on."""
    if not value.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
        raise ValueError("starts with sqlite+aiosqlite:// or postgresql+asyncpg://")
    return value


def _checked_url(value: str) -> str:
    """Only https, or plain http on loopback: keys and buyers' data travel on it."""
    if _HTTPS.fullmatch(value) or _LOOPBACK.fullmatch(value):
        return value.rstrip("/")
    raise ValueError("an https:// address (http:// only on loopback), without user, ? and #")


def _shared_stores(settings: Settings) -> Iterator[str]:
    """Two names for one place would let a test account reach it through the other name."""
    places: dict[str, tuple[str, str]] = {}
    for name, store in settings.stores.items():
        place = store.url if isinstance(store, EmbeddedStore) else store.base_url
        twin, environment = places.setdefault(place, (name, store.environment))
        if environment != store.environment:
            yield (
                f"stores.{name}.environment: {store.environment!r}, but stores.{twin} is the same place and "
                f"{environment!r}; each environment needs a store of its own"
            )


def misfits(settings: Settings) -> list[str]:
    """What is wrong between the sections, each as ``key: what to do``."""
    problems = list(_shared_stores(settings))
    seen: dict[str, str] = {}
    for name, account in settings.accounts.items():
        where = f"accounts.{name}"
        if not _SLUG.fullmatch(name):
            problems.append(f"{where}: a name has small letters, digits and - only")
        store = settings.stores.get(account.store)
        if store is None:
            problems.append(f"{where}.store: there is no [stores.{account.store}]")
        elif store.environment != account.environment:
            problems.append(
                f"{where}.store: environment {account.environment!r} cannot land in store {account.store!r} of "
                f"environment {store.environment!r}; test orders never reach a live store"
            )
        twin = seen.setdefault(str(account.key_of), name)
        if twin != name:
            problems.append(f"{where}.store_id: the same account as accounts.{twin}")
        longest = max(account.limits.timeout, store.limits.timeout if store else 0.0)
        if settings.ledger.lease_seconds < 2 * longest:
            problems.append(f"ledger.lease_seconds: must be at least twice the longest timeout ({longest:g} s)")
    return problems
