"""Tools about a study's results: importance, failure regions, lessons, forecasts, suggestions, published rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import overlaid
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.bounds.range_ends import reached_ends
from tunesmith.tools.analysis.failure_regions import failing_regions
from tunesmith.tools.analysis.importance import Importance, importance
from tunesmith.tools.heuristics.registry import HEURISTICS, apply_heuristic
from tunesmith.tools.llm_tools.context import ConfigForecast, Forecaster, SuggestedConfig, ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, find_trial

BASES = ("best", "default")
"""Names of configurations that others can be based on, in addition to the numbers of trials."""


class PredictArguments(Arguments):
    """A configuration, given as changes to a known one."""

    params: Annotated[
        dict[str, Any],
        Field(description='Such as {"lr": 0.01}; omitted ones are taken from base.'),
    ]
    base: Annotated[str, Field(max_length=20, description="best, default, or a trial's number.")] = "best"


class PointsArguments(Arguments):
    """The number of suggestions."""

    count: Annotated[int, Field(ge=1, le=20, description="At most 20.")] = 5


class RuleArguments(Arguments):
    """A published rule and its inputs."""

    name: Annotated[str, Field(max_length=60, description="Empty for the list.")] = ""
    inputs: Annotated[dict[str, Any], Field(description="Numbers by name.")] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mattered:
    """What mattered in a study.

    Attributes:
        view: the study.
        importance: of its parameters.
        failures: regions in which trials fail.
    """

    view: StudyView
    importance: Importance
    failures: Sequence[str]


def what_mattered(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the parameters' importance, where trials fail, and where the best trial is at the edge of a range."""
    return mattered_text(mattered(context))


def mattered(context: ToolContext) -> Mattered:
    """Return what mattered so far."""
    view = context.study.view()
    found = importance(view.space, view.finished, view.objectives[0])
    return Mattered(view, found, failing_regions(view.space, view.finished))


def mattered_text(found: Mattered) -> str:
    """Return what mattered, in lines."""
    shares = [f"importance {line}" for line in found.importance.worded()] or list(found.importance.lines)
    return "\n".join([*shares, *(f"failures: {text}" for text in found.failures), *_edge_lines(found.view)])


def lessons(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the lessons that the planner wrote, with the trials that support each."""
    found = context.study.lessons()
    lines = [f"{lesson.text} ({' '.join(f'#{n}' for n in lesson.trials)})" for lesson in found]
    return "\n".join(lines) or "there are no lessons yet"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the surrogate model expects of a configuration.

    Attributes:
        params: the configuration.
        ran_as: trials that ran with it.
        metric: the first objective.
        forecast: of the metric; None while there are too few trials.
    """

    params: Mapping[str, Value]
    ran_as: Sequence[int]
    metric: str
    forecast: ConfigForecast | None


def what_if(context: ToolContext, args: PredictArguments) -> str:
    """Return the surrogate model's forecast for a configuration, which need not have run."""
    return expectation_text(expectation(context, args))


def expectation(context: ToolContext, args: PredictArguments) -> Expectation:
    """Return what the surrogate model expects of a configuration.

    Raises:
        ToolRefused: there is no model, or no such base.
        ProposalError: the values are not valid in the space.
    """
    view = context.study.view()
    params = complete_configuration(view, args.params, args.base)
    forecast = _forecaster(context).forecast(view, [params])
    return Expectation(
        params=params,
        ran_as=[t.number for t in view.trials if dict(t.params) == params],
        metric=view.objectives[0].metric,
        forecast=forecast[0] if forecast is not None else None,
    )


def expectation_text(found: Expectation) -> str:
    """Return an expectation in lines."""
    lines = [render_params(found.params)]
    if found.ran_as:
        lines.append(f"this configuration has already run: {', '.join(f'#{n}' for n in found.ran_as[:8])}")
    if found.forecast is None:
        return "\n".join([*lines, "there is no forecast yet: the model needs more complete trials"])
    expected = found.forecast.prediction
    lines.append(
        f"expected {found.metric}: {short_number(expected.mean)} ± {short_number(expected.std, 2)} "
        f"(one standard deviation), {found.forecast.p_feasible:.0%} probability of success"
    )
    return "\n".join(lines)


def points(context: ToolContext, args: PointsArguments) -> str:
    """Return suggestions for the next trials; runs nothing."""
    return points_text(suggested(context, args))


def suggested(context: ToolContext, args: PointsArguments) -> list[SuggestedConfig]:
    """Return suggestions for the next trials.

    Raises:
        ToolRefused: there is no model.
    """
    return _forecaster(context).points(context.study.view(), args.count)


def points_text(found: Sequence[SuggestedConfig]) -> str:
    """Return suggestions, one per line."""
    lines = [f"{n}. {p.source}: {render_params(p.params)}  ({p.why})" for n, p in enumerate(found, start=1)]
    return "\n".join(lines) or "every configuration was tried"


def rule(context: ToolContext, args: RuleArguments) -> str:  # noqa: ARG001
    """Return the result of a published rule for some inputs; without a name every rule with its inputs."""
    if not args.name:
        return "\n".join(f"{r.name}({', '.join(r.inputs)}): {r.purpose}" for r in HEURISTICS.values())
    advice = apply_heuristic(args.name, args.inputs)
    lines = [f"{name} = {value:.6g}" for name, value in advice.values.items()]
    return "\n".join([*lines, f"source: {advice.source}", *advice.warnings])


def complete_configuration(view: StudyView, params: Mapping[str, Any], base: str) -> dict[str, Value]:
    """Return a complete configuration: `params`, and the values of `base` for all other parameters.

    Args:
        view: the study.
        params: values by parameter.
        base: best, default or a trial's number.

    Raises:
        ToolRefused: there is no such base.
        ProposalError: the values are not valid in the space; the message names every mistake.
    """
    if base == "best" and not leaderboard(view.trials, view):
        return _without_best(view.space, params)
    known = {**_imputed(view.space), **_base_params(view, base)}
    return view.space.parse(overlaid(view.space.mixtures, known, view.space.own_values(params)))


def _without_best(space: SearchSpace, params: Mapping[str, Any]) -> dict[str, Value]:
    """Return a configuration that gives every active parameter itself; the default never replaces a best."""
    given = space.own_values(params)
    missing = [name for name in space.active({**_imputed(space), **given}) if name not in given]
    if missing and set(given) <= set(space.names):
        raise ToolRefused(
            f"no trial is the best yet, so {', '.join(missing)} would have no value; give every parameter, or take "
            "the others from base = default or from a trial's number"
        )
    return space.parse(params)


def _imputed(space: SearchSpace) -> Mapping[str, Value]:
    """Return a value for every parameter, also inactive ones: new values may make them active."""
    return {name: imputed_value(parameter) for name, parameter in space.parameters.items()}


def _base_params(view: StudyView, base: str) -> Mapping[str, Value]:
    if base.lstrip("#").isdigit():
        return find_trial(view, int(base.lstrip("#"))).params
    if base not in BASES:
        raise ToolRefused(f"base: {base!r} is not valid; expected best, default or a trial's number")
    return leaderboard(view.trials, view)[0].params if base == "best" else view.space.default or {}


def _forecaster(context: ToolContext) -> Forecaster:
    if context.forecaster is None:
        raise ToolRefused("this connection has no model of the study, so it cannot forecast")
    return context.forecaster


def _edge_lines(view: StudyView) -> list[str]:
    """Return a line for each parameter whose best value is at an end of its range, where a wider range may help."""
    ranked = leaderboard(view.trials, view)
    if not ranked:
        return []
    return [
        f"edge: the best trial has {reached.name} at the {reached.end} end of its range"
        for reached in reached_ends(view.space, ranked[0].params)
    ]


IMPORTANCE = StudyTool("importance", NoArguments, what_mattered)
LESSONS = StudyTool("lessons", NoArguments, lessons)
PREDICT = StudyTool("predict", PredictArguments, what_if)
POINTS = StudyTool("points", PointsArguments, points)
RULE = StudyTool("rule", RuleArguments, rule)
