"""`tunesmith suggest`: starting points without a trial: the default, the LLM's where there is one, the sampler's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.planning import Tape, make_planner, open_model
from tunesmith.agent.samplers import make_sampler
from tunesmith.cli.locate import study_file
from tunesmith.cli.run import overridden
from tunesmith.study.command import command_line
from tunesmith.study.condition import Value
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.load import load_spec
from tunesmith.study.spec import StudySpec
from tunesmith.study.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.view import StudyView


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A suggested configuration, who suggests it, and why."""

    params: Mapping[str, Value]
    source: Source
    rationale: str


def suggest_points(  # noqa: PLR0913  # one argument per option
    study: Path, *, count: int, model: str | None, base_url: str | None, tape: Tape, as_json: bool
) -> None:
    """Print `count` starting points.

    Raises:
        InputError: the study file or an option is wrong.
    """
    if count < 1:
        raise SpecError([Mistake("--n", f"is {count}; give 1 or more")], where="the command line")
    spec = overridden(load_spec(study), {"model": model, "base_url": base_url})
    points, trouble = _points(spec, study_file(study).absolute().parent, count, tape)
    if as_json:
        print(
            json.dumps(
                [{"params": dict(p.params), "source": p.source.value, "why": p.rationale} for p in points], indent=2
            )
        )
        return
    for line in trouble:
        print(line)
    for number, point in enumerate(points, start=1):
        print(f"{number}. {point.source.value}: {point.rationale}")
        print(f"   {command_line(spec, point.params)}")


def _points(spec: StudySpec, project: Path, count: int, tape: Tape) -> tuple[list[Point], list[str]]:
    found: list[Point] = []
    trouble: list[str] = []
    if spec.space.default is not None:
        found.append(Point(params=spec.space.default, source=Source.DEFAULT, rationale="your default"))
    if spec.planner.model:
        planner = make_planner(spec, open_model(spec.planner, tape), project=project)
        batch = planner.starting_points(_view(spec, found), count=max(count - len(found), 1))
        trouble += [f"{batch.reason}; the sampler's points follow alone"] if batch.reason else []
        found += [
            Point(params=c.params, source=Source.LLM, rationale=c.rationale or "no reason given")
            for c in batch.candidates
        ]
    sampler = make_sampler(spec.planner.sampler)
    while len(found) < count:
        try:
            suggestion = sampler.suggest(_view(spec, found))
        except SpaceExhausted:
            break
        found.append(Point(params=suggestion.params, source=Source.SAMPLER, rationale=suggestion.rationale))
    return found[:count], trouble


def _view(spec: StudySpec, found: list[Point]) -> StudyView:
    """Return a view in which the points so far wait to run, so that no point comes twice."""
    waiting = [
        Trial(number=n, proposal=Proposal(params=p.params, source=p.source, seed=0), state=TrialState.WAITING)
        for n, p in enumerate(found)
    ]
    return StudyView(
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.bounds,
        trials=waiting,
        number=len(waiting),
        seed=spec.study.seed,
    )
