"""Chooses the kind of move to ask a model for, from what the trials call for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.prompts.planner_prompts import operators, trials_since_improvement
from tunesmith.study.space.condition import Value, same
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard

STAGNATION_TRIALS = 5
"""Trials without improvement after which another kind of move is asked for."""

MANY_CHANGES = 4
"""Number of settings that a best trial changed at once from which on it is worth knowing which ones matter."""

TRIALS_TO_STAND = 2
"""Trials without a gain after which a best trial is worth taking apart; before, the next one may be better still."""

_OTHER_MOVES = ("explore", "combine", "ablate", "simplify")


def choose_operator(view: StudyView) -> str:
    """Return the kind of move to ask for.

    Stagnation asks for another kind every STAGNATION_TRIALS, first for the noise if it is unknown. Otherwise: explore
    until the default is beaten, ablate a best trial that was not improved at once, has many settings changed and was
    not taken apart yet, combine two good trials that changed different settings, else refine.
    """
    stagnant = trials_since_improvement(view)
    if STAGNATION_TRIALS <= stagnant < 2 * STAGNATION_TRIALS and not any(t.is_replicate for t in view.trials):
        return "confirm"
    if stagnant >= STAGNATION_TRIALS:
        return _OTHER_MOVES[(stagnant // STAGNATION_TRIALS - 1) % len(_OTHER_MOVES)]
    if len(view.finished) <= STAGNATION_TRIALS and not _is_above_default(view):
        return "explore"
    if stagnant >= TRIALS_TO_STAND and _to_ablate(view):
        return "ablate"
    return "combine" if _to_combine(view) else "refine"


def instruction(operator: str, view: StudyView) -> str:
    """Return what a prompt asks for, with the trials that it is about."""
    text = operators()[operator]
    if operator == "combine" and (pair := _to_combine(view)):
        return f"{text} For example #{pair[0].number} and #{pair[1].number}."
    if operator == "ablate" and (best := _to_ablate(view)):
        return f"{text} The best trial, #{best.number}, changed several settings at once."
    return text


def _is_above_default(view: StudyView) -> bool:
    """Return whether a trial is better than the default, which is what refining starts from."""
    ranked, default = leaderboard(view.trials, view), default_trial(view.trials, view.space)
    return bool(ranked) and default is not None and ranked[0].number != default.number


def _to_ablate(view: StudyView) -> Trial | None:
    """Return the best trial if it changed many settings of the default at once and none was set back since."""
    ranked, default = leaderboard(view.trials, view), default_trial(view.trials, view.space)
    if not ranked or default is None or ranked[0] is default:
        return None
    best = ranked[0]
    if len(_changes(best.params, default.params)) < MANY_CHANGES:
        return None
    taken_apart = any(0 < len(_changes(t.params, best.params)) <= 2 for t in view.trials)  # noqa: PLR2004
    return None if taken_apart else best


def _to_combine(view: StudyView) -> tuple[Trial, Trial] | None:
    """Return the two best trials of which each is better than the default and changed what the other did not."""
    ranked, default = leaderboard(view.trials, view), default_trial(view.trials, view.space)
    if default is None:
        return None
    better = _before(ranked, default)
    for second in better[1:STAGNATION_TRIALS]:
        first, theirs = better[0], _changes(second.params, default.params)
        mine = _changes(first.params, default.params)
        joined = {**default.params, **theirs, **mine}
        is_new = all(dict(t.params) != {n: v for n, v in joined.items() if n in t.params} for t in view.trials)
        if not set(theirs) <= set(mine) and not set(mine) <= set(theirs) and is_new:
            return first, second
    return None


def _before(ranked: Sequence[Trial], default: Trial) -> list[Trial]:
    numbers = [t.number for t in ranked]
    return list(ranked[: numbers.index(default.number)] if default.number in numbers else ranked)


def _changes(params: Mapping[str, Value], base: Mapping[str, Value]) -> dict[str, Value]:
    return {n: v for n, v in params.items() if n in base and not same(v, base[n])}
