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
_MAX_DROPPED = 3
"""Number of dropped candidates that are shown; earlier ones are counted."""


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
        base: number of the trial that it was given as a change of; None when it was given whole.
    """

    params: Params
    fate: Fate
    after: int
    kind: str = ""
    expected: float | None = None
    reason: str = ""
    base: int | None = None


def fate_lines(view: StudyView, fates: Sequence[CandidateFate]) -> list[str]:
    """Return one line for each of the model's latest candidates: those that ran, from the trials, and the others.

    A candidate is shown as what differs from the trial that it was given as a change of, so that the model knows it
    again. The model dropped most of what was dropped, so only the latest of those are shown.
    """
    ran = [t for t in view.trials if t.proposal.source is Source.LLM]
    lines = [(t.number, f"#{t.number}: {_outcome(t, view)}") for t in ran[-MAX_FATES:]]
    decided = [one for one in fates if one.fate is not Fate.WAITING]
    dropped = [one for one in decided if one.fate is Fate.DROPPED]
    hidden = dropped[:-_MAX_DROPPED]
    shown = [one for one in decided if one not in hidden][-MAX_FATES:]
    lines += [(one.after, f"{one.fate.value}, {one.reason}: {_what(one, view)}") for one in shown]
    listed = [line for _, line in sorted(lines, key=lambda pair: pair[0])][-MAX_FATES:]
    earlier = [f"{len(hidden)} earlier ones were dropped"] if hidden else []
    waiting = [one for one in fates if one.fate is Fate.WAITING][:MAX_FATES]
    open_ = [f"{one.fate.value}: {_what(one, view)}{_expected(one.expected)}" for one in waiting]
    return [one_line(line, _MAX_LINE_CHARS) for line in [*earlier, *listed, *open_]]


def _what(one: CandidateFate, view: StudyView) -> str:
    """Return a candidate as a change of the trial that it was given for; of the best one where it was given whole."""
    if not one.params:
        return "unreadable"
    given = next((t for t in view.trials if t.number == one.base), None)
    reference = given or reference_trial(view)
    if reference is None:
        return f"#0 with {changes_text(one.params, {})}"
    return f"#{reference.number} with {changes_text(one.params, reference.params)}"


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
