"""For any space, an exported program keeps it with its conditions, or the export is refused with the reason."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.study.errors import SpecError
from tunesmith.study.space.condition import Value, parse
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective
from tunesmith.tools.interop.export.program import render_condition
from tunesmith.tools.interop.export.registry import TARGETS
from tunesmith.tools.interop.study_export import StudyExport

COMPARISONS = ["opt == 'sgd'", "opt != 'sgd'", "n > 2", "n <= 2", "n in [1, 3]", "n not in [1, 3]", "flag", "not flag"]
CONDITIONS = st.recursive(
    st.sampled_from(COMPARISONS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=4,
)
PROGRAMS = sorted(name for name, target in TARGETS.items() if target.suffix.endswith(".py"))


@given(CONDITIONS)
def test_a_condition_means_the_same_in_the_program(when: str) -> None:
    condition = parse(when)
    said = eval(f"lambda c: {render_condition(condition)}")  # noqa: S307  # what export writes
    values: dict[str, tuple[Value, ...]] = {"opt": ("adam", "sgd"), "n": (1, 2, 3, 4), "flag": (True, False)}
    for combination in itertools.product(*((None, *choices) for choices in values.values())):
        params = {name: value for name, value in zip(values, combination, strict=True) if value is not None}
        assert bool(said(params)) == condition.holds(params)


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["float", "int", "choice", "bool"]))
    log = draw(st.booleans())
    low = draw(st.integers(1, 50))
    high = low + draw(st.integers(1, 400))
    if kind == "float":
        step = None if log or draw(st.booleans()) else draw(st.sampled_from([0.25, 0.5, 1.0]))
        return Float(float(low), float(high), log=log, step=step)
    if kind == "int":
        step = None if log or draw(st.booleans()) else draw(st.integers(1, high - low))
        return Int(low, high, log=log, step=step)
    if kind == "choice":
        values = st.one_of(
            st.text(max_size=6), st.integers(-5, 5), st.sampled_from([0.5, 1.5, None, "it's", '"""', "\\"])
        )
        return Choice(draw(st.lists(values, min_size=1, max_size=4, unique_by=repr)), ordered=draw(st.booleans()))
    return Bool()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(parameters(), min_size=1, max_size=4), target=st.sampled_from(PROGRAMS), data=st.data())
def test_any_space_is_exported_with_its_points_or_refused_with_a_reason(
    found: list[Parameter], target: str, data: Any, tmp_path: Path
) -> None:
    space = SearchSpace({f"p{i}": parameter for i, parameter in enumerate(found)})
    points = [space.from_unit(data.draw(st.tuples(*[st.floats(0, 1)] * len(space)))) for _ in range(2)]
    exported = StudyExport(name="any", space=space, objectives=(Objective("loss"),), points=points, fixed={})
    out = tmp_path / "program.py"
    out.unlink(missing_ok=True)
    try:
        TARGETS[target].export(exported, str(out))
    except SpecError as error:
        refused = [mistake.key for mistake in error.mistakes]
    else:
        assert constant(out.read_text(encoding="utf-8"), "POINTS") == [dict(point) for point in points]
        return
    assert all(key.startswith("space.p") for key in refused)
    assert not out.exists()


def constant(text: str, name: str) -> object:
    """Return the literal that a program gives a name, without running the program."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_a_long_study_is_exported_with_its_best_and_latest_results(tmp_path: Path) -> None:
    from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState

    space = SearchSpace({"x": Float(0.0, 1.0)})

    def trial(number: int) -> Trial:
        params: Mapping[str, Value] = {"x": number / 30_000}
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": number / 30_000})
        proposal = Proposal(params=params, source=Source.SAMPLER, seed=0)
        return Trial(number=number, proposal=proposal, state=TrialState.COMPLETE, outcome=outcome)

    trials = [trial(number) for number in range(30_000)]
    exported = StudyExport(name="long", space=space, objectives=(Objective("loss"),), trials=trials, fixed={})
    said = TARGETS["nevergrad"].export(exported, str(tmp_path / "p.py"))
    kept = constant((tmp_path / "p.py").read_text(encoding="utf-8"), "RESULTS")
    assert isinstance(kept, list)
    assert len(kept) == 10_000
    assert kept[0] == ({"x": 0.0}, 0.0)
    assert "20000 of 30000 results are left out: neither best nor latest" in said
