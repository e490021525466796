"""A study file that is written is read back as the same study, and people can read it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from fakes.spaces import PARAMETERS
from fakes.studies import SPACE
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.toml_text import render_study, toml_line

NAMES = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True).filter(lambda name: name not in ("seed", "artifacts"))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
POSITIVE = st.floats(1e-300, 1e300) | st.integers(1, 10**9)


RULES = st.fixed_dictionaries({"metric": NAMES, "above": st.floats(-9, 9)})


def some(tables: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A table that has any of the given keys."""
    return st.fixed_dictionaries({}, optional=tables)


STUDIES = st.fixed_dictionaries(
    {
        "study": st.fixed_dictionaries(
            {"name": st.just("a-study"), "metric": NAMES | st.lists(NAMES, min_size=1, max_size=3, unique=True)},
            optional={"description": TEXTS, "seed": st.integers(0, 2**63 - 1)},
        ),
        "run": st.fixed_dictionaries(
            {"command": st.just('python train.py --note "two words"')},
            optional={
                "timeout": st.just("10m") | POSITIVE,
                "env": st.dictionaries(TEXTS, TEXTS, max_size=3),
                "gpus": st.sampled_from([0, 0.5, 2, "auto"]),
                "shell": st.booleans(),
            },
        ),
        "space": st.dictionaries(NAMES, PARAMETERS, min_size=1, max_size=5).map(
            lambda parameters: space_document(SearchSpace(parameters))
        ),
    },
    optional={
        "budget": some({"trials": st.integers(1, 10**6), "hours": POSITIVE, "until": st.just("07:00")}),
        "stop": some(
            {"rules": st.lists(st.fixed_dictionaries({"metric": NAMES, "above": st.floats(-9, 9)}), max_size=2)}
        ),
        "constraints": st.lists(st.fixed_dictionaries({"metric": NAMES, "max": POSITIVE}), min_size=1, max_size=3),
        "confirm": some({"top": st.integers(1, 5), "seeds": st.integers(2, 9)}),
    },
)


@given(STUDIES)
def test_a_study_that_is_written_is_read_back(document: dict[str, Any]) -> None:
    spec = parse_spec(document)
    text = render_study(spec.document)
    assert parse_spec(tomllib.loads(text)) == spec


@given(st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
))  # fmt: skip
def test_a_line_holds_any_value(value: object) -> None:
    line = toml_line("a key", value)
    assert "\n" not in line
    assert tomllib.loads(line) == {"a key": value}


def test_a_parameter_is_one_line() -> None:
    text = render_study(
        {"study": {"name": "a", "metric": ["x", "y"]}, "space": SPACE, "constraints": [{"metric": "z", "max": 1.5}]}
    )
    assert (
        text
        == """\
[study]
name = "a"
metric = ["x", "y"]

[space]
lr = { type = "float", low = 1e-05, high = 1.0, log = true, default = 0.001 }
hidden = { type = "int", low = 8, high = 512, log = true, default = 64 }
optimizer = { type = "choice", choices = ["adam", "sgd"], default = "adam" }
momentum = { type = "float", low = 0.0, high = 0.99, when = "optimizer == 'sgd'" }

[[constraints]]
metric = "z"
max = 1.5
"""
    )


def test_half_of_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert toml_line("a", "x\ud800") == 'a = "x?"'


def test_none_in_a_list_is_refused() -> None:
    with pytest.raises(TypeError):
        render_study({"space": {"x": {"type": "choice", "choices": [None, 1]}}})
