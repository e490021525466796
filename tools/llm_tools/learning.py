"""Tools that say what a study teaches: importance and failing regions, lessons, forecasts, points, published rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import resting
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.importance import MIN_TRIALS, importance
from tunesmith.tools.heuristics.registry import HEURISTICS, apply_heuristic
from tunesmith.tools.llm_tools.context import Forecaster, ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, find_trial

BASES = ("best", "default")
_EDGE = 0.02


class PredictArguments(Arguments):
    """A configuration, as changes to a known one."""

    params: Annotated[
        dict[str, Any],
        Field(description='Values of parameters, such as {"lr": 0.01}; what is left out is taken from base.'),
    ]
    base: Annotated[str, Field(max_length=20, description="best, default, or a trial's number.")] = "best"


class PointsArguments(Arguments):
    """How many."""

    count: Annotated[int, Field(ge=1, le=20, description="How many points, at most 20.")] = 5


class RuleArguments(Arguments):
    """A published rule and the numbers to put into it."""

    name: Annotated[str, Field(max_length=60, description=f"One of {', '.join(HEURISTICS)}.")]
    inputs: Annotated[dict[str, Any], Field(description="Its inputs by name, each a number.")]


def what_mattered(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return which parameters decided the value, where trials fail, and where the best lie at the edge of a range."""
    view = context.study.view()
    shares = importance(view.space, view.finished, view.objectives[0])
    lines = [f"{name}: {share:.0%}" for name, share in shares.items()]
    if not shares:
        done = len([t for t in view.finished if t.values])
        lines = [f"which parameters matter cannot be told yet: {done} complete trials, {MIN_TRIALS} are needed"]
    lines += [f"fails: {text}" for text in failing_regions(view.space, view.finished)]
    return "\n".join([*lines, *_at_the_edge(view)])


def lessons(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return what the planner wrote down, with the trials that support it."""
    found = context.study.lessons()
    lines = [f"{lesson.text} ({' '.join(f'#{n}' for n in lesson.trials)})" for lesson in found]
    return "\n".join(lines) or "no lesson is written down yet"


def what_if(context: ToolContext, args: PredictArguments) -> str:
    """Return what the sampler's model expects of a configuration that may never have run."""
    view = context.study.view()
    params = complete_configuration(view, args.params, args.base)
    forecast = _forecaster(context).forecast(view, [params])
    same = [t.number for t in view.trials if dict(t.params) == params]
    lines = [render_params(params)]
    if same:
        lines.append(f"this configuration has run: {', '.join(f'#{n}' for n in same[:8])}")
    if forecast is None:
        return "\n".join([*lines, "too little is known for a model: a few more complete trials are needed"])
    expected = forecast[0].prediction
    lines.append(
        f"expected {view.objectives[0].metric}: {short_number(expected.mean)} ± {short_number(expected.std, 2)} "
        f"(one standard deviation), {forecast[0].p_feasible:.0%} to run through"
    )
    return "\n".join(lines)


def points(context: ToolContext, args: PointsArguments) -> str:
    """Return configurations that would be worth a trial next; runs nothing."""
    found = _forecaster(context).points(context.study.view(), args.count)
    lines = [f"{n}. {p.source}: {render_params(p.params)}  ({p.why})" for n, p in enumerate(found, start=1)]
    return "\n".join(lines) or "every configuration was tried"


def rule(context: ToolContext, args: RuleArguments) -> str:  # noqa: ARG001
    """Return what a published rule says for some numbers."""
    advice = apply_heuristic(args.name, args.inputs)
    lines = [f"{name} = {value:.6g}" for name, value in advice.values.items()]
    return "\n".join([*lines, f"source: {advice.source}", *advice.outside])


def complete_configuration(view: StudyView, params: Mapping[str, Any], base: str) -> dict[str, Value]:
    """Return a whole configuration: the given values over those of `base` (best, default or a trial's number).

    Raises:
        ToolRefused: there is no such base.
        ProposalError: the values do not fit the space; every mistake is named.
    """
    below = {**_resting(view.space), **_base(view, base)}
    return view.space.parse({**below, **params})


def _resting(space: SearchSpace) -> Mapping[str, Value]:
    """Return a value for every parameter, inactive ones too: changing a guard may make them active."""
    return {name: resting(parameter) for name, parameter in space.parameters.items()}


def _base(view: StudyView, base: str) -> Mapping[str, Value]:
    if base.lstrip("#").isdigit():
        return find_trial(view, int(base.lstrip("#"))).params
    if base not in BASES:
        raise ToolRefused(f"base: {base!r} is none; give best, default or a trial's number")
    if base == "best":
        ranked = candidates(view.trials, view.objectives, view.constraints)
        if ranked:
            return ranked[0].params
    return view.space.default or {}


def _forecaster(context: ToolContext) -> Forecaster:
    if context.forecaster is None:
        raise ToolRefused("no model of the study is at hand here")
    return context.forecaster


def _at_the_edge(view: StudyView) -> list[str]:
    """Say where the best trial lies at the border of a range: beyond it may be better ones."""
    ranked = candidates(view.trials, view.objectives, view.constraints)
    if not ranked:
        return []
    lines = []
    units = dict(zip(view.space.names, view.space.to_unit(ranked[0].params), strict=True))
    for name in ranked[0].params:
        parameter = view.space.parameters[name]
        if parameter.kind in ("float", "int") and not _EDGE <= units[name] <= 1 - _EDGE:
            side = "low" if units[name] < _EDGE else "high"
            lines.append(f"edge: the best trial has {name} at the {side} end of its range")
    return lines


IMPORTANCE = StudyTool("importance", NoArguments, what_mattered)
LESSONS = StudyTool("lessons", NoArguments, lessons)
PREDICT = StudyTool("predict", PredictArguments, what_if)
POINTS = StudyTool("points", PointsArguments, points)
RULE = StudyTool("rule", RuleArguments, rule)
