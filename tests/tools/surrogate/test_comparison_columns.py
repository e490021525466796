"""A comparison over many coordinates agrees with the comparison of each value."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.study.space import condition as conditions
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.tools.surrogate.comparison_columns import compile_comparison

CASES: dict[str, tuple[Parameter, tuple[str, ...]]] = {
    "real": (Float(-1.0, 3.0), ("x > 0.5", "x >= -1.0", "x < 3.0", "x == 0.5", "x != 0.5", "x in [0.25, 0.5]")),
    "log": (Float(1e-7, 10.0, log=True), ("x > 1e-3", "x <= 1e-7", "x == 0.001", "x > 10", "x not in [0.01]")),
    "step": (Float(0.0, 1.0, step=0.1), ("x == 0.3", "x > 0.3", "x >= 0.3", "x < 0")),
    "long grid": (Int(0, 100_000), ("x > 50", "x == 50", "x in [0, 7, 100000]", "x < 1", "x == 2.5")),
    "log integers": (Int(1, 1_000, log=True), ("x > 50", "x == 1", "x >= 1000", "x != 2", "x > -4")),
    "wide integers": (Int(0, 10**18), ("x > 12345678901234567", "x == 0", "x <= 1000000000000000000")),
    "multiples": (Int(8, 65_536, log=True, multiple_of=8), ("x > 64", "x == 64", "x == 65", "x in [8, 16]")),
    "powers": (Int(1, 2**20, power_of=2), ("x > 64", "x == 64", "x <= 100")),
    "choice": (Choice(["a", "b", 3, 1, None]), ("x == 'a'", "x > 2", "x in ['a', 3]", "x == None", "x != 'b'")),
    "many choices": (Choice([(7919 * i) % 5003 for i in range(5003)]), ("x > 2500", "x == 17", "x in [1, 2, 3]")),
    "flag": (Bool(), ("x", "x == false", "x == 1", "x != true")),
    "text of a number": (Float(0.0, 1.0), ("x == 'a'", "x != 'a'", "x in ['a', 0.5]")),
}


@pytest.mark.parametrize(("parameter", "texts"), CASES.values(), ids=CASES.keys())
def test_it_agrees_with_each_value(parameter: Parameter, texts: tuple[str, ...]) -> None:
    u = np.concatenate([np.random.default_rng(0).random(300), [0.0, 0.25, 0.5, 0.75, 1.0]])
    named = [0.5, 0.25, 1e-3, 1e-7, 0.01, 0.3, 50, 1, 64, 16, 7, 12345678901234567]
    valid = [parameter.clip(value) for value in named if not isinstance(parameter, Choice | Bool)]
    u = np.concatenate([u, [parameter.to_unit(value) for value in valid]])  # type: ignore[arg-type]  # its own type
    if isinstance(parameter, Choice | Bool):
        count = int(parameter.cardinality)
        u = (np.minimum(np.floor(u * count), count - 1) + 0.5) / count
    for text in texts:
        (comparison,) = conditions.comparisons(conditions.parse(text))
        expected = [comparison.holds({"x": parameter.from_unit(float(one))}) for one in u]
        assert compile_comparison(comparison, parameter)(u).tolist() == expected, text
