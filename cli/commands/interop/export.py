"""`tunesmith export`: writes a study for another optimizer: its results, points to try first, or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import history_file, open_study, study_file
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, ProjectError, SpaceExhausted, SpecError
from tunesmith.study.formatting import count
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.interop.export.registry import TARGETS, find_target
from tunesmith.tools.interop.study_export import best_configurations, build_export, counted

POINTS_WITHOUT_RESULTS = 10
"""Number of exported points if no results are exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of `export`.

    Attributes:
        to: the name of the target.
        out: a file or a URL; None for the default name.
        points: the number of points to try first; None for the default number.
        results: whether to export results.
    """

    to: str
    out: str | None
    points: int | None
    results: bool


@dataclass(frozen=True, slots=True)
class _KnownStudy:
    """A study with its trials; without trials if it has not run."""

    spec: StudySpec
    trials: Sequence[Trial]
    folder: str


def export_study(study: Path, options: ExportOptions, *, history: Path | None, as_json: bool) -> None:
    """Write the export, and print what it holds and what was left out.

    Raises:
        InputError: the study or the target does not exist, the target does not support the study, or the file cannot
            be written.
    """
    if options.points is not None and options.points < 0:
        raise SpecError([Mistake("--points", f"is {options.points}; expected 0 or more")], where="the command line")
    target = find_target(options.to)
    known = _known(study, history)
    results = known.trials if options.results else []
    points = _points(known, results, options.points)
    exported = build_export(known.spec, results, points, folder=known.folder)
    if not exported.trials and not exported.points:
        raise SpecError([Mistake("", "has neither results nor points to export")], where=known.spec.study.name)
    out = options.out or f"{known.spec.study.name}{target.suffix}"
    try:
        remarks = target.export(exported, out)
    except OSError as error:
        raise ProjectError(
            f"{out} cannot be written: {error.strerror or error}; name another place with --out"
        ) from None
    if as_json:
        document = {"to": target.name, "out": out, "results": len(exported.trials), "points": len(exported.points)}
        show(json.dumps({**document, "remarks": [*exported.remarks, *remarks]}, indent=2))
        return
    first = f", {count(len(points), 'point')} to try first" if points else ""
    show(f"{out}: {target.takes}; {counted(exported.trials)}{first}")
    for line in [*exported.remarks, *remarks]:
        show(f"  {line}")


def target_list() -> str:
    """Return every target and what it takes, one per line."""
    return "\n".join(f"{target.name:<10} {target.takes}" for target in TARGETS.values())


def _known(study: Path, history: Path | None) -> _KnownStudy:
    """Return the study of the history; that of the study file before the first run."""
    file = study_file(study)
    if study.exists() and not history_file(study, history).exists() and history is None:
        return _KnownStudy(load_spec(study), [], str(file.absolute().parent))
    located = open_study(study, history)
    with located.history:
        trials = located.history.trials(located.record.id)
    return _KnownStudy(located.record.spec, trials, located.record.project)


def _points(known: _KnownStudy, results: Sequence[Trial], points: int | None) -> list[dict[str, Value]]:
    """Return points to try first: the best so far unless results are exported, then the sampler's next proposals."""
    size = points if points is not None else 0 if results else POINTS_WITHOUT_RESULTS
    spec = known.spec
    in_space = [t for t in known.trials if spec.space.contains(t.params)]
    found = [] if results else best_configurations(known.trials, spec, size)
    if not in_space and size and spec.space.default is not None:
        found.append(dict(spec.space.default))
    sampler = make_sampler("bayes")
    while len(found) < size:
        try:
            found.append(dict(sampler.suggest(_view(spec, in_space, found)).params))
        except SpaceExhausted:
            break
    return found


def _view(spec: StudySpec, trials: Sequence[Trial], found: Sequence[dict[str, Value]]) -> StudyView:
    """Return the study with the points found so far as waiting trials."""
    first = max((t.number for t in trials), default=-1) + 1
    known = [t.params for t in trials]
    waiting = [
        Trial(number=first + n, proposal=Proposal(params=p, source=Source.SAMPLER, seed=0), state=TrialState.WAITING)
        for n, p in enumerate(found)
        if p not in known
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
