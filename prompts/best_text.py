"""Says which trial a study would choose now, why, and how long nothing better came: one account for a whole prompt."""

from __future__ import annotations

from tunesmith.prompts.trial_rows import source_text
from tunesmith.study.formatting import render_params
from tunesmith.study.trials.results import candidates, present_trials
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Direction, StudyView
from tunesmith.study.trials.winner import Winner, certainty_text, winner
from tunesmith.study.units import short_number

_DIGITS = 5
"""Significant digits of the best trial's values: a model names it by its number."""


def best_facts(view: StudyView) -> dict[str, str] | None:
    """Return the chosen trial with its values and why it was chosen; None without a complete trial."""
    found = winner(view.trials, view)
    facts = trial_facts(found.trial if found else None, view)
    return facts and {**facts, "why": _why(found, view) if found else ""}


def trial_facts(trial: Trial | None, view: StudyView) -> dict[str, str] | None:
    """Return a trial's number, value, parameters and source; None where it has no value."""
    metric = view.objectives[0].metric
    if trial is None or metric not in trial.values:
        return None
    values = {**trial.params, **view.space.derived_values(trial.params)}
    return {
        "number": str(trial.number),
        "value": f"{metric} {short_number(trial.values[metric])}",
        "params": render_params(values, digits=_DIGITS),
        "source": source_text(trial),
    }


def trials_since_improvement(view: StudyView) -> int:
    """Return the number of finished trials since the one that the study would choose now; all without one."""
    finished = [t for t in view.trials if t.state.is_finished and not t.is_replicate]
    found = winner(view.trials, view)
    return sum(t.number > found.trial.number for t in finished) if found is not None else len(finished)


def _why(found: Winner, view: StudyView) -> str:
    """Return what is known of the chosen trial over seeds, and which single value is better; "" where it is plain.

    How much values vary is left to the line on noise.
    """
    least = Direction.MINIMIZE is view.objectives[0].direction
    word = "lowest" if least else "highest"
    is_expectation = not (found.is_hidden or found.is_confirmed or found.on_instances)
    known = certainty_text(found)
    if is_expectation and (found.scatter is not None or known):
        known = f"{short_number(found.expected)} expected over seeds, the {word} of all"
    able = candidates(present_trials(view.trials, view.space), view.objectives, view.constraints)
    if not able or able[0].number == found.trial.number:
        return known
    top = short_number(able[0].values[view.objectives[0].metric])
    single = "value" if found.on_instances else "single value"
    return f"{f'{known}; ' if known else ''}the {word} {single} is that of #{able[0].number}, {top}"
