"""Configuration mistakes: all at once, by key, with a suggestion, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.problems import ConfigurationProblems, Problem, load_settings

GOOD = """
[accounts.main]
store_id = "912"
base_url = "https://orders.example"
key = { env = "A_KEY" }
store = "shop"
base_currency = "EUR"

[stores.shop]
kind = "embedded"
"""


def problems_of(folder: Path, text: str) -> dict[str, Problem]:
    """The mistakes in a file, by key."""
    (folder / "crossdock.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationProblems) as caught:
        load_settings()
    assert len({problem.key for problem in caught.value.problems}) == len(caught.value.problems)
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    return {problem.key: problem for problem in caught.value.problems}


def test_a_right_file_is_read(folder: Path) -> None:
    """A file without mistakes gives settings."""
    (folder / "crossdock.toml").write_text(GOOD, encoding="utf-8")
    assert load_settings().accounts["main"].base_currency == "EUR"


def test_every_mistake_is_told_at_once_by_its_key(folder: Path) -> None:
    """Mistakes in several sections, and between sections that are right, come in one list."""
    found = problems_of(
        folder,
        """
        typo = 1
        [ledger]
        lease_seconds = 3
        [accounts.main]
        store_id = "91 2"
        base_url = "http://orders.example"
        key = { env = "A", block = "b" }
        store = "shop"
        base_curency = "EUR"
        import_on = "reday"
        [accounts.main.policy]
        max_cancels_per_hour = "many"
        [accounts.usa]
        store_id = "913"
        base_url = "https://orders.example"
        key = { env = "A" }
        store = "nowhere"
        base_currency = "usd"
        [accounts.test]
        store_id = "914"
        environment = "test"
        base_url = "https://orders.example"
        key = { env = "A" }
        store = "good"
        base_currency = "USD"
        [stores.shop]
        kind = "embeded"
        [stores.good]
        kind = "embedded"
        """,
    )
    assert set(found) == {
        "typo",
        "ledger.lease_seconds",
        "accounts.main.store_id",
        "accounts.main.base_url",
        "accounts.main.key",
        "accounts.main.base_curency",
        "accounts.main.base_currency",
        "accounts.main.import_on",
        "accounts.main.policy.max_cancels_per_hour",
        "accounts.usa.base_currency",
        "accounts.test.store",
        "stores.shop.kind",
    }
    assert "base_currency" in found["accounts.main.base_curency"].do
    assert "is missing" in found["accounts.main.base_currency"].what
    assert found["accounts.usa.base_currency"].do == "Did you mean USD?"
    assert "'reday'" in found["accounts.main.import_on"].what
    assert "test orders never reach a live store" in found["accounts.test.store"].what


def test_what_does_not_fit_between_sections_stands_on_lines_of_its_own(folder: Path) -> None:
    """Two misfits are two problems, and a semicolon inside one does not cut it."""
    text = GOOD.replace('"shop"\n', '"nowhere"\n') + GOOD.replace("main", "second").replace('"912"', '"913"').replace(
        "[stores.shop]", "[stores.other]"
    ).replace("base_currency", 'environment = "test"\nbase_currency')
    found = problems_of(folder, text)
    assert set(found) == {"accounts.main.store", "accounts.second.store"}
    assert found["accounts.second.store"].what.endswith("never reach a live store")


@pytest.mark.parametrize(
    "line",
    [
        'key = "GL.canary-secret-71c2"',
        'key = { env = "A", value = "GL.canary-secret-71c2" }',
        'key = { env = "A" }\napi_key = "GL.canary-secret-71c2"',
        'key = ["GL.canary-secret-71c2"]',
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(folder: Path, line: str) -> None:
    """Whoever writes the secret itself is told where it belongs, without seeing it again."""
    (folder / "crossdock.toml").write_text(GOOD.replace('key = { env = "A_KEY" }', line), encoding="utf-8")
    with pytest.raises(ConfigurationProblems) as caught:
        load_settings()
    assert "canary-secret" not in str(caught.value)
    assert "env" in str(caught.value)


def test_a_password_in_a_url_is_not_repeated(folder: Path) -> None:
    """A database address that cannot be used is not shown."""
    found = problems_of(folder, GOOD + '[ledger]\nurl = "mysql://crossdock:canary-secret@db/x"\n')
    assert "canary-secret" not in str(found["ledger.url"])


def test_a_missing_file_points_to_the_example(folder: Path) -> None:
    """Nothing to read: the message names the file and the example."""
    with pytest.raises(ConfigurationProblems, match=r"crossdock\.example\.toml"):
        load_settings()


def test_bad_toml_names_the_line(folder: Path) -> None:
    """A syntax error says where."""
    assert "line 3" in problems_of(folder, '\n[accounts.main]\nstore_id = = "x"\n')["file"].what


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    """Bytes that are not UTF-8 and a folder in the file's place are told, too."""
    path = folder / "crossdock.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationProblems, match="UTF-8"):
        load_settings()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationProblems, match="cannot be read"):
        load_settings()


def test_a_mistake_in_a_variable_is_told_without_its_value(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An override that is no JSON names its field, not its content."""
    (folder / "crossdock.toml").write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("CROSSDOCK_LEDGER", "canary-secret{")
    with pytest.raises(ConfigurationProblems, match="ledger") as caught:
        load_settings()
    assert "canary-secret" not in str(caught.value)


def test_the_example_is_valid_and_shows_every_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The annotated example can be used as it is, and what is commented out in it holds the defaults."""
    example = Path(__file__).parents[2] / "crossdock.example.toml"
    monkeypatch.setenv("CROSSDOCK_CONFIG", str(example))
    settings = load_settings()
    text = example.read_text(encoding="utf-8")
    account = settings.accounts["main"]
    for section in (account, account.policy, account.limits, account.endpoints, settings.ledger):
        missing = [name for name in type(section).model_fields if name not in text]
        assert missing in ([], ["provider"]), f"{type(section).__name__}: the example does not show {missing}"


def test_the_example_is_valid_with_every_line_switched_on(folder: Path) -> None:
    """Every commented setting works once its # is taken away."""
    example = Path(__file__).parents[2] / "crossdock.example.toml"
    lines, seen = [], set()
    section = ""
    for line in example.read_text(encoding="utf-8").splitlines():
        bare = line.removeprefix("# ")
        key = bare.split(" = ")[0]
        if bare.startswith("[") and bare.endswith("]"):
            section = bare
        elif not (line.startswith("# ") and " = " in bare and key.isidentifier()):
            bare = line
        if " = " in bare and not bare.startswith("#"):
            if (section, key) in seen:  # the other choice of a key that stands there already
                continue
            seen.add((section, key))
        lines.append(bare)
    (folder / "crossdock.toml").write_text("\n".join(lines), encoding="utf-8")
    settings = load_settings()
    assert set(settings.stores) == {"shop", "oms"}
    assert settings.notify.block == "slack-webhook/orders"
    assert settings.accounts["main"].mapping.line.unit_price == "price"
    assert settings.accounts["main"].cancel_confirmed
