"""Parameters, spaces and conditions: exact round trips, values within bounds, conditions never run as code."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fakes.spaces import PARAMETERS, floats
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.errors import ProposalError, SpecError
from tunesmith.study.space.condition import ConditionError, parse
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace

UNIT = st.floats(0, 1)


@given(parameter=PARAMETERS, u=UNIT)
@example(parameter=Float(-1.0, 2.0888436839126473e-279), u=0.9999999999999999)
def test_decoded_values_survive_the_round_trip(parameter: Parameter, u: float) -> None:
    value: Any = parameter.from_unit(u)
    assert parameter.invalid_reason(value) is None
    v = parameter.to_unit(value)
    assert 0 <= v <= 1
    again = parameter.from_unit(v)
    assert again == value
    assert type(again) is type(value)


@given(parameter=PARAMETERS, u=UNIT, outside=st.floats(allow_nan=False))
def test_coordinates_move_by_less_than_a_bin_and_bounds_hold(parameter: Parameter, u: float, outside: float) -> None:
    width = 1e-3 if math.isinf(parameter.cardinality) else 1 / parameter.cardinality + 1e-3
    if isinstance(parameter, Float) and not parameter.log:
        # A range that is hardly wider than the spacing of doubles holds few values.
        width += 200 * math.ulp(max(abs(parameter.low), abs(parameter.high))) / (parameter.high - parameter.low)
    if isinstance(parameter, Int) and parameter.log:
        width = 1.0
    assert abs(parameter.to_unit(parameter.from_unit(u)) - u) <= width  # type: ignore[arg-type]
    assert parameter.invalid_reason(parameter.from_unit(outside)) is None


@given(parameter=floats(), data=st.data())
def test_a_users_float_changes_by_rounding_only(parameter: Float, data: st.DataObject) -> None:
    if math.isfinite(parameter.cardinality):
        return
    value = data.draw(st.floats(parameter.low, parameter.high))
    again = parameter.from_unit(parameter.to_unit(value))
    size = (
        abs(value)
        if parameter.log
        else max(parameter.high - parameter.low, 1e-3 * max(abs(parameter.high), abs(parameter.low)))
    )
    assert abs(again - value) <= 1e-10 * size


@pytest.mark.parametrize(
    "parameter",
    [
        Float(0.1, 0.7), Float(-5, 5), Float(1e-300, 1e300, log=True), Float(1, 1 + 1e-12), Float(1000, 1001),
        Float(1 / 3, 2 / 3), Float(1e-5, 1, log=True), Int(1, 10**18), Int(-(10**17), 9 * 10**17 - 1),
        Int(3, 10**18, log=True), Int(1, 100, log=True),
    ],
    ids=repr,
)  # fmt: skip
def test_both_ends_are_met_exactly(parameter: Float | Int) -> None:
    assert parameter.from_unit(0.0) == parameter.low
    assert parameter.from_unit(1.0) == parameter.high
    for end in (parameter.low, parameter.high):
        assert parameter.from_unit(parameter.to_unit(end)) == end  # type: ignore[arg-type]


def test_a_grid_of_decimals_reads_as_decimals() -> None:
    grid = Float(0.1, 0.7, step=0.1)
    assert [grid.from_unit((i + 0.5) / 7) for i in range(7)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_every_value_of_a_small_parameter_gets_an_equal_share() -> None:
    for parameter in (Int(1, 4), Choice("abcd"), Int(0, 30, step=10)):
        counts: dict[Any, int] = {}
        for i in range(4000):
            value = parameter.from_unit((i + 0.5) / 4000)
            counts[value] = counts.get(value, 0) + 1
        assert set(counts.values()) == {1000}


DEEP = SearchSpace(
    {
        "lr": Float(1e-5, 1, log=True, default=1e-3),
        "nesterov": Bool(when="momentum > 0.5 and opt == 'sgd'"),
        "opt": Choice(["adam", "sgd", "lion"], default="adam"),
        "momentum": Float(0, 0.99, when="opt in ['sgd', 'lion']"),
        "warm": Int(1, 5, when="not (opt == 'adam') or layers >= 6"),
        "layers": Int(1, 8),
        "width": Choice([16, 32], ordered=True, when="warm != 3"),
    }
)


@given(units=st.lists(UNIT, min_size=7, max_size=7))
def test_a_conditional_space_is_exact_both_ways(units: list[float]) -> None:
    params = DEEP.from_unit(units)
    assert DEEP.contains(params)
    assert DEEP.parse(params) == params
    assert DEEP.from_unit(DEEP.to_unit(params)) == params
    assert set(DEEP.active(params)) == set(params)
    assert list(params) == [name for name in DEEP.names if name in params]


@given(
    wild=st.dictionaries(
        st.sampled_from([*DEEP.names, "strange"]),
        st.sampled_from(["sgd", "adam", 3, 0.5, True, -1, 1e9, 16]),
        max_size=8,
    )
)
def test_check_parse_and_contains_agree_and_clip_always_helps(wild: dict[str, Any]) -> None:
    assert DEEP.contains(wild) is (not DEEP.check(wild))
    numbers = {n: v for n, v in wild.items() if n in ("lr", "momentum", "warm", "layers") and not isinstance(v, str)}
    assert DEEP.contains(DEEP.clip({**numbers, **{n: wild[n] for n in ("opt",) if n in wild}}))
    try:
        parsed = DEEP.parse(wild)
    except ProposalError as error:
        assert error.mistakes  # noqa: PT017  # either way must be sound
    else:
        assert DEEP.contains(parsed)


def test_inactive_parameters_are_dropped_and_whole_floats_become_ints() -> None:
    parsed = DEEP.parse({"lr": 1, "opt": "adam", "momentum": 0.9, "layers": 3.0})
    assert parsed == {"lr": 1.0, "opt": "adam", "layers": 3}
    assert isinstance(parsed["layers"], int)
    assert isinstance(parsed["lr"], float)


def test_every_mistake_of_a_proposal_is_named() -> None:
    with pytest.raises(ProposalError) as caught:
        DEEP.parse({"lr": 9, "optt": "sgd", "opt": "sdg", "layers": "many"})
    assert [m.key for m in caught.value.mistakes] == ["optt", "lr", "opt", "layers"]
    assert "did you mean opt?" in str(caught.value)
    assert "did you mean sgd?" in str(caught.value)


def test_the_default_fills_gaps_and_leaves_out_what_is_inactive() -> None:
    assert DEEP.default == {"lr": 1e-3, "opt": "adam", "layers": 5}
    assert SearchSpace({"x": Float(0, 1)}).default is None
    choices = SearchSpace(
        {"a": Choice(["x", "y"]), "b": Choice([1, 2, 3], ordered=True), "c": Bool(), "d": Int(0, 4, default=1)}
    )
    assert choices.default == {"a": "x", "b": 2, "c": False, "d": 1}


def test_true_is_not_1() -> None:
    both = Choice([1, True, "1", 1.5])
    assert [both.from_unit(both.to_unit(v)) for v in (1, True, "1", 1.5)] == [1, True, "1", 1.5]
    assert both.to_unit(1) != both.to_unit(True)
    assert Int(0, 3).invalid_reason(True)
    assert Bool().invalid_reason(1)


@given(parameters=st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), PARAMETERS, min_size=1, max_size=5))
def test_a_space_survives_the_round_trip_through_a_study_file(parameters: dict[str, Parameter]) -> None:
    space = SearchSpace(parameters)
    document = {"study": {"name": "s", "metric": "m"}, "run": {"command": "x"}, "space": space_document(space)}
    reserved = {"seed", "artifacts"} & set(parameters)
    if not reserved:
        assert parse_spec(document).space == space


@pytest.mark.parametrize(
    ("text", "params", "holds"),
    [
        ("a == 'x'", {"a": "x"}, True),
        ("a != 'x'", {"a": "y"}, True),
        ("a != 'x'", {}, False),
        ("not a == 'x'", {}, False),
        ("a in ['x', 'y']", {"a": "y"}, True),
        ("a not in ('x', 'y')", {"a": "z"}, True),
        ("a == 'x' and b > 2", {"a": "x", "b": 3}, True),
        ("a == 'x' and b > 2", {"a": "x", "b": 2}, False),
        ("a == 'x' or b >= 2", {"b": 2}, True),
        ("(a == 'x' or b < -1.5) and not c", {"b": -2, "c": False}, True),
        ("c", {"c": True}, True),
        ("c == true", {"c": True}, True),
        ("c == True", {"c": 1}, False),
        ("b == 1", {"b": True}, False),
        ("b == 1", {"b": 1.0}, True),
    ],
)
def test_conditions_are_evaluated_as_in_python(text: str, params: dict[str, Any], holds: bool) -> None:
    assert parse(text).holds(params) is holds


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "a.b.c == 1", "a[0] == 1", "lambda: 1", "f(a)", "a == b", "1 < a < 3", "a is None",
        "a == f'{b}'", "[x for x in a]", "a == 1 if b else c", "", "a ==", "a = 1", "1", "'a'", "(" * 500, "a == " + "-" * 3000 + "1",
        "a in 'xyz'", "a in []", "a in b", "a < 'x'", "(a := 3)", "await a", "a == b'x'", "a == 1j", "a == ...",
    ],
)  # fmt: skip
def test_other_forms_are_refused_and_nothing_is_run(text: str) -> None:
    with pytest.raises(ConditionError):
        parse(text)


@given(text=st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        parse(text)
    except ConditionError as error:
        assert str(error)  # noqa: PT017  # both ends are fine; anything else fails the test


def test_a_wrong_parameter_lists_every_mistake() -> None:
    with pytest.raises(SpecError) as caught:
        Float(0, 1, log=True, step=0.1, default=5, when="x ==")
    assert [m.key for m in caught.value.mistakes] == ["low", "step", "when"]
