"""What became of a model's candidates: which ran with what result, which wait, and which were refused, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tunesmith.prompts.trial_rows import changes_text, reference_trial
from tunesmith.study.formatting import one_line
from tunesmith.study.space.condition import Params
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.study.units import short_number

MAX_FATES = 12
"""Number of candidates whose fate is shown; the latest."""

_MAX_LINE_CHARS = 300


class Fate(StrEnum):
    """What became of a candidate that is not a trial."""

    WAITING = "not run yet"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFate:
    """A candidate that did not run, and why.

    Attributes:
        after: number of trials when it was decided, which orders fates.
        reason: why it was refused or dropped, phrased for the model; "" while it waits.
    """

    params: Params
    fate: Fate
    after: int
    kind: str = ""
    expected: float | None = None
    reason: str = ""


def fate_lines(view: StudyView, fates: Sequence[CandidateFate]) -> list[str]:
    """Return one line for each of the model's latest candidates: those that ran, from the trials, and the others."""
    reference = reference_trial(view)
    base = reference.params if reference is not None else {}
    number = reference.number if reference is not None else 0
    ran = [t for t in view.trials if t.proposal.source is Source.LLM]
    lines = [(t.number, f"#{t.number}: {_outcome(t, view)}") for t in ran[-MAX_FATES:]]
    for one in [f for f in fates if f.fate is not Fate.WAITING][-MAX_FATES:]:
        what = changes_text(one.params, base) if one.params else "unreadable"
        lines.append((one.after, f"{one.fate.value}, {one.reason}: #{number} with {what}"))
    decided = [line for _, line in sorted(lines, key=lambda pair: pair[0])][-MAX_FATES:]
    waiting = [
        f"{one.fate.value}: #{number} with {changes_text(one.params, base)}{_expected(one.expected)}"
        for one in fates
        if one.fate is Fate.WAITING
    ]
    return [one_line(line, _MAX_LINE_CHARS) for line in [*decided, *waiting[:MAX_FATES]]]


def _outcome(trial: Trial, view: StudyView) -> str:
    expected = trial.proposal.prediction
    parts = [f"you expected {short_number(expected.mean)}"] if expected is not None else []
    values = objective_values(trial, view.objectives[:1])
    if values is not None:
        parts.append(f"measured {short_number(values[0])}")
    elif trial.failure is not None:
        parts.append(f"failed ({trial.failure.kind.value})")
    else:
        parts.append(trial.state.value)
    return ", ".join(parts)


def _expected(value: float | None) -> str:
    return "" if value is None else f", you expected {short_number(value)}"
