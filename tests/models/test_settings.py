"""Settings: each rule, what does not fit together, and secrets that are never shown."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from models.ids import AccountKey
from models.settings import (
    EmbeddedStore,
    GlopalAccount,
    GlopalEndpoints,
    HttpStore,
    LedgerSettings,
    Limits,
    Policy,
    Secret,
    Settings,
    config_file,
)
from tests.support import Canaries, assert_no_canary


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own."""
    monkeypatch.setenv("CROSSDOCK_CONFIG", str(tmp_path / "crossdock.toml"))


def account(**changes: Any) -> dict[str, Any]:
    """One account that is right."""
    return {
        "store_id": "912",
        "base_url": "https://api.glopal.example",
        "key": {"env": "GLOPAL_KEY"},
        "store": "main",
        "base_currency": "EUR",
    } | changes


def settings(**changes: Any) -> Settings:
    """Settings with one account and one store, changed as told."""
    return Settings.model_validate(
        {"accounts": {"shop": account()}, "stores": {"main": {"kind": "embedded"}}, **changes}
    )


def problems(**changes: Any) -> str:
    """What is wrong with these settings."""
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    return str(caught.value)


def test_sensible_settings_are_taken() -> None:
    """An account and its store are enough; the rest has safe defaults."""
    made = settings()

    assert made.accounts["shop"].key_of == AccountKey("glopal", "live", "912")
    assert not made.accounts["shop"].cancel_confirmed
    assert made.accounts["shop"].policy.on_failure == "notify"
    assert made.ledger.url.startswith("sqlite+aiosqlite://")


WRONG_ACCOUNT: list[tuple[dict[str, Any], str]] = [
    ({"store_id": "a/b"}, "accounts.shop.store_id"),
    ({"store_id": "912\n"}, "accounts.shop.store_id"),
    ({"store_id": ""}, "accounts.shop.store_id"),
    ({"store_id": "x" * 65}, "accounts.shop.store_id"),
    ({"store_id": None}, "accounts.shop.store_id"),
    ({"environment": ""}, "accounts.shop.environment"),
    ({"environment": "live\n"}, "accounts.shop.environment"),
    ({"environment": "l" * 33}, "accounts.shop.environment"),
    ({"base_currency": "eur"}, "ISO 4217"),
    ({"base_currency": "DEM"}, "ISO 4217"),
    ({"base_url": "http://api.glopal.example"}, "https://"),
    ({"base_url": "ftp://api.glopal.example"}, "https://"),
    ({"base_url": "https://"}, "https://"),
    ({"base_url": "https:///path"}, "https://"),
    ({"base_url": "https://user:pass@glopal.example"}, "https://"),
    ({"base_url": "https://glopal.example/?key=1"}, "https://"),
    ({"base_url": "https://glopal.example\n"}, "https://"),
    ({"base_url": "https://a b"}, "https://"),
    ({"base_url": "http://localhost.evil.example"}, "https://"),
    ({"base_url": "http://127.0.0.1.evil.example"}, "https://"),
    ({"base_url": "http://localhost:80@evil.example"}, "https://"),
    ({"base_url": "http://[::2]/"}, "https://"),
    ({"import_on": "paid"}, "accounts.shop.import_on"),
    ({"page_size": 0}, "accounts.shop.page_size"),
    ({"page_size": 1001}, "accounts.shop.page_size"),
    ({"overlap": -1}, "accounts.shop.overlap"),
    ({"overlap": 201}, "accounts.shop.overlap"),
    ({"key": {}}, "exactly one of env"),
    ({"key": {"env": "A", "block": "b"}}, "exactly one of env"),
    ({"key": {"value": "x"}}, "accounts.shop.key.value"),
    ({"endpoints": {"accept": "v2/{store_id}"}}, "starts with /"),
    ({"endpoints": {"cancel": "/v2/orders"}}, "{store_id}"),
    ({"endpoints": {"accept_method": "GET"}}, "accept_method"),
    ({"endpoints": {"refund": "/x"}}, "endpoints.refund"),
    ({"mapping": {"totals": "x"}}, "mapping.totals"),
    ({"limits": {"concurrency": 0}}, "limits.concurrency"),
    ({"limits": {"concurrency": 65}}, "limits.concurrency"),
    ({"limits": {"per_second": 0}}, "limits.per_second"),
    ({"limits": {"timeout": 0}}, "limits.timeout"),
    ({"limits": {"timeout": 41}}, "limits.timeout"),
    ({"limits": {"timeout": float("nan")}}, "limits.timeout"),
    ({"limits": {"retry_after_wait": -1}}, "limits.retry_after_wait"),
    ({"limits": {"read_tries": 0}}, "limits.read_tries"),
    ({"limits": {"retry_after_wait": 61}}, "limits.retry_after_wait"),
    ({"limits": {"max_body": 1}}, "limits.max_body"),
    ({"policy": {"deadline_hours": 0}}, "policy.deadline_hours"),
    ({"policy": {"deadline_hours": float("inf")}}, "policy.deadline_hours"),
    ({"policy": {"deadline_hours": 1e9}}, "policy.deadline_hours"),
    ({"policy": {"warn_after_hours": -1}}, "policy.warn_after_hours"),
    ({"policy": {"on_failure": "refund"}}, "policy.on_failure"),
    ({"policy": {"max_cancels_per_hour": -1}}, "policy.max_cancels_per_hour"),
    ({"policy": {"max_cancel_value_per_hour": -1}}, "policy.max_cancel_value_per_hour"),
    ({"policy": {"task_retry_delays": [1] * 11}}, "policy.task_retry_delays"),
    ({"policy": {"task_retry_delays": [-1]}}, "policy.task_retry_delays"),
    ({"policy": {"probe_delays": [5]}}, "policy.probe_delays"),
    ({"policy": {"probe_delays": [30, 5]}}, "each later than the one before"),
    ({"policy": {"probe_delays": [5, 5]}}, "each later than the one before"),
    ({"policy": {"probe_delays": [0, 5]}}, "the first above 0"),
    ({"policy": {"backoff_first": 0}}, "policy.backoff_first"),
    ({"policy": {"backoff_longest": float("inf")}}, "policy.backoff_longest"),
    ({"deadline_hours": 72}, "accounts.shop.deadline_hours"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG_ACCOUNT, ids=itertools.count())
def test_wrong_account_settings_are_named(changes: dict[str, Any], told: str) -> None:
    """Each setting out of its bounds is refused with its key or with what to put there."""
    assert told in problems(accounts={"shop": account(**changes)})


@pytest.mark.parametrize(
    "url",
    [
        "https://api.glopal.example",
        "https://api.glopal.example:8443/base/",
        "http://127.0.0.1:8000",
        "http://localhost",
        "http://[::1]:80/x",
    ],
)
def test_https_and_loopback_addresses_are_taken(url: str) -> None:
    """Keys travel over https, or over plain http on this machine only; a closing slash is dropped."""
    assert settings(accounts={"shop": account(base_url=url)}).accounts["shop"].base_url == url.rstrip("/")


def test_every_misfit_is_told_at_once() -> None:
    """What does not fit together between the sections is told in one go, each with its key."""
    said = problems(
        accounts={
            "Shop 1": account(),
            "two": account(store="nowhere", store_id="913"),
            "three": account(),
            "test": account(environment="test", store_id="914"),
        },
        ledger={"lease_seconds": 20},
    )

    for told in (
        "accounts.Shop 1: a name has small letters",
        "accounts.two.store: there is no [stores.nowhere]",
        "accounts.three.store_id: the same account as accounts.Shop 1",
        "accounts.test.store: environment 'test' cannot land in store 'main' of environment 'live'",
        "ledger.lease_seconds: must be at least twice the longest timeout (15 s)",
    ):
        assert told in said


def test_test_accounts_cannot_land_in_a_live_store() -> None:
    """A test account fits a test store only, and a live account a live one."""
    stores = {
        "main": {"kind": "embedded"},
        "trial": {"kind": "embedded", "url": "sqlite+aiosqlite:///trial.db", "environment": "test"},
    }
    trial = account(environment="test", store="trial")

    assert settings(accounts={"shop": trial}, stores=stores).accounts["shop"].store == "trial"
    assert "cannot land" in problems(accounts={"shop": trial | {"store": "main"}}, stores=stores)
    assert "cannot land" in problems(accounts={"shop": account(store="trial")}, stores=stores)


@pytest.mark.parametrize(
    "place",
    [
        {"kind": "embedded", "url": "sqlite+aiosqlite:///orders.db"},
        {"kind": "http", "base_url": "https://oms.example", "token": {"env": "T"}},
    ],
)
def test_one_place_has_one_environment(place: dict[str, Any]) -> None:
    """Naming one place twice is no way for test orders into the live store."""
    stores = {"main": place, "trial": place | {"environment": "test"}}

    assert "stores.trial.environment: 'test', but stores.main is the same place and 'live'" in problems(stores=stores)


def test_store_and_ledger_rules() -> None:
    """Store kinds, addresses and database drivers that nobody knows are refused."""
    assert "stores.main" in problems(stores={"main": {"kind": "ftp"}})
    assert "https://" in problems(stores={"main": {"kind": "http", "base_url": "http://x.y", "token": {"env": "T"}}})
    assert "postgresql+asyncpg://" in problems(ledger={"url": "mysql://x"})
    assert "greater than or equal to 5" in problems(ledger={"lease_seconds": 4}, accounts={})
    assert "less than or equal to" in problems(ledger={"lease_seconds": float("inf")})
    assert "ledgr" in problems(ledgr={})


def test_file_and_environment_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file gives the settings, a CROSSDOCK_ variable overrides it, and unknown keys in the file are errors."""
    file = tmp_path / "crossdock.toml"
    file.write_text('[ledger]\nlease_seconds = 60\nurl = "sqlite+aiosqlite:///a.db"\n')
    monkeypatch.setenv("CROSSDOCK_LEDGER__LEASE_SECONDS", "45")

    assert config_file() == file
    assert (Settings().ledger.lease_seconds, Settings().ledger.url) == (45, "sqlite+aiosqlite:///a.db")
    file.write_text("[ledger]\nlease_secs = 60\n")
    with pytest.raises(ValidationError, match="lease_secs"):
        Settings()


def test_secrets_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is read from its variable, and neither its settings nor itself show it."""
    monkeypatch.setenv("GLOPAL_KEY", Canaries.SECRET)
    made = settings()
    value = made.accounts["shop"].key.from_environment()

    assert isinstance(value, SecretStr)
    assert value.get_secret_value() == Canaries.SECRET
    assert made.accounts["shop"].key.where == "environment variable GLOPAL_KEY"
    assert Secret(block="glopal-key").where == "Prefect Secret block glopal-key"
    assert_no_canary(repr(made), str(made), made.model_dump_json(), repr(value), made.accounts["shop"].key.where)


def test_unset_and_empty_secrets_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is missing or empty gives no secret, and a block is not looked up here."""
    monkeypatch.delenv("GLOPAL_KEY", raising=False)
    assert Secret(env="GLOPAL_KEY").from_environment() is None
    monkeypatch.setenv("GLOPAL_KEY", "")
    assert Secret(env="GLOPAL_KEY").from_environment() is None
    assert Secret(block="b").from_environment() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"key": Canaries.SECRET},
        {"key": {"value": Canaries.SECRET}},
        {"base_url": f"https://me:{Canaries.SECRET}@glopal.example"},
        {"api_key": Canaries.SECRET},
        {"store_id": f"/{Canaries.SECRET}"},
    ],
)
def test_secrets_in_the_wrong_place_are_not_repeated(changes: dict[str, Any]) -> None:
    """The message about a secret that stands in the file itself does not show it."""
    assert_no_canary(problems(accounts={"shop": account(**changes)}))


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen; a run works with what it started with."""
    for frozen in (settings(), LedgerSettings(), EmbeddedStore(), Policy(), Limits(), GlopalEndpoints()):
        with pytest.raises(ValidationError, match="frozen"):
            frozen.__setattr__(next(iter(type(frozen).model_fields)), None)
    assert not isinstance(EmbeddedStore(), HttpStore)
    assert GlopalAccount.model_validate(account()).overlap == 10
