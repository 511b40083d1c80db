"""The linter for prefect.yaml: every rule turns red on the mistake it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.lint_prefect import lint, main
from tests.deployments.conftest import ROOT

TRIGGER = """      - expect: [crossdock.test.greet]
        match: {prefect.resource.id: "crossdock.test.*"}
        parameters: {account: triggered}
"""
SCHEDULE = '{slug: yearly, cron: "0 0 1 1 *", timezone: Europe/Prague}'
LIMIT = "concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW, grace_period_seconds: 60}"

# What is replaced in the right file, by what, and the words that the linter must say.
MUTATIONS = [
    ("name: small", "nam: small", ["nam: is unknown", "did you mean name?"]),
    ("concurrency_limit:", "concurency_limit:", ["concurency_limit: is unknown", "did you mean concurrency_limit?"]),
    ("collision_strategy:", "colision_strategy:", ["did you mean collision_strategy?"]),
    ("work_pool: {name: crossdock}", "work_pool: {nam: crossdock}", ["work_pool.nam: is unknown", "needs a name"]),
    ("slug: yearly", "slog: yearly", ["slog: is unknown", "slug: is missing"]),
    ("slug: yearly", "slug: Every Year", ["slug: is missing or not like every-minute"]),
    (", timezone: Europe/Prague", "", ["timezone: is missing"]),
    ("Europe/Prague", "Europe/Pragu", ["'Europe/Pragu' is no time zone"]),
    ('cron: "0 0 1 1 *"', 'cron: "0 0 1 1 *", interval: 60', ["has exactly one of cron, interval, rrule"]),
    ('cron: "0 0 1 1 *", ', "", ["has exactly one of cron, interval, rrule"]),
    ('cron: "0 0 1 1 *"', 'cron: "0 0 61 1 *"', ["cron: is not valid"]),
    ('cron: "0 0 1 1 *"', "interval: 0", ["interval: is not valid"]),
    ('cron: "0 0 1 1 *"', "rrule: FREQ=NEVER", ["rrule: is not valid"]),
    (SCHEDULE, f"{SCHEDULE}\n      - {SCHEDULE}", ["slug: yearly names an earlier schedule"]),
    ("    description: Greets when asked.\n", "", ["description: is missing"]),
    ("    tags: [small]\n", "", ["tags: is missing"]),
    ("tags: [small]", "tags: small", ["tags: is a list"]),
    (f"    {LIMIT}\n", "", ["concurrency_limit: is missing"]),
    (LIMIT, "concurrency_limit: 1", ["a bare number queues runs up"]),
    ("CANCEL_NEW", "CANCEL_OLD", ["is one of ENQUEUE, CANCEL_NEW"]),
    ("CANCEL_NEW", "ENQUEUE", ["is CANCEL_NEW beside a schedule"]),
    ("limit: 1,", "limit: 0,", ["limit: is a whole number of 1 or more"]),
    ("grace_period_seconds: 60", "grace_period_seconds: 5", ["grace_period_seconds: is 60 to 86400"]),
    ("    entrypoint: flows/hello.py:hello\n", "", ["entrypoint: is missing"]),
    ("flows/hello.py:hello", "flows/helo.py:hello", ["no file flows/helo.py", "did you mean hello.py?"]),
    ("flows/hello.py:hello", "flows/hello.py:helo", ["has no function helo", "did you mean hello?"]),
    ("flows/hello.py:hello", "hello", ["names no flow"]),
    ("flows/hello.py:hello", "flows.helo.hello", ["no file flows/helo.py"]),
    ("{account: main}", "{acount: main}", ["acount: is no parameter", "did you mean account?", "lacks account"]),
    ("{account: main}", "{account: main, api_key: x}", ["api_key: looks like a secret"]),
    ("enforce_parameter_schema: true", "enforce_parameter_schema: false", ["enforce_parameter_schema: is true"]),
    ("hello-by-hand", "hello-scheduled", ["is taken by an earlier deployment"]),
    ("    description: Greets when asked.\n", "    description: a\n    description: b\n", ["stands here twice"]),
    ("expect:", "expects:", ["expects: is unknown", "did you mean expect?", "expect: is missing or empty"]),
    ("[crossdock.test.greet]", "[]", ["expect: is missing or empty"]),
    ("[crossdock.test.greet]", "['prefect.flow-run.*']", ["takes the events of the run it starts"]),
    ('        match: {prefect.resource.id: "crossdock.test.*"}\n', "", ["match: is missing or empty"]),
    ('"crossdock.test.*"', '"*"', ["matches every resource"]),
    ("parameters: {account: triggered}", "posture: Reactiv", ["'Reactiv' is unknown"]),
    ("parameters: {account: triggered}", "posture: Proactive", ["a Proactive trigger needs 10 seconds"]),
    ("parameters: {account: triggered}", "enabled: maybe", ["enabled: is true or false"]),
    ("parameters: {account: triggered}", "type: metric", ["'metric' is no kind of trigger"]),
    ("pull:", "push:", ["pull: is missing here and at the top"]),
    ("prefect.deployments.steps.set_working_directory:", "cd:", ["step 0 is one package.module.function"]),
    ("deployments:", "deployment:", ["did you mean deployments?", "there is nothing to deploy"]),
    ("name: small", "name: [small", ["is no valid YAML"]),
]


def mutate(project: Path, old: str, new: str) -> list[str]:
    """What the linter says after one replacement."""
    file = project / "prefect.yaml"
    right = file.read_text()
    assert old in right
    file.write_text(right.replace(old, new))
    return lint(file)


def test_right_file_is_quiet(project: Path) -> None:
    """A file that is right has no mistakes."""
    assert lint(project / "prefect.yaml") == []


def test_own_declaration_is_right() -> None:
    """Crossdock's own prefect.yaml passes, entrypoints and parameters included."""
    assert lint(ROOT / "prefect.yaml") == []


@pytest.mark.parametrize(("old", "new", "words"), MUTATIONS, ids=[words[0] for _, _, words in MUTATIONS])
def test_mistake_is_told(project: Path, old: str, new: str, words: list[str]) -> None:
    """Each mistake is told in words that say what is wrong."""
    found = mutate(project, old, new)

    assert [word for word in words if not any(word in line for line in found)] == [], found


@pytest.mark.parametrize(
    ("trigger", "word"),
    [
        (
            "type: compound, require: all, within: 60, triggers: [{expects: [a.b], match: {a: b}}]",
            "did you mean expect?",
        ),
        ("type: compound, require: all, within: 60, triggers: [{expect: [a.b]}]", "match: is missing or empty"),
        ("type: compound, require: all, within: 60, triggers: []", "triggers: is missing or empty"),
        ("type: compound, within: 60, triggers: [{expect: [a.b], match: {a: b}}]", "require: is any, all or a number"),
        ("type: sequence, triggers: [{expect: [a.b], match: {a: b}}]", "within: is missing"),
        ("type: sequence, within: 60, triggers: [{type: sequence, within: 5, triggers: [{match: {a: b}}]}]", "expect:"),
        (
            "type: sequence, within: 60, triggers: [{expect: [a.b], match: {a: b}, enabled: true}]",
            "enabled: is unknown",
        ),
    ],
)
def test_nested_trigger_is_checked(project: Path, trigger: str, word: str) -> None:
    """Triggers inside triggers obey the same rules."""
    found = mutate(project, TRIGGER, f"      - {{{trigger}}}\n")

    assert any(word in line for line in found), found


def test_line_and_place_are_told(project: Path) -> None:
    """A mistake comes with its line and the path of its key."""
    found = mutate(project, "slug: yearly", "slog: yearly")

    number = next(n for n, line in enumerate((project / "prefect.yaml").read_text().splitlines(), 1) if "slog" in line)
    assert any(
        line.startswith(f"{project / 'prefect.yaml'}:{number}: deployments[hello-scheduled].schedules[0].slog:")
        for line in found
    )


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A missing file says where to run the command."""
    assert ["run this in Crossdock's folder" in line for line in lint(tmp_path / "prefect.yaml")] == [True]


def test_function_that_is_no_flow_is_told(project: Path) -> None:
    """A plain function is no entrypoint."""
    flow = project / "flows" / "hello.py"
    flow.write_text(flow.read_text().replace('@flow(name="hello")\n', ""))

    assert all("is no flow" in line for line in lint(project / "prefect.yaml"))


def test_command_tells_all_mistakes_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with 1 and every mistake, and with 0 and no word when there is none."""
    assert main([str(project / "prefect.yaml")]) == 0
    assert capsys.readouterr() == ("", "")
    mutate(project, "concurrency_limit:", "concurency_limit:")

    assert main([str(project / "prefect.yaml")]) == 1

    told = capsys.readouterr().err
    assert told.count("concurency_limit: is unknown") == 2
    assert "4 mistakes in the deployments" in told
