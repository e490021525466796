"""Turns foreign rows into finished trials of a study's space; what does not fit is counted by reason, never bent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, ProposalError, SpecError
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState, Usage
from tunesmith.tools.interop.importing.imported_table import Found, FoundRow
from tunesmith.tools.interop.importing.mapping import Mapped

_TRUE, _FALSE = ("true", "yes", "on", "1", "1.0"), ("false", "no", "off", "0", "0.0")


class _Skipped(Exception):
    """This row cannot be used; the text is the reason, the same for all rows alike."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fits.

    Attributes:
        space: the part of the study's space that has columns; a condition on what has none is gone.
        trials: finished, numbered from 0.
        skipped: how many rows were left out, by reason.
    """

    space: SearchSpace
    trials: Sequence[Trial]
    skipped: Mapping[str, int]


def fit(found: Found, mapped: Mapped, spec: StudySpec) -> Fitted:
    """Return the rows that fit as trials.

    Raises:
        SpecError: none fits, or the source wants the opposite of a metric.
    """
    _refuse_opposite(found, mapped, spec)
    space = _part(spec.space, mapped)
    readers = {name: _reader(name, space.parameters[name]) for name in mapped.parameters}
    trials: list[Trial] = []
    skipped: Counter[str] = Counter()
    for row in found.rows:
        try:
            if row.state in (TrialState.WAITING, TrialState.RUNNING):
                raise _Skipped("not finished")
            params = _params(row, mapped, space, readers)
            outcome = _outcome(row, mapped, spec)
        except _Skipped as reason:
            skipped[str(reason)] += 1
            continue
        proposal = Proposal(params=params, source=Source.IMPORT, seed=0)
        trials.append(Trial(number=len(trials), proposal=proposal, state=outcome.state, outcome=outcome))
    if not any(trial.state is TrialState.COMPLETE for trial in trials):
        reasons = [Mistake("", f"{count} rows: {reason}") for reason, count in skipped.most_common(5)]
        nothing = Mistake("", "there is no complete trial in it that fits the study's space")
        raise SpecError([nothing, *reasons], where=found.source)
    return Fitted(space, trials, dict(skipped.most_common()))


def _refuse_opposite(found: Found, mapped: Mapped, spec: StudySpec) -> None:
    mistakes = [
        Mistake(o.metric, f"is to {o.direction} here, but {column} is to {found.directions[column]} there")
        for o in spec.objectives
        if (column := mapped.metrics[o.metric]) in found.directions and found.directions[column] != o.direction
    ]
    if mistakes:
        raise SpecError(mistakes, where=found.source)


def _part(space: SearchSpace, mapped: Mapped) -> SearchSpace:
    kept: dict[str, Parameter] = {}
    for name, parameter in space.parameters.items():
        if name not in mapped.parameters:
            continue
        guards = conditions.comparisons(space.conditions[name]) if name in space.conditions else ()
        unknown = any(guard.name not in mapped.parameters for guard in guards)
        kept[name] = replace(parameter, when=None) if unknown else parameter
    return SearchSpace(kept)


def _params(
    row: FoundRow, mapped: Mapped, space: SearchSpace, readers: Mapping[str, Callable[[Any], Value]]
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, column in mapped.parameters.items():
        cell = row.cells.get(column)
        if not _is_blank(cell) or (cell is None and column in row.cells and _allows_none(space.parameters[name])):
            values[name] = readers[name](cell)
    try:
        return space.parse(values)
    except ProposalError as error:
        mistake = error.mistakes[0]
        # The same reason for all rows alike: their own value stands before the "is".
        reason = "has no value" if mistake.message == "is missing" else _why(mistake.message)
        raise _Skipped(f"{mistake.key} {reason}") from None


def _why(message: str) -> str:
    _, is_there, rest = message.partition(" is ")
    return f"is {rest}" if is_there else message


def _is_blank(cell: Any) -> bool:
    return (
        cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)) or cell in ("nan", "NaN", "None")
    )


def _allows_none(parameter: Parameter) -> bool:
    return isinstance(parameter, Choice) and None in parameter.choices


def _reader(name: str, parameter: Parameter) -> Callable[[Any], Value]:
    """Return what makes a parameter's value of a cell."""
    match parameter:
        case Choice():
            return lambda cell: _choice(parameter, cell)
        case Bool():
            return lambda cell: _truth(name, cell)
        case Float() | Int():
            return lambda cell: _number(name, parameter, cell)


def _number(name: str, parameter: Float | Int, cell: Any) -> Value:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise _Skipped(f"{name} is no number") from None
    if not math.isfinite(value):
        raise _Skipped(f"{name} is no finite number")
    clipped = parameter.clip(value)
    # A value that went through somebody's logarithm misses an end of the range, or the grid, by its last digits.
    return clipped if math.isclose(value, clipped, rel_tol=1e-9, abs_tol=1e-12) else value


def _truth(name: str, cell: Any) -> bool:
    word = str(cell).strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise _Skipped(f"{name} is neither true nor false")
    return word in _TRUE


def _choice(parameter: Choice, cell: Any) -> Value:
    if parameter.invalid_reason(cell) is None:
        return cell  # type: ignore[no-any-return]  # one of the choices
    text = str(cell).strip()
    for choice in parameter.choices:
        if str(choice).lower() == text.lower() or (_is_number(choice) and _equals(choice, text)):
            return choice
    return text


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(number: Any, text: str) -> bool:
    try:
        return float(text) == float(number)
    except ValueError:
        return False


def _outcome(row: FoundRow, mapped: Mapped, spec: StudySpec) -> Outcome:
    values = {
        name: value for name, column in mapped.metrics.items() if (value := _value(row.cells.get(column))) is not None
    }
    told = [values.get(o.metric) for o in spec.objectives]
    usage = Usage(wall_s=max(row.seconds, 0.0))
    if row.state is TrialState.FAILED:
        failure = Failure(kind=FailureKind.CRASH, reason="it failed where it was imported from")
        return Outcome(state=TrialState.FAILED, failure=failure, usage=usage)
    if row.state is TrialState.STOPPED:
        return Outcome(state=TrialState.STOPPED, values=values, note="stopped where it was imported from", usage=usage)
    if None in told:
        raise _Skipped(f"{spec.objectives[told.index(None)].metric} has no value")
    if not all(math.isfinite(value) for value in told if value is not None):
        failure = Failure(kind=FailureKind.NAN, reason="its value is no finite number")
        return Outcome(state=TrialState.FAILED, values=values, failure=failure, usage=usage)
    return Outcome(state=TrialState.COMPLETE, values=values, usage=usage)


def _value(cell: Any) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise _Skipped("its value is no number") from None
