"""Configuration mistakes in plain words: all of them at once, each with its key and what to do. No secret is shown."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from clients.redaction import redact
from models.currencies import EXPONENTS
from models.outcome import ConfigurationError
from models.settings import GlopalAccount, LedgerSettings, Secret, Settings, StoreSettings, config_file, misfits

EXAMPLE = "crossdock.example.toml"
# What a section says first when several are wrong at once is not repeated by the checks between sections.
_BETWEEN = re.compile(r"; (?=(?:accounts|stores|ledger|notify)\b[\w.-]*: )")
_PUT = {
    "store_id": 'the Store Identifier that Glopal issued, e.g. store_id = "912"',
    "base_url": 'the address, e.g. base_url = "https://api.example.com"',
    "key": 'where the API key is, e.g. key = { env = "GLOPAL_KEY" } or key = { block = "glopal-key" }',
    "token": 'where the bearer token is, e.g. token = { env = "STORE_TOKEN" }',
    "store": "the name of the [stores.NAME] section where this account's orders land",
    "base_currency": 'the merchant\'s own currency, e.g. base_currency = "EUR"',
    "kind": 'which kind of store it is: kind = "embedded" or kind = "http"',
}
# Only values of these kinds are repeated: none of them can hold a secret or a password in an address.
_SHOWN = {
    *("literal_error", "greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    *("bool_parsing", "int_parsing", "float_parsing", "decimal_parsing", "int_from_float"),
}
_LIKE_A_SECRET = re.compile(r"(?i)(key|token|secret|password|passwd|credential|guid)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the dotted key, what is wrong there, and what to do about it."""

    key: str
    what: str
    do: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.what}" + (f". {self.do}" if self.do else "")


class ConfigurationProblems(ConfigurationError):
    """The configuration cannot be used; every mistake found is in ``problems``."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        head = f"{path} has {len(problems)} mistake{'s' if len(problems) > 1 else ''}; nothing was read or sent:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))


def load_settings() -> Settings:
    """The settings in force.

    Raises:
        ConfigurationProblems: there is no file, or it has mistakes; all of them are told.
    """
    path = config_file()
    data = _toml(path)
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationProblems(path, list(_problems(error, data))) from None
    except SettingsError as error:
        # It names the field whose CROSSDOCK_ variable cannot be read; what follows would be the value.
        text = str(error).split("\n", maxsplit=1)[0]
        problem = Problem(
            "environment", redact(text), "Such a variable holds JSON, or one value: CROSSDOCK_LEDGER__URL"
        )
        raise ConfigurationProblems(path, [problem]) from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problem = Problem(
            "file",
            f"there is no {path}",
            f"Copy {EXAMPLE} there and fill it in, or name another file with --config or CROSSDOCK_CONFIG",
        )
    except OSError as error:
        problem = Problem("file", f"{path} cannot be read ({error.strerror})", "Correct the path or the permissions")
    except UnicodeDecodeError as error:
        problem = Problem("file", f"byte {error.start} is not UTF-8", "Save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        problem = Problem("file", f"is no valid TOML: {error}", "Text stands in quotes; a section begins with [name]")
    raise ConfigurationProblems(path, [problem])


def _problems(error: ValidationError, data: Mapping[str, Any]) -> Iterator[Problem]:
    whole = [detail for detail in error.errors() if not detail["loc"]]
    parts = [detail for detail in error.errors() if detail["loc"]]
    seen = set()
    for detail in parts:
        problem = _problem(detail)
        if problem.key not in seen:
            seen.add(problem.key)
            yield problem
    texts = [text for detail in whole for text in _BETWEEN.split(_message(detail))]
    for text in texts or (_between(data) if parts else ()):
        key, _, what = text.partition(": ")
        yield Problem(key, what)


def _problem(detail: ErrorDetails) -> Problem:
    place = _Place.of(detail["loc"])
    kind, name = detail["type"], place.names[-1]
    if place.secret:
        return _secret_problem(place, detail)
    if kind == "missing":
        return Problem(place.key, "is missing", f"Put {_PUT[name]}" if name in _PUT else "")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return Problem(f"{place.key}.kind", "is missing or unknown", f"Say {_PUT['kind']}")
    if kind == "extra_forbidden":
        return _unknown_key(place, name)
    what = _message(detail)
    if kind in _SHOWN and isinstance(detail["input"], (str, int, float)):
        what += f", not {detail['input']!r}"
    return Problem(place.key, redact(what), _currency_hint(name, detail["input"]))


def _unknown_key(place: _Place, name: str) -> Problem:
    fields = list(place.model.model_fields) if place.model is not None else []
    near = get_close_matches(name.lower(), fields, n=1, cutoff=0.6)
    do = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(fields)}."
    if _LIKE_A_SECRET.search(name) and not (near and near[0] not in ("key", "token")):
        do += " A secret itself never stands in this file; name the environment variable that holds it"
    return Problem(place.key, "is not a key that Crossdock knows", do)


def _secret_problem(place: _Place, detail: ErrorDetails) -> Problem:
    """Whatever was written where a secret's place belongs may be the secret itself, so it is never repeated."""
    if detail["type"] == "missing":
        return Problem(place.key, "is missing", f"Put {_PUT[place.names[-1]]}")
    name = next((part for part in place.names if part in ("key", "token")), "key")
    do = f'Write {name} = {{ env = "NAME_OF_THE_VARIABLE" }} or {name} = {{ block = "name-of-the-prefect-block" }}'
    if isinstance(detail["input"], str) and place.names[-1] == name:
        return Problem(place.key, "holds text", f"{do}. If it was the secret itself, take it out of the file")
    if detail["type"] == "extra_forbidden":
        return Problem(place.key, "is not a key that Crossdock knows", do)
    return Problem(place.key, _message(detail), do)


def _currency_hint(name: str, value: object) -> str:
    if name != "base_currency" or not isinstance(value, str):
        return ""
    near = get_close_matches(value.upper(), EXPONENTS, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else ""


def _message(detail: ErrorDetails) -> str:
    text = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error" and detail["loc"] and not text.startswith(("'", "give ")):
        return f"cannot be used; expected: {text}"
    return text.removeprefix("Input ").removeprefix("List ") if " should " in text else text


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a mistake is, with the tags of unions left out of the key."""

    names: list[str]
    model: type[BaseModel] | None
    secret: bool

    @property
    def key(self) -> str:
        return ".".join(self.names)

    @classmethod
    def of(cls, loc: tuple[int | str, ...]) -> _Place:
        kind: Any = Settings
        names: list[str] = []
        model: type[BaseModel] | None = None
        secret = False
        for part in loc:
            kind = _bare(kind)
            tagged = _member(kind, part)
            if tagged is not None:
                kind = tagged
                continue
            names.append(str(part))
            model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
            kind = _inside(kind, str(part))
            secret = secret or _bare(kind) is Secret
        return cls(names, model, secret)


def _bare(kind: Any) -> Any:  # noqa: ANN401 - annotations are anything
    """A type without Annotated and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        return members[0] if len(members) == 1 else kind
    return kind


def _member(kind: Any, tag: int | str) -> Any:  # noqa: ANN401
    """The member of a union of sections whose ``kind`` is ``tag``."""
    if get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            field = getattr(member, "model_fields", {}).get("kind")
            if field is not None and field.default == tag:
                return member
    return None


def _inside(kind: Any, name: str) -> Any:  # noqa: ANN401
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(name)
        return field.annotation if field is not None else None
    arguments = get_args(kind)
    return arguments[-1] if get_origin(kind) in (dict, list) and arguments else None


def _between(data: Mapping[str, Any]) -> list[str]:
    """What does not fit between the sections of the file that are right by themselves, so that all is told at once."""
    stores: dict[str, Any] = _valid(TypeAdapter(StoreSettings), data.get("stores"))
    accounts: dict[str, Any] = _valid(TypeAdapter(GlopalAccount), data.get("accounts"))
    ledger: dict[str, LedgerSettings] = _valid(TypeAdapter(LedgerSettings), {"ledger": data.get("ledger", {})})
    settings = Settings.model_construct(accounts=accounts, stores=stores, ledger=ledger.get("ledger", LedgerSettings()))
    named = data.get("stores")
    there = set(named) if isinstance(named, dict) else set()
    # A store section that is there and wrong was told about already.
    return [text for text in misfits(settings) if not any(f"no [stores.{name}]" in text for name in there)]


def _valid(adapter: TypeAdapter[Any], sections: object) -> dict[str, Any]:
    found = {}
    for name, section in sections.items() if isinstance(sections, dict) else ():
        try:
            found[name] = adapter.validate_python(section)
        except ValidationError:  # told already, key by key
            continue
    return found
