"""`tunesmith export`: hands a study to another optimizer, with its results, points to try first, or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.cli.session.locate import history_file, open_study, study_file
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.interop.export.registry import TARGETS, find_target
from tunesmith.tools.interop.study_export import best_configurations, counted, hand_over

FIRST_POINTS = 10
"""So many starting points are handed over of a study that has no results yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What `export` was asked for; `points` None: as many as make sense."""

    to: str
    out: str | None
    points: int | None
    results: bool


@dataclass(frozen=True, slots=True)
class _Known:
    spec: StudySpec
    trials: Sequence[Trial]
    folder: str


def export_study(study: Path, wanted: ExportOptions, *, history: Path | None, as_json: bool) -> None:
    """Write what was asked for, and say what it is and what was left out.

    Raises:
        InputError: there is no such study or target, or the target cannot take the study.
    """
    if wanted.points is not None and wanted.points < 0:
        raise SpecError([Mistake("--points", f"is {wanted.points}; give 0 or more")], where="the command line")
    target = find_target(wanted.to)
    known = _known(study, history)
    results = known.trials if wanted.results else []
    points = _points(known, results, wanted.points)
    handover = hand_over(known.spec, results, points, folder=known.folder)
    if not handover.trials and not handover.points:
        raise SpecError([Mistake("", "has neither results nor points to hand over")], where=known.spec.study.name)
    out = wanted.out or f"{known.spec.study.name}{target.suffix}"
    said = target.export(handover, out)
    if as_json:
        told = {"to": target.name, "out": out, "results": len(handover.trials), "points": len(handover.points)}
        print(json.dumps({**told, "remarks": [*handover.remarks, *said]}, indent=2))
        return
    first = f", {len(points)} points to try first" if points else ""
    print(f"{out}: {target.takes}; {counted(handover.trials)}{first}")
    for line in [*handover.remarks, *said]:
        print(f"  {line}")


def targets_for_people() -> str:
    """Return every target with what it takes, a line each."""
    return "\n".join(f"{target.name:<10} {target.takes}" for target in TARGETS.values())


def _known(study: Path, history: Path | None) -> _Known:
    """Return the study as its history knows it; as its file says where no trial ran yet."""
    file = study_file(study)
    if study.exists() and not history_file(study, history).exists() and history is None:
        return _Known(load_spec(study), [], str(file.absolute().parent))
    located = open_study(study, history)
    with located.history:
        trials = located.history.trials(located.record.id)
    return _Known(located.record.spec, trials, located.record.project)


def _points(known: _Known, results: Sequence[Trial], asked: int | None) -> list[dict[str, Value]]:
    """Return points to try first: the best so far where their results stay here, then the sampler's next ones."""
    count = asked if asked is not None else 0 if results else FIRST_POINTS
    spec = known.spec
    in_space = [t for t in known.trials if spec.space.contains(t.params)]
    found = [] if results else best_configurations(in_space, spec.objectives, count)
    if not in_space and count and spec.space.default is not None:
        found.append(dict(spec.space.default))
    sampler = make_sampler("bayes")
    while len(found) < count:
        try:
            found.append(dict(sampler.suggest(_view(spec, in_space, found)).params))
        except SpaceExhausted:
            break
    return found


def _view(spec: StudySpec, trials: Sequence[Trial], found: Sequence[dict[str, Value]]) -> StudyView:
    """Return the study as it will stand when the points so far wait to run."""
    first = max((t.number for t in trials), default=-1) + 1
    told = [t.params for t in trials]
    waiting = [
        Trial(number=first + n, proposal=Proposal(params=p, source=Source.SAMPLER, seed=0), state=TrialState.WAITING)
        for n, p in enumerate(found)
        if p not in told
    ]
    return StudyView(
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.metric_constraints,
        trials=[*trials, *waiting],
        number=first + len(found),
        seed=spec.study.seed,
        fidelity=spec.fidelity_range,
    )
