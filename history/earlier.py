"""Finds the studies that a study learns from: those named in its file, and those imported for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.search import SourceTable
from tunesmith.study.errors import HistoryError, InputError, Mistake
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import TrialState

KEY = "warm_start.from"


@dataclass(frozen=True, slots=True)
class EarlierStudies:
    """The earlier studies that a study can learn from, and the mistakes of those that it cannot."""

    studies: tuple[EarlierStudy, ...]
    mistakes: tuple[Mistake, ...]


def find_earlier_studies(history: History | None, spec: StudySpec, project: str) -> EarlierStudies:
    """Read every study that this one learns from.

    Args:
        history: the history of the study itself; None if it does not exist yet.
        spec: the study.
        project: the folder of study.toml; other files are named relative to it.
    """
    studies, mistakes = [], []
    for source in spec.sources:
        try:
            study = _read(history, source, spec, Path(project))
            _refuse_misfit(study, spec)
        except InputError as error:
            mistakes.append(Mistake(KEY, str(error)))
        else:
            studies.append(study)
    named = {source.study for source in spec.sources}
    for name in history.imported_for(spec.study.name) if history else ():
        if history and name not in named:
            studies.append(_study(history, SourceTable(study=name), name))
    return EarlierStudies(tuple(studies), tuple(mistakes))


def overlapping_studies(history: History, spec: StudySpec) -> EarlierStudies:
    """Read the studies of a history with the same first objective and at least half of the parameters, latest first.

    Studies that this one learns from anyway are left out.
    """
    known = {spec.study.name, *(source.study for source in spec.sources), *history.imported_for(spec.study.name)}
    studies = []
    for name in [name for name in history.names() if name not in known]:
        other = history.study(name).spec
        shared = [p for p in spec.space.parameters if p in other.space.parameters]
        if other.objectives[:1] != spec.objectives[:1] or 2 * len(shared) < len(spec.space):
            continue
        study = _study(history, SourceTable(study=name), name)
        try:
            _refuse_misfit(study, spec)
        except HistoryError:
            continue
        studies.append(study)
    return EarlierStudies(tuple(studies), ())


def _read(history: History | None, source: SourceTable, spec: StudySpec, project: Path) -> EarlierStudy:
    file, _, name = source.study.rpartition(":")
    if not file:
        if name == spec.study.name:
            raise HistoryError(f"{name} is this study itself; name an earlier one or remove it")
        if history is None:
            raise HistoryError(
                f"no history exists yet, so there is no study {name!r}; name its file as well: FILE:{name}"
            )
        return _study(history, source, name)
    with _opened(project / Path(file).expanduser()) as other:
        return _study(other, source, name)


def _study(history: History, source: SourceTable, name: str) -> EarlierStudy:
    if history.find(name) is None and name.endswith(".db"):
        raise HistoryError(f'{name!r} names a file; name a study in it as well, for example "{name}:digits"')
    record = history.study(name)
    trials = [t for t in history.trials(record.id) if t.counts]
    return EarlierStudy(name=source.study, trials=trials, scale={**record.spec.scale, **source.scale})


@contextmanager
def _opened(file: Path) -> Iterator[History]:
    if not file.is_file():
        siblings = sorted(path.name for path in file.parent.glob("*.db")) if file.parent.is_dir() else []
        raise HistoryError(f"there is no file {file}{did_you_mean(file.name, siblings)}")
    try:
        with History.open(file) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        raise HistoryError(f"{file} cannot be read: {error}; restore a copy or remove it from [warm_start]") from None


def _refuse_misfit(study: EarlierStudy, spec: StudySpec) -> None:
    """Check that a study can be learned from.

    Raises:
        HistoryError: it does not give its scale, or has no complete trial with the metric that is valid here.
    """
    missing = [name for name in spec.scale if name not in study.scale]
    if missing:
        example = f'{{ study = "{study.name}", scale = {{ {missing[0]} = 1 }} }}'
        raise HistoryError(f"{study.name} does not give its {missing[0]}, which [scale] gives here; write {example}")
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    metric = spec.study.metric[0]
    if not complete:
        raise HistoryError(f"{study.name} has no complete trial; run it first or remove it")
    if not any(metric in t.values for t in complete):
        metrics = ", ".join(sorted({name for t in complete for name in t.values})[:8])
        raise HistoryError(f"{study.name} has no {metric}, which this study tunes (it has {metrics}); remove it")
    theirs = dict.fromkeys(name for t in complete[:50] for name in t.params)
    if not any(name in spec.space.parameters for name in theirs):
        raise HistoryError(
            f"{study.name} has none of this study's parameters (it tunes {', '.join(theirs)}); remove it"
        )
    if not any(t.state is TrialState.COMPLETE for t in study.trials_in(spec.space)):
        raise HistoryError(f"no trial of {study.name} lies within this study's ranges; widen [space] or remove it")
