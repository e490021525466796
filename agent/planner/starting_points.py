"""Suggests starting points without running a trial: the default, the best of earlier studies, the LLM's, the sampler's.

Knows no terminal and no database; earlier studies are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.planner.batch import suggest_batch, with_pending
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.sampler.warm_start.portfolio import select_portfolio
from tunesmith.agent.sampler.warm_start.scale_transfer import OptimumAtScale, format_scale, optimum_at_scale
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import Source
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import study_view

_SOURCES = {"default": Source.DEFAULT, "llm": Source.LLM}
"""Sources of proposals by origin; every other origin counts as the sampler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint:
    """A suggested configuration, its origin, and the reason for it.

    Attributes:
        origin: default, scale, earlier, llm or sampler.
    """

    params: Mapping[str, Value]
    origin: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoints:
    """Starting points, the most promising first.

    Attributes:
        optimum: the optimum extrapolated from studies at other scales; None without such studies.
        llm_trouble: why the LLM gave no points; "" if it did, or was not asked.
    """

    points: Sequence[StartingPoint]
    optimum: OptimumAtScale | None = None
    llm_trouble: str = ""


def starting_points(
    spec: StudySpec,
    count: int,
    *,
    named: Sequence[EarlierStudy] = (),
    others: Sequence[EarlierStudy] = (),
    planner: LLMPlanner | None = None,
) -> StartingPoints:
    """Return at most `count` different points; fewer if the space has no more.

    Args:
        spec: the study.
        count: the number of points, at least 1.
        named: the earlier studies that this one learns from.
        others: further studies whose best points may be reused.
        planner: asks the LLM; None for no LLM.
    """
    points: list[StartingPoint] = []
    llm_trouble = ""
    if spec.space.default is not None:
        points.append(StartingPoint(params=spec.space.default, origin="default", why="your default"))
    view = study_view(spec, [], earlier=tuple(named))
    with_default = _with_points(view, points)
    optimum = optimum_at_scale(with_default)
    if optimum is not None:
        why = f"where {' and '.join(optimum.studies)} lead to expect the optimum at {format_scale(spec.scale)}"
        _add(points, StartingPoint(params=optimum.params, origin="scale", why=why))
    portfolio_view = replace(with_default, earlier=(*named, *others))
    for selected in select_portfolio(portfolio_view, (count - len(points)) // 2):
        _add(points, StartingPoint(params=selected.params, origin="earlier", why=selected.reason))
    if planner is not None and len(points) < count:
        batch = planner.starting_points(_with_points(view, points), count=count - len(points))
        llm_trouble = batch.reason
        for candidate in batch.candidates:
            why = candidate.rationale or "no reason given"
            _add(points, StartingPoint(params=candidate.params, origin="llm", why=why))
    suggestions = suggest_batch(make_sampler(spec.planner.sampler), _with_points(view, points), count - len(points))
    points += [StartingPoint(params=s.params, origin="sampler", why=s.rationale) for s in suggestions]
    return StartingPoints(points=points[:count], optimum=optimum, llm_trouble=llm_trouble)


def _add(points: list[StartingPoint], point: StartingPoint) -> None:
    if all(dict(point.params) != dict(other.params) for other in points):
        points.append(point)


def _with_points(view: StudyView, points: Sequence[StartingPoint]) -> StudyView:
    """Return the view with the points as waiting trials, so that none is suggested twice."""
    for point in points:
        view = with_pending(view, point.params, _SOURCES.get(point.origin, Source.SAMPLER))
    return view
