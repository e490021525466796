"""What a file, a model or a person gives becomes the parameter's own value at every door."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.spaces import PARAMETERS
from tunesmith.study.errors import ProposalError, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key, own_value

BIG = 2**53 + 1


class Optimizer(Enum):
    ADAM = "adam"


SIZES, MIXED, NAMED = Choice([16, 32, 64]), Choice(["16", 16, True, 1, None, "None"]), Choice(["balanced", "None"])
OWN: list[tuple[Parameter, object, Value]] = [
    (SIZES, 16.0, 16),
    (SIZES, "16", 16),
    (SIZES, " 16.0 ", 16),
    (SIZES, "1.6e1", 16),
    (SIZES, np.int64(16), 16),
    (SIZES, np.float32(16), 16),
    (SIZES, Decimal("16.0"), 16),
    (Choice(["16", "32"]), 16, "16"),
    (Choice(["16", "32"]), 16.0, "16"),
    (Choice([0.1, 0.2]), np.float32(0.1), 0.1),
    (Choice([0.5, 1.0]), 1, 1.0),
    (Choice([1.1, 1.2]), "1.10", 1.1),
    (Choice([True, False]), "true", True),
    (Choice([True, False]), np.bool_(True), True),
    (Choice(["true", "false"]), True, "true"),
    (Choice([BIG, BIG + 1]), BIG, BIG),
    (Choice([BIG, BIG + 1]), str(BIG), BIG),
    (Choice([BIG, BIG + 1]), f"{BIG}.0", BIG),
    (Choice(["adam", "sgd"]), "Adam", "adam"),
    (Choice(["Adam", "adam"]), "adam", "adam"),
    (Choice(["adam", "sgd"]), Optimizer.ADAM, "adam"),
    (Choice(["adam", "sgd"]), np.str_("sgd"), "sgd"),
    (MIXED, "16", "16"),
    (MIXED, 16, 16),
    (MIXED, 16.0, 16),
    (MIXED, True, True),
    (MIXED, 1, 1),
    (MIXED, 1.0, 1),
    (MIXED, "1", 1),
    (MIXED, None, None),
    (MIXED, "None", "None"),
    (NAMED, None, "None"),
    (NAMED, "null", "None"),
    (Choice(["balanced", None]), "None", None),
    (Choice(["balanced", None]), "null", None),
    (Choice(["", "x"]), "", ""),
    (Int(1, 10**17), BIG, BIG),
    (Int(1, 10**17), str(BIG), BIG),
    (Int(1, 10**17), f"{BIG}.0", BIG),
    (Int(1, 10**17), Decimal(BIG), BIG),
    (Int(1, 100), 64.0, 64),
    (Int(1, 100), "64", 64),
    (Int(1, 100), "6.4e1", 64),
    (Int(1, 100), np.uint8(64), 64),
    (Int(1, 100), 63.99999999999999, 64),
    (Float(0, 1), 1, 1.0),
    (Float(0, 1), "1e-1", 0.1),
    (Float(0, 1), np.float64(0.25), 0.25),
    (Float(-1, 1), -0.0, 0.0),
    (Float(0.1, 0.7, step=0.1), 0.30000000000000004, 0.3),
    (Float(1e-5, 1.0, log=True), 1.0000000000000002, 1.0),
    (Bool(), "True", True),
    (Bool(), "off", False),
    (Bool(), 0, False),
    (Bool(), 1.0, True),
    (Bool(), np.bool_(False), False),
]
REFUSED: list[tuple[Parameter, object]] = [
    (SIZES, 17),
    (SIZES, True),
    (SIZES, 16.5),
    (SIZES, None),
    (SIZES, [16]),
    (SIZES, "nan"),
    (Choice([1, 2]), True),
    (Choice([True, False]), 1),
    (Choice([True, False]), "1"),
    (Choice(["1.1", "1.2"]), "1.10"),
    (Choice([BIG, BIG + 1]), float(BIG)),
    (NAMED, ""),
    (Int(1, 100), 64.5),
    (Int(1, 100), True),
    (Int(1, 100), "1e999999999"),
    (Int(1, 10**17), Decimal(f"{BIG}.5")),
    (Float(0, 1), "a lot"),
    (Float(0, 1), "nan"),
    (Float(0, 1), 10**400),
    (Float(0, 1), None),
    (Float(0, 1), True),
    (Float(1e-13, 1.0, log=True), 5e-14),
    (Bool(), 2),
    (Bool(), "maybe"),
    (Bool(), None),
]


@pytest.mark.parametrize(("parameter", "given_value", "own"), OWN)
def test_a_given_value_becomes_the_parameters_own(parameter: Parameter, given_value: object, own: Value) -> None:
    found = own_value(parameter, given_value)
    assert found == own
    assert type(found) is type(own)
    assert parameter.invalid_reason(found) is None


@pytest.mark.parametrize(("parameter", "given_value"), REFUSED)
def test_what_is_no_value_of_the_parameter_stays_refused(parameter: Parameter, given_value: object) -> None:
    assert parameter.invalid_reason(own_value(parameter, given_value))


@given(PARAMETERS, st.floats(0.0, 1.0))
def test_a_value_is_the_same_from_every_door(parameter: Parameter, unit: float) -> None:
    """A value that a sampler draws comes back from JSON, from text, from NumPy and from whole floats."""
    own = parameter.from_unit(unit)
    doors: list[object] = [own, json.loads(json.dumps(own))]
    if not isinstance(own, str):
        doors += [repr(own)]
    if isinstance(own, int) and not isinstance(own, bool) and abs(own) < 2**53:
        doors += [float(own), np.int64(own), f"{own}.0"]
    if isinstance(own, float):
        doors += [np.float64(own)]
    if isinstance(parameter, Choice) and any(isinstance(choice, str) for choice in parameter.choices):
        doors = doors[:2]  # a text among the choices may spell another one
    space = SearchSpace({"x": parameter})
    keys = {config_key(space.parse({"x": door})) for door in doors}
    found = [own_value(parameter, door) for door in doors]
    assert [(type(value), value) for value in found] == [(type(own), own)] * len(doors)
    assert keys == {config_key({"x": own})}


@given(PARAMETERS, st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8))
def test_own_values_are_stable_and_valid_or_refused(parameter: Parameter, anything: Any) -> None:
    own = own_value(parameter, anything)
    again = own_value(parameter, own)
    assert (type(again), repr(again)) == (type(own), repr(own))
    if isinstance(parameter, Choice) and parameter.invalid_reason(own) is None:
        assert any(own is choice for choice in parameter.choices)


def test_the_key_of_a_configuration_does_not_depend_on_how_numbers_are_spelled() -> None:
    assert (
        config_key({"a": 16, "b": 0.0}) == config_key({"b": -0.0, "a": 16.0}) == config_key({"a": np.int64(16), "b": 0})
    )
    assert len({config_key({"a": value}) for value in (1, True, "1", None, "None", "true")}) == 6
    assert config_key({"a": BIG}) != config_key({"a": BIG - 1})


def test_an_inactive_parameter_is_dropped_whatever_its_value() -> None:
    space = SearchSpace({
        "opt": Choice(["sgd", "adam"]),
        "nesterov": Bool(when="opt == 'sgd'"),
        "momentum": Float(0, 1, when="nesterov"),
    })  # fmt: skip
    assert space.parse({"opt": "ADAM", "nesterov": "yes", "momentum": None}) == {"opt": "adam"}
    assert space.parse({"opt": "sgd", "nesterov": 1, "momentum": "0.5"}) == {
        "opt": "sgd",
        "nesterov": True,
        "momentum": 0.5,
    }
    with pytest.raises(ProposalError, match="oops"):
        space.parse({"opt": "adam", "oops": 1})


def test_parameters_take_numbers_of_numpy_and_a_default_is_the_choice_itself() -> None:
    assert Choice([16, 32], default=16.0).default is not None
    assert repr(Choice([16, 32], default=16.0).default) == "16"
    assert repr(Float(0, 1, default=1).default) == "1.0"
    assert repr(SearchSpace({"x": Float(0, 1, default=1)}).default) == "{'x': 1.0}"
    assert Choice(list(np.array([8, 16]))).choices == (8, 16)
    assert [type(choice) for choice in Choice(list(np.array([8, 16]))).choices] == [int, int]
    assert Int(np.int64(1), np.int64(9)).clip(4) == 4  # type: ignore[arg-type]  # as in scripts
    assert repr(Float(0, 1).clip(-3)) == "0.0"
    assert Int(0, 10**17, step=3).clip(BIG // 3 * 3) == BIG // 3 * 3
    with pytest.raises(SpecError):
        Choice([16, np.int64(16)])


def test_a_condition_compares_values_and_not_their_spelling() -> None:
    with pytest.raises(SpecError, match="cannot have"):
        SearchSpace({"batch": SIZES, "lr": Float(0, 1, when="batch == '16'")})
    assert SearchSpace({"batch": SIZES, "lr": Float(0, 1, when="batch == 16.0")})
