"""From a ``[stores.*]`` section to its adapter. The only place that knows which kinds of store there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from pydantic import SecretStr

from models.outcome import ConfigurationError
from models.settings import EmbeddedStore, HttpStore, Secret, StoreSettings
from stores.embedded import EmbeddedStoreAdapter
from stores.http import HttpStoreAdapter
from stores.protocol import Store


def open_store(name: str, settings: StoreSettings, secret: Callable[[Secret], SecretStr | None]) -> Store:
    """The adapter of one store. Nothing is connected yet; ``aclose`` it in the event loop that used it.

    Args:
        name: the section's name, for messages.
        settings: the section.
        secret: gives the value of a secret, or None when it is not set; called only for stores that need one.

    Raises:
        ConfigurationError: a secret is not set, or a setting cannot be used.
    """
    match settings:
        case EmbeddedStore():
            return EmbeddedStoreAdapter(settings, name=name)
        case HttpStore():
            token = secret(settings.token)
            if token is None:
                raise ConfigurationError(
                    f"stores.{name}.token: {settings.token.where} is not set. Put the bearer token of "
                    f"{settings.base_url} there, then run crossdock check"
                )
            return HttpStoreAdapter(settings, token, name=name)
        case _:
            assert_never(settings)
