"""What became of a model's candidates: which ran with what result, which wait, and which were refused, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tunesmith.prompts.trial_rows import SAME, changes_text, reference_trial
from tunesmith.study.formatting import one_line
from tunesmith.study.space.condition import Params
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.study.units import short_number

MAX_FATES = 12
"""Number of candidates whose fate is shown; the latest."""

_MAX_LINE_CHARS = 300


class Fate(StrEnum):
    """What became of a candidate that is not a trial, or why one that is ran before others."""

    WAITING = "not run yet"
    REFUSED = "refused"
    REGION = "region"
    AHEAD = "ran first"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFate:
    """A candidate that did not run, and why; or a region.

    Attributes:
        after: number of trials when it was decided, which orders fates; of a trial that ran before others its number.
        reason: why it was refused, or what becomes of a region, phrased for the model; "" while it waits.
        base: number of the trial that it was given as a change of; None when it was given whole.
        free: the parameters that are left open, with their ranges.
        is_repeat: whether it is a trial again on another seed.
    """

    params: Params
    fate: Fate
    after: int
    kind: str = ""
    expected: float | None = None
    reason: str = ""
    base: int | None = None
    free: Sequence[str] = ()
    is_repeat: bool = False


def fate_lines(view: StudyView, fates: Sequence[CandidateFate], dropped: int = 0) -> list[str]:
    """Return one line for each of the model's latest candidates: those that ran, from the trials, and the others.

    A candidate is shown as what differs from the trial that it was given as a change of, so that the model knows it
    again.

    Args:
        view: the study.
        fates: the candidates that are no trials, and why a trial ran before others.
        dropped: number of candidates that did not run and that the model did not give again.
    """
    ahead = {one.after: f"; {one.reason}" for one in fates if one.fate is Fate.AHEAD}
    ran = [t for t in view.trials if t.proposal.source is Source.LLM]
    lines = [(t.number, f"#{t.number}: {_outcome(t, view)}{ahead.get(t.number, '')}") for t in ran[-MAX_FATES:]]
    decided = [one for one in fates if one.fate in (Fate.REFUSED, Fate.REGION)][-MAX_FATES:]
    lines += [(one.after, _decided(one, view)) for one in decided]
    listed = [line for _, line in sorted(lines, key=lambda pair: pair[0])][-MAX_FATES:]
    earlier = [f"{dropped} that did not run were not given again"] if dropped else []
    waiting = [one for one in fates if one.fate is Fate.WAITING][:MAX_FATES]
    open_ = [f"{one.fate.value}: {_what(one, view)}{_expected(one.expected)}" for one in waiting]
    return [one_line(line, _MAX_LINE_CHARS) for line in [*earlier, *listed, *open_]]


def _decided(one: CandidateFate, view: StudyView) -> str:
    if one.fate is Fate.REGION:
        return f"region {_what(one, view)}: {one.reason}"
    return f"{one.fate.value}, {one.reason}: {_what(one, view)}"


def _what(one: CandidateFate, view: StudyView) -> str:
    """Return a candidate as a change of the trial that it was given for; of the best one where it was given whole."""
    if not one.params:
        return "unreadable"
    given = next((t for t in view.trials if t.number == one.base), None)
    reference = given or reference_trial(view)
    number = 0 if reference is None else reference.number
    if one.is_repeat:
        return f"#{number} again on another seed"
    left_open = [name.split()[0] for name in one.free]
    params = {n: v for n, v in one.params.items() if n not in left_open}
    changes = changes_text(params, {} if reference is None else reference.params)
    parts = [changes] if changes != SAME or not one.free else []
    parts += [f"{', '.join(one.free)} left open"] if one.free else []
    return f"#{number} with {' and '.join(parts)}"


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
