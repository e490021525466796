"""Starting points without a trial: the default, the best of earlier studies, the LLM's, the sampler's.

Knows no terminal and no database; earlier studies come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.sampler.warm_start.portfolio import select_portfolio
from tunesmith.agent.sampler.warm_start.scale_transfer import OptimumAtScale, format_scale, optimum_at_scale
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.control.study_reader import study_view


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A suggested configuration, where it comes from, and why.

    Attributes:
        origin: default, scale, earlier, llm or sampler.
    """

    params: Mapping[str, Value]
    origin: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Starting points, the most promising first.

    Attributes:
        optimum: where studies at other scales lead to expect the optimum; None without such.
        trouble: why the LLM gave no points; "" when it did or was not asked.
    """

    points: Sequence[Point]
    optimum: OptimumAtScale | None = None
    trouble: str = ""


def starting_points(
    spec: StudySpec,
    count: int,
    *,
    named: Sequence[EarlierStudy] = (),
    others: Sequence[EarlierStudy] = (),
    planner: LLMPlanner | None = None,
) -> Start:
    """Return at most `count` different points; fewer when the space has no more.

    Args:
        spec: the study.
        count: at least 1.
        named: the studies that it learns from.
        others: further studies whose best points may be taken over.
        planner: asks the LLM; None for no LLM.
    """
    found: list[Point] = []
    trouble = ""
    if spec.space.default is not None:
        found.append(Point(params=spec.space.default, origin=Source.DEFAULT.value, why="your default"))
    view = _view(spec, found, named)
    optimum = optimum_at_scale(view)
    if optimum is not None:
        why = f"where {' and '.join(optimum.studies)} lead to expect the optimum at {format_scale(spec.scale)}"
        _add(found, Point(params=optimum.params, origin="scale", why=why))
    for selected in select_portfolio(replace(view, earlier=(*named, *others)), (count - len(found)) // 2):
        _add(found, Point(params=selected.params, origin="earlier", why=selected.reason))
    if planner is not None and len(found) < count:
        batch = planner.starting_points(_view(spec, found, named), count=count - len(found))
        trouble = batch.reason
        for candidate in batch.candidates:
            why = candidate.rationale or "no reason given"
            _add(found, Point(params=candidate.params, origin=Source.LLM.value, why=why))
    _fill(spec, found, count, named)
    return Start(points=found[:count], optimum=optimum, trouble=trouble)


def _fill(spec: StudySpec, found: list[Point], count: int, named: Sequence[EarlierStudy]) -> None:
    sampler = make_sampler(spec.planner.sampler)
    while len(found) < count:
        try:
            suggestion = sampler.suggest(_view(spec, found, named))
        except SpaceExhausted:
            return
        found.append(Point(params=suggestion.params, origin=Source.SAMPLER.value, why=suggestion.rationale))


def _add(found: list[Point], point: Point) -> None:
    if all(dict(point.params) != dict(other.params) for other in found):
        found.append(point)


def _view(spec: StudySpec, found: Sequence[Point], named: Sequence[EarlierStudy]) -> StudyView:
    """Return a view in which the points so far wait to run, so that no point comes twice."""
    sources = {"default": Source.DEFAULT, "llm": Source.LLM}
    waiting = [
        Trial(
            number=n,
            proposal=Proposal(params=p.params, source=sources.get(p.origin, Source.SAMPLER), seed=0),
            state=TrialState.WAITING,
        )
        for n, p in enumerate(found)
    ]
    return study_view(spec, waiting, earlier=tuple(named))
