"""Every wrong study file gets a message that names the key and the fix; none gets a traceback."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.study_tables import GOOD, WRONG, Wrong
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError


def mistakes_of(read: Callable[[], StudySpec]) -> str:
    """Return the message of a refusal, "" when the study is taken; any other exception goes through."""
    try:
        read()
    except SpecError as error:
        return str(error)
    return ""


def load(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "study.toml"
    file.write_bytes(content)
    load_spec(file)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    load(tmp_path, GOOD.encode())


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.id)
def test_the_message_names_the_key_and_the_fix(wrong: Wrong, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, wrong.text.encode())
    message = next((m.message for m in caught.value.mistakes if m.key == wrong.key), None)
    assert message is not None, caught.value
    assert wrong.fix in message
    assert len(message) < 400


@pytest.mark.parametrize(("digits", "key"), [(400, "budget.trials"), (5000, "")])
def test_a_number_that_no_float_can_be_is_refused(digits: int, key: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, GOOD.replace("trials = 40", f"trials = {'9' * digits}").encode())
    assert [mistake.key for mistake in caught.value.mistakes] == [key]


def refused(**tables: dict[str, Any]) -> str:
    document = tomllib.loads(GOOD)
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table}
    return mistakes_of(lambda: parse_spec(document))


@pytest.mark.parametrize(
    ("metric", "meant"),
    [
        ("run/time", "run/seconds"),
        ("run/second", "run/seconds"),
        ("Run/Seconds", "run/seconds"),
        ("run/wall_time", "run/seconds"),
        ("run/gpu_mem", "run/gpu_mem_gib"),
        ("run/gpu_memory_gb", "run/gpu_mem_gib"),
        ("run/memory", "run/rss_gib"),
        ("run/energy", "run/gpu_kwh"),
        ("runs/cost", "run/usd"),
        ("run/loss", ""),
        ("run/train_time", ""),
        ("wall_time", ""),
    ],
)
def test_a_metric_that_is_nearly_a_measured_resource_is_named(metric: str, meant: str) -> None:
    said = refused(study={"metric": metric})
    assert (f"did you mean {meant}?" in said) if meant else "measured resource" not in said


def test_a_metric_that_the_study_says_how_to_read_is_the_scripts_own() -> None:
    assert "measured resource" not in refused(
        study={"metric": "run/time"}, metrics={"run/time": {"regex": "took ([0-9.]+)"}}
    )


@pytest.mark.parametrize(
    ("table", "key", "value", "meant"),
    [
        ("study", "direction", "minimise", "minimize"),
        ("study", "direction", "max", "maximize"),
        ("planner", "sampler", "tpe", "optuna-tpe"),
        ("planner", "allow", ["range"], "ranges"),
        ("schedule", "kind", "hyperbnd", "hyperband"),
        ("edits", "strategy", "gready", "greedy"),
        ("notify", "on", ["ends"], "end"),
        ("evaluate", "kind", "times", "time"),
        ("instances", "aggregate", "wrst", "worst"),
    ],
)
def test_a_word_of_a_fixed_list_gets_the_nearest_one(table: str, key: str, value: object, meant: str) -> None:
    assert f"did you mean {meant}?" in refused(**{table: {key: value}})


def test_there_are_more_than_a_hundred_kinds() -> None:
    assert len({wrong.id for wrong in WRONG}) == len(WRONG) > 100


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("trials = 40", "trial = 40").replace("low = 1,", "low = 9,").replace("{opt}", "{oppt}")
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text.encode())
    assert {m.key for m in caught.value.mistakes} >= {"budget.trial", "space.layers.low"}
    assert str(caught.value).startswith("study.toml has ")


SEVERAL = GOOD.replace("{opt}", "{oppt}") + '[confirm]\ndata = ["labels"]\n[[constraints]]\nmetric = "memory"\n'
"""A file with three mistakes that only several tables, or keys, together show."""
SHOWN = ["constraints.0", "space.oppt", "confirm.data"]
SERVED = SEVERAL.replace("[run]\ncommand", '[serve]\nbench = "b {port}"\ncommand').replace('timeout = "10m"\n', "")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (SEVERAL, SHOWN),
        (SEVERAL.replace("trials = 40", "trials = 0"), ["budget.trials", *SHOWN]),
        (SEVERAL.replace('"minimize"', '"minimise"'), ["study.direction", *SHOWN]),
        (SEVERAL.replace('"digits"', '"a/b"'), ["study.name", *SHOWN]),
        (SEVERAL.replace('metric = "val_loss"\n', ""), ["study.metric", *SHOWN]),
        (SEVERAL.replace("[run]", "[rum]"), ["run", "rum", "constraints.0", "confirm.data"]),
        (SEVERAL.replace('timeout = "10m"', "timeout = [10]"), ["run.timeout", *SHOWN]),
        (SEVERAL.replace("min = 1\n", ""), ["fidelity.min", "constraints.0", "confirm.data"]),
        (SEVERAL + '[plan]\nsampler = "tpe"\n', ["plan", *SHOWN]),
        (SEVERAL + '[instances]\nfile = "none.csv"\n', ["instances.file", *SHOWN]),
        (SERVED, ["constraints.0", "space.oppt", "confirm.data", "serve.command"]),
        (SERVED.replace("[serve]", "[serve]\nprt = 3"), ["serve.prt", *SHOWN]),
        (SERVED.replace("[serve]", "[serve]\nport = 0"), ["serve.port", *SHOWN]),
        (SERVED.replace("command =", "comand ="), ["serve.command", "serve.comand", "constraints.0", "confirm.data"]),
        ("serve = 3\n" + SERVED.replace("[serve]", "[x]"), ["serve", "x", "constraints.0", "confirm.data"]),
    ],
)
def test_a_wrong_table_hides_no_mistake_elsewhere_and_brings_none(text: str, keys: list[str], tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text.encode())
    assert sorted(m.key for m in caught.value.mistakes) == sorted(keys), caught.value


@pytest.mark.parametrize("of", ['["a", "a", "a", "b"]', "[1, 1, 1, 2]"])
def test_a_mistake_is_listed_once(of: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, GOOD.replace('["adam", "sgd"], default = "adam"', of).encode())
    assert str(caught.value).count("is listed twice") == 1


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b"", "study"),
        (b"\xff\xfe[\x00s\x00", "cannot be read"),
        (b"\x00\x01\x02", "is not valid TOML"),
        ("\ufeff".encode() + GOOD.encode(), ""),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "not valid TOML"),
        (b"a." * 3000 + b"b = 1", ""),
    ],
    ids=["empty", "UTF-16", "binary", "byte order mark", "deeply nested", "endless key"],
)
def test_invalid_files_are_refused_with_the_reason(content: bytes, fix: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_bytes(content)
    message = mistakes_of(lambda: load_spec(file))
    assert fix in message
    assert bool(message) is not content.startswith("\ufeff".encode())


def test_the_message_about_a_missing_file_says_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="tunesmith init"):
        load_spec(tmp_path)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}),
    st.sampled_from(["minimize", "opt == 'sgd'", "{lr} {", "07:00", "float", "choice", "'", "(" * 300]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def places(document: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(document, dict):
        return [path]
    return [path, *(place for key, value in document.items() for place in places(value, (*path, key)))]


GOOD_DOCUMENT = parse_spec(tomllib.loads(GOOD)).document


@given(place=st.sampled_from(places(GOOD_DOCUMENT)[1:]), value=VALUES, extra=st.text(max_size=5))
def test_any_value_is_accepted_or_refused_with_a_message(place: tuple[str, ...], value: Any, extra: str) -> None:
    document = copy.deepcopy(dict(GOOD_DOCUMENT))
    table = document
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    if extra:
        table[extra] = value
    message = mistakes_of(lambda: parse_spec(document))
    if not message:
        spec = parse_spec(document)
        assert parse_spec(spec.document) == spec


@given(data=st.data())
def test_any_damage_to_the_text_is_accepted_or_refused_with_a_message(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(start + 30, len(GOOD))))
    patch = data.draw(st.text(alphabet="[]{}=\"'.,\n 01eE-+_abcTZ#\x00é", max_size=8))
    file = tmp_path_factory.getbasetemp() / "study.toml"
    file.write_text(GOOD[:start] + patch + GOOD[end:], encoding="utf-8")
    mistakes_of(lambda: load_spec(file))
