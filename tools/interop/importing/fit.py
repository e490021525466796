"""Converts imported rows to finished trials of a study's space. Rows that do not fit are counted by reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, ProposalError, SpecError
from tunesmith.study.formatting import render_exact
from tunesmith.study.space.condition import Value
from tunesmith.study.space.rules.relations import rule_of
from tunesmith.study.space.space import RULE, SearchSpace
from tunesmith.study.trials.observed.resources import resource_values
from tunesmith.study.trials.replicates.instances import InstanceSet
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState, Usage
from tunesmith.tools.interop.importing.imported_table import ImportedRow, ImportedTable
from tunesmith.tools.interop.importing.mapping import ColumnMapping

_BLANK = ("", "nan", "none", "null", "na", "n/a")


class _RowSkipped(Exception):
    """A row does not fit; the text is the reason, which is the same for all rows of one kind."""


@dataclass(frozen=True, slots=True)
class ImportedTrials:
    """The trials of a source that fit a study.

    Attributes:
        space: the parameters that have a column, without conditions on parameters that have none.
        trials: finished, numbered from 0.
        skipped: the number of rows that were left out, by reason.
    """

    space: SearchSpace
    trials: Sequence[Trial]
    skipped: Mapping[str, int]


def fit(found: ImportedTable, mapping: ColumnMapping, spec: StudySpec) -> ImportedTrials:
    """Return the rows that fit, as trials.

    Raises:
        SpecError: no complete trial fits, or the source optimizes a metric in the other direction.
    """
    _refuse_opposite(found, mapping, spec)
    space = spec.space.part(mapping.parameters)
    trials: list[Trial] = []
    skipped: Counter[str] = Counter(found.skipped)
    runs = _Runs(mapping.instance, spec)
    for row in found.rows:
        try:
            if row.state in (TrialState.WAITING, TrialState.RUNNING):
                raise _RowSkipped("not finished")
            params = _params(row, mapping, space)
            outcome = _outcome(row, mapping, spec)
            instance, original = runs.place(row, params, len(trials))
        except _RowSkipped as reason:
            skipped[str(reason)] += 1
            continue
        proposal = Proposal(params=params, source=Source.IMPORT, seed=0, instance=instance, replicate_of=original)
        trials.append(Trial(number=len(trials), proposal=proposal, state=outcome.state, outcome=outcome))
    if not any(trial.state is TrialState.COMPLETE for trial in trials):
        reasons = [Mistake("", f"{count} rows: {reason}") for reason, count in skipped.most_common(5)]
        nothing = Mistake("", "no complete trial fits the study's space")
        raise SpecError([nothing, *reasons], where=found.source)
    return ImportedTrials(space, trials, dict(skipped.most_common()))


class _Runs:
    """Which runs of one configuration on instances belong together.

    Args:
        column: the column of instances; "" without one.
        spec: the study.
    """

    def __init__(self, column: str, spec: StudySpec) -> None:
        self._column, self._instances = column, spec.instance_set if column else None
        self._first: dict[tuple[tuple[str, Value], ...], int] = {}
        self._seen: set[tuple[int, str]] = set()

    def place(self, row: ImportedRow, params: Mapping[str, Value], number: int) -> tuple[str, int | None]:
        """Return the instance of a row, and the number of the trial that it repeats there; "" and None without one.

        Raises:
            _RowSkipped: no choice may be made on the row's instance, or its configuration ran there already.
        """
        if self._instances is None:
            return "", None
        name = _instance_name(row.cells.get(self._column), self._instances)
        first = self._first.get(tuple(sorted(params.items())), number)
        if (first, name) in self._seen:
            raise _RowSkipped("its configuration has an earlier row on the same instance")
        self._first.setdefault(tuple(sorted(params.items())), number)
        self._seen.add((first, name))
        return name, None if first == number else first


def _instance_name(cell: Any, instances: InstanceSet) -> str:
    """Return the tuning instance that a cell names.

    Raises:
        _RowSkipped: it names none.
    """
    if _is_blank(cell) and str(cell) not in (*instances.tuning, *instances.held_out):
        raise _RowSkipped("it has no instance")
    plain = int(cell) if isinstance(cell, float) and cell.is_integer() else cell
    spelled = [str(cell).strip(), render_exact(cell), render_exact(plain)]
    name = next((text for text in spelled if text in (*instances.tuning, *instances.held_out)), None)
    if name is None:
        raise _RowSkipped("its instance is not in [instances]")
    if name in instances.held_out:
        raise _RowSkipped("its instance is held out: only confirmation may see it")
    return name


def _refuse_opposite(found: ImportedTable, mapping: ColumnMapping, spec: StudySpec) -> None:
    mistakes = [
        Mistake(
            o.metric,
            f"is {o.direction}d in this study, but {column} is {found.directions[column]}d in the source",
        )
        for o in spec.objectives
        if (column := mapping.metrics.get(o.metric, "")) in found.directions and found.directions[column] != o.direction
    ]
    if mistakes:
        raise SpecError(mistakes, where=found.source)


def _params(row: ImportedRow, mapping: ColumnMapping, space: SearchSpace) -> dict[str, Value]:
    found = {name: row.cells[column] for name, column in mapping.parameters.items() if column in row.cells}
    values = {
        name: value
        for name, value in space.own_values(found).items()
        # A cell that says None is a value where the study has such a choice.
        if not _is_blank(found[name]) or space.parameters[name].invalid_reason(value) is None
    }
    try:
        return space.parse(values)
    except ProposalError as error:
        mistake = error.mistakes[0]
        if mistake.key == RULE:
            raise _RowSkipped(f"breaks a rule: {rule_of(mistake.message)}") from None
        # Without the row's own value, which precedes the "is", rows of one kind have the same reason.
        reason = "has no value" if mistake.message == "is missing" else _why(mistake.message)
        raise _RowSkipped(f"{mistake.key} {reason}") from None


def _why(message: str) -> str:
    _, is_there, rest = message.partition(" is ")
    return f"is {rest}" if is_there else message


def _is_blank(cell: Any) -> bool:
    return (
        cell is None
        or (isinstance(cell, float) and math.isnan(cell))
        or (isinstance(cell, str) and cell.strip().lower() in _BLANK)
    )


def _outcome(row: ImportedRow, mapping: ColumnMapping, spec: StudySpec) -> Outcome:
    values = {
        name: value for name, column in mapping.metrics.items() if (value := _value(row.cells.get(column))) is not None
    }
    usage = Usage(wall_s=max(row.seconds, 0.0))
    # A table with the seconds of its rows has run/seconds without a column of that name.
    values = {**resource_values(spec.resources, usage, spec.run.usd_per_hour), **values}
    measured = [values.get(o.metric) for o in spec.objectives]
    if row.state is TrialState.FAILED:
        failure = Failure(kind=FailureKind.CRASH, reason="it failed in the imported study")
        return Outcome(state=TrialState.FAILED, failure=failure, usage=usage)
    if row.state is TrialState.STOPPED:
        return Outcome(state=TrialState.STOPPED, values=values, note="stopped in the imported study", usage=usage)
    if None in measured:
        raise _RowSkipped(f"{spec.objectives[measured.index(None)].metric} has no value")
    if not all(math.isfinite(value) for value in measured if value is not None):
        failure = Failure(kind=FailureKind.NAN, reason="its value is not finite")
        return Outcome(state=TrialState.FAILED, values=values, failure=failure, usage=usage)
    return Outcome(state=TrialState.COMPLETE, values=values, usage=usage)


def _value(cell: Any) -> float | None:
    if cell is None or (isinstance(cell, str) and cell.strip() == ""):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        raise _RowSkipped("its value is not a number") from None
