"""Finds the studies that a study learns from: those that its file names, and those that were imported for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.config.spec import SourceTable, StudySpec
from tunesmith.study.errors import HistoryError, InputError, Mistake
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import TrialState

KEY = "warm_start.from"


@dataclass(frozen=True, slots=True)
class EarlierStudies:
    """The earlier studies of which something can be learned, and what is wrong with the others."""

    studies: tuple[EarlierStudy, ...]
    mistakes: tuple[Mistake, ...]


def find_earlier_studies(history: History | None, spec: StudySpec, project: str) -> EarlierStudies:
    """Read every study that this one learns from.

    Args:
        history: where the study itself stands; None when there is none yet.
        spec: the study.
        project: the folder of study.toml, from which other files are named.
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
    """Read the other studies of a history that have the same aim and at least half of the parameters, the latest first.

    Those that the study learns from anyway are left out.
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
            raise HistoryError(f"{name} is this study itself; name an earlier one, or take it out")
        if history is None:
            raise HistoryError(f"there is no history yet, so no study {name!r}; name a file as well: FILE:{name}")
        return _study(history, source, name)
    with _opened(project / Path(file).expanduser()) as other:
        return _study(other, source, name)


def _study(history: History, source: SourceTable, name: str) -> EarlierStudy:
    if history.find(name) is None and name.endswith(".db"):
        raise HistoryError(f'{name!r} names a file; name a study in it as well, for example "{name}:digits"')
    record = history.study(name)
    return EarlierStudy(
        name=source.study, trials=history.trials(record.id), scale={**record.spec.scale, **source.scale}
    )


@contextmanager
def _opened(file: Path) -> Iterator[History]:
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.glob("*.db")) if file.parent.is_dir() else []
        raise HistoryError(f"there is no file {file}{did_you_mean(file.name, beside)}")
    try:
        with History.open(file) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        raise HistoryError(f"{file} cannot be read: {error}; restore a copy, or take it out") from None


def _refuse_misfit(study: EarlierStudy, spec: StudySpec) -> None:
    """Say why nothing can be learned from a study, if so.

    Raises:
        HistoryError: it does not say its scale, has no complete trial with the metric, or none that is valid here.
    """
    silent = [name for name in spec.scale if name not in study.scale]
    if silent:
        example = f'{{ study = "{study.name}", scale = {{ {silent[0]} = 1 }} }}'
        raise HistoryError(f"{study.name} does not say its {silent[0]}, as [scale] does here; write {example}")
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    metric = spec.study.metric[0]
    if not complete:
        raise HistoryError(f"{study.name} has no complete trial; run it first, or take it out")
    if not any(metric in t.values for t in complete):
        metrics = ", ".join(sorted({name for t in complete for name in t.values})[:8])
        raise HistoryError(f"{study.name} has no {metric}, which this study tunes (it has {metrics}); take it out")
    theirs = dict.fromkeys(name for t in complete[:50] for name in t.params)
    if not any(name in spec.space.parameters for name in theirs):
        raise HistoryError(
            f"{study.name} has none of this study's parameters (it tunes {', '.join(theirs)}); take it out"
        )
    if not any(t.state is TrialState.COMPLETE for t in study.fitting(spec.space)):
        raise HistoryError(f"no trial of {study.name} lies within this study's ranges; widen [space], or take it out")
