"""Exported programs have the study's derived values and rules, and run no configuration that breaks one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.study.errors import SpecError
from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective
from tunesmith.tools.interop.export.formulas import without_own_grids
from tunesmith.tools.interop.export.registry import TARGETS
from tunesmith.tools.interop.study_export import StudyExport

PROGRAMS = sorted(name for name, target in TARGETS.items() if target.suffix.endswith(".py"))
SPACE = SearchSpace(
    {
        "depth": Int(1, 12, default=4),
        "head": Int(8, 128, power_of=2),
        "width": Int(64, 1024, multiple_of=32, log=True),
        "lr": Float(1e-4, 1e-1, power_of=10),
        "opt": Choice(["adam", "sgd"]),
        "momentum": Float(0.0, 1.0, when="opt == 'sgd'"),
    },
    derived={"size": "depth * width", "steps": "ceil(tokens / size)"},
    forbid=["width % head != 0", "momentum > 0.9", "size > 4000 and not opt == 'adam'", "steps / (depth - 3) > 9e9"],
    constants={"tokens": 1e6},
)


def exported(space: SearchSpace) -> StudyExport:
    return StudyExport(name="any", space=space, objectives=(Objective("loss"),), points=[space.imputed], fixed={})


def functions(text: str) -> dict[str, Any]:
    """Return the part of a program about rules, which needs no optimizer."""
    start = text.index("# Values that follow from others")
    end = text.index("# Values of parameters that are not active") if "IMPUTED" in text else text.index("# What failed")
    names: dict[str, Any] = {"SIGN": 1, "RESULTS": [({}, 3.0), ({}, 2.0)], **vars(math)}
    exec(text[start:end], names)  # noqa: S102  # what export writes
    return names


@pytest.mark.parametrize("target", PROGRAMS)
def test_a_program_knows_what_is_forbidden(target: str, tmp_path: Path) -> None:
    out = tmp_path / "program.py"
    TARGETS[target].export(exported(SPACE), str(out))
    found = functions(out.read_text(encoding="utf-8"))
    rng = np.random.default_rng(0)
    drawn = [SPACE.unrepaired(rng.random(len(SPACE)).tolist()) for _ in range(200)]
    assert [found["broken"](p) is None for p in drawn] == [not SPACE.broken_rule(p) for p in drawn]
    ran: list[Any] = []
    guarded = found["guarded"](lambda config: ran.append(config) or 1.0)
    values = [guarded(p) for p in drawn]
    assert all(SPACE.contains(config) for config in ran)
    assert set(values) == {1.0, 3.0}


def test_powers_become_ordered_choices_and_multiples_steps() -> None:
    plain = without_own_grids(SPACE).parameters
    assert plain["head"] == Choice([8, 16, 32, 64, 128], ordered=True)
    assert plain["width"] == Int(64, 1024, step=32)
    assert plain["lr"] == Choice([1e-4, 1e-3, 1e-2, 1e-1], ordered=True)


def test_a_condition_on_a_derived_value_is_refused_where_the_target_has_none(tmp_path: Path) -> None:
    space = SearchSpace({"a": Int(1, 9), "b": Int(1, 9, when="c > 4")}, derived={"c": "a * 2"})
    TARGETS["hyperopt"].export(exported(space), str(tmp_path / "h.py"))
    with pytest.raises(SpecError, match="compares c, which is derived"):
        TARGETS["smac"].export(exported(space), str(tmp_path / "s.py"))
