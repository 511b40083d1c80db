"""Settings become adapters, or a sentence that says what is missing."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from models.outcome import ConfigurationError
from models.settings import EmbeddedStore, HttpStore, Secret
from stores.embedded import EmbeddedStoreAdapter
from stores.http import HttpStoreAdapter
from stores.registry import open_store

pytestmark = pytest.mark.asyncio
HTTP = HttpStore(base_url="https://shop.example/api", token=Secret(block="shop-token"))


async def test_each_kind(sqlite_url: str) -> None:
    """Each kind of section opens its adapter; only the HTTP store asks for a secret."""
    asked: list[Secret] = []

    def secret(place: Secret) -> SecretStr:
        asked.append(place)
        return SecretStr("GL.canary")

    stores = [open_store("a", EmbeddedStore(url=sqlite_url), secret), open_store("b", HTTP, secret)]
    assert [type(store) for store in stores] == [EmbeddedStoreAdapter, HttpStoreAdapter]
    assert asked == [HTTP.token]
    for store in stores:
        await store.aclose()


async def test_secret_is_not_set() -> None:
    """A secret that is not set is named with its place and the setting."""
    with pytest.raises(ConfigurationError, match=r"stores\.web\.token: Prefect Secret block shop-token is not set"):
        open_store("web", HTTP, lambda _: None)
