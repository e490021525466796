"""Multiples, powers, derived values and rules of a search space: what they mean, and what is refused at load."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunesmith
from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError
from tunesmith.study.space.parameters import Float, Int
from tunesmith.study.space.rules.repair import allowed_fraction
from tunesmith.study.space.space import SearchSpace

GPT: dict[str, Any] = {
    "depth": {"type": "int", "low": 2, "high": 24, "default": 8},
    "aspect": {"type": "int", "low": 16, "high": 128, "log": True, "default": 64},
    "head": {"type": "int", "low": 16, "high": 256, "power_of": 2, "default": 64},
    "heads": {"type": "int", "low": 1, "high": 64, "default": 4},
    "device_batch": {"type": "int", "low": 1, "high": 128, "power_of": 2, "default": 16},
    "seq": {"type": "int", "low": 128, "high": 2048, "power_of": 2, "default": 512},
    "total_batch": {"type": "int", "low": 16384, "high": 1048576, "multiple_of": 1024, "log": True, "default": 131072},
    "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "adam"},
    "momentum": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9, "when": "optimizer == 'sgd'"},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "default": 0.1, "when": "width > 512"},
}
DERIVED = {"width": "ceil(depth * aspect / head) * head"}
FORBID = ["total_batch % (device_batch * seq) != 0", "heads > width / 16", "momentum > 0.95"]


def document(**tables: Any) -> dict[str, Any]:
    study = {"study": {"name": "gpt", "metric": "loss"}, "run": {"command": "python t.py {width}"}, "space": GPT}
    return {**study, "derived": DERIVED, "forbid": FORBID, **tables}


def mistakes(**tables: Any) -> str:
    with pytest.raises(SpecError) as raised:
        parse_spec(document(**tables))
    return str(raised.value)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Int(1, 40, multiple_of=8), [8, 16, 24, 32, 40]),
        (Int(-9, 9, multiple_of=4), [-8, -4, 0, 4, 8]),
        (Int(3, 70, power_of=2), [4, 8, 16, 32, 64]),
        (Int(1, 1000, power_of=10), [1, 10, 100, 1000]),
        (Int(30, 130, multiple_of=32, log=True), [32, 64, 96, 128]),
        (Float(0.05, 0.35, multiple_of=0.1), [0.1, 0.2, 0.3]),
        (Float(1e-5, 0.5, power_of=10), [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (Float(0.2, 2.5, power_of=2), [0.25, 0.5, 1.0, 2.0]),
    ],
)
def test_multiples_and_powers_are_the_values_in_the_range(parameter: Int | Float, values: list[float]) -> None:
    drawn = {parameter.from_unit(i / 500) for i in range(501)}
    assert sorted(drawn) == values
    assert parameter.cardinality == len(values)
    for value in values:
        assert parameter.invalid_reason(value) is None
        assert parameter.from_unit(parameter.to_unit(value)) == value  # type: ignore[arg-type]  # an Int's value
        assert parameter.clip(value + 1e-9) == value


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"low": 1, "high": 7, "multiple_of": 8}, "none of the multiples of 8"),
        ({"low": 5, "high": 15, "multiple_of": 8}, "only one of the multiples of 8"),
        ({"low": 1, "high": 64, "multiple_of": 8, "default": 12}, "12 is not a multiple of 8; the nearest value is 16"),
        ({"low": 1, "high": 64, "power_of": 2, "default": 48}, "48 is not a power of 2; the nearest value is 64"),
        ({"low": 0, "high": 64, "power_of": 2}, "expected a number above 0"),
        ({"low": 1, "high": 64, "power_of": 1}, "expected a number above 1"),
        ({"low": 1, "high": 64, "multiple_of": 0}, "expected a number above 0"),
        ({"low": 1, "high": 64, "multiple_of": 8, "step": 4}, "cannot be combined with step"),
        ({"low": 1, "high": 64, "multiple_of": 2, "power_of": 2}, "cannot be combined with multiple_of"),
        ({"low": 1, "high": 64, "multiple_of": 2.5}, "2.5 is not a whole number"),
        ({"low": 1, "high": 64, "multiple_of": "8"}, "expected a whole number"),
        ({"low": 1, "high": 64, "multiples_of": 8}, "did you mean multiple_of"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused_in_words(entry: dict[str, Any], words: str) -> None:
    found = mistakes(space={"n": {"type": "int", **entry}}, derived={}, forbid=[], run={"command": "t"})
    assert words in found


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"forbid": ["widht > 3"]}, "widht is not known; did you mean width?"),
        ({"derived": {"width": "hed * 2"}}, "hed is not known; did you mean head?"),
        ({"derived": {**DERIVED, "a": "b + 1", "b": "a + 1"}}, "is circular: a -> b -> a"),
        ({"space": {**GPT, "depth": {**GPT["depth"], "when": "width > 3"}}}, "is circular"),
        ({"derived": {**DERIVED, "head": "3"}}, "is also a parameter"),
        ({"derived": {**DERIVED, "seed": "3"}}, "Tunesmith itself sets {seed}"),
        ({"derived": {**DERIVED, "my-value": "3"}}, "is not a valid name"),
        ({"forbid": ["depth * 2"]}, "expected a comparison, for example depth * 2 > 0"),
        ({"forbid": ["optimizer * 2 > 1"]}, "optimizer is a text; expected a number there"),
        ({"forbid": ["optimizer > 3"]}, "optimizer is a text"),
        ({"forbid": ["depth == 'adam'"]}, "compares depth, which is a number, with 'adam', which is a text"),
        ({"forbid": ["optimizer == 'adamw'"]}, "is not one of"),
        ({"forbid": ["depth and heads"]}, "depth is a number; expected true or false there"),
        ({"forbid": ["9**9**9 > depth"]}, "too large"),
        ({"forbid": ["__import__('os').system('x') == 0"]}, "is not supported"),
        ({"forbid": ["depth >"]}, "cannot be parsed"),
        ({"forbid": ["depth >= 8"]}, "the default configuration breaks a rule: depth >= 8 is forbidden, and depth=8"),
        ({"forbid": [3]}, "expected"),
        ({"derived": "width"}, "the table [derived]"),
        ({"derived": {"width": 3}}, "formulas in quotes"),
        ({"run": {"command": "t {widht}"}}, "did you mean width?"),
    ],
)
def test_relations_that_cannot_hold_are_refused_at_load(tables: dict[str, Any], words: str) -> None:
    assert words in mistakes(**tables)


def test_rules_that_leave_nothing_are_refused() -> None:
    space = {"a": {"type": "int", "low": 1, "high": 9}, "b": {"type": "int", "low": 1, "high": 9}}
    found = mistakes(space=space, derived={}, forbid=["a > b", "b >= a"], run={"command": "t"})
    assert "the rules leave nothing of the space" in found


def test_forbid_may_stand_below_space_where_toml_counts_it_to_that_table() -> None:
    spec = parse_spec({**document(), "space": {**GPT, "forbid": ["depth > 20"]}})
    assert spec.forbid == [*FORBID, "depth > 20"]
    assert spec.space.broken_rule({**spec.space.imputed, "depth": 21})


def test_a_rule_about_an_inactive_parameter_does_not_apply_and_a_formula_without_a_value_forbids() -> None:
    space = parse_spec(document()).space
    assert space.contains(space.default or {})
    assert not space.contains({**space.imputed, "optimizer": "sgd", "momentum": 0.99})
    divided = SearchSpace({"a": Int(0, 9), "b": Int(0, 9)}, forbid=["a / b > 2"])
    assert "a / b > 2 cannot be computed: division by 0" in divided.broken_rule({"a": 1, "b": 0})


def test_derived_values_decide_conditions_and_stand_in_the_command() -> None:
    spec = parse_spec(document())
    assert spec.space.derived_values(spec.space.imputed) == {"width": 512}
    assert "dropout" not in spec.space.imputed
    assert "dropout" in spec.space.clip({**spec.space.imputed, "depth": 24})
    assert command_line(spec, spec.space.imputed) == "python t.py 512"


def test_a_derived_value_in_the_command_follows_the_trials_own_fidelity() -> None:
    fidelity = {"name": "epochs", "min": 1, "max": 10}
    spec = parse_spec(
        document(fidelity=fidelity, derived={**DERIVED, "steps": "epochs * 100"}, run={"command": "t {steps}"},
                 forbid=["steps > depth * 200"])
    )  # fmt: skip
    assert command_line(spec, spec.space.imputed, fidelity=3) == "t 300"
    assert "steps=1000" in spec.space.broken_rule({**spec.space.imputed, "depth": 4})


def test_constants_of_scale_may_be_used() -> None:
    spec = parse_spec(document(scale={"layers": 12}, forbid=["depth > layers"]))
    assert "layers=12" in spec.space.broken_rule({**spec.space.imputed, "depth": 13})


SPACE = parse_spec(document()).space


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=len(GPT), max_size=len(GPT)))
def test_every_point_of_the_unit_cube_becomes_an_allowed_configuration(units: list[float]) -> None:
    params = SPACE.from_unit(units)
    assert SPACE.check(params) == []
    assert SPACE.from_unit(SPACE.to_unit(params)) == params


def test_an_allowed_configuration_is_not_changed() -> None:
    assert SPACE.clip(SPACE.imputed) == SPACE.imputed
    assert 0.05 < allowed_fraction(SPACE, samples=300) < 0.5


def test_minimize_keeps_rules_and_gives_the_function_parameters_only() -> None:
    seen = []

    def loss(params: dict[str, Any]) -> float:
        seen.append(params)
        return float(params["a"] - params["b"])

    space = {"a": tunesmith.Int(8, 64, multiple_of=8), "b": tunesmith.Int(1, 64, power_of=2)}
    best = tunesmith.minimize(loss, space, trials=12, derived={"c": "a * b"}, forbid=["c > 1000", "b > a"])
    assert all(p["a"] % 8 == 0 and p["a"] * p["b"] <= 1000 and p["b"] <= p["a"] for p in seen)
    assert best.value <= 0


def test_wrong_relations_in_python_are_refused_in_words() -> None:
    with pytest.raises(SpecError, match="did you mean aa"):
        tunesmith.Tuner({"aa": tunesmith.Int(1, 9)}, forbid="a > 3")
