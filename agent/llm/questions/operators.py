"""Chooses the kind of move to ask a model for, from what the trials call for."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.prompts.best_text import trials_since_improvement
from tunesmith.prompts.planner_prompts import operators
from tunesmith.study.space.condition import Value, same
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard
from tunesmith.tools.analysis.coverage import untried_values

STAGNATION_TRIALS = 5
"""Trials without improvement after which another kind of move is asked for."""

MANY_CHANGES = 4
"""Number of settings that a best trial changed at once from which on it is worth knowing which ones matter."""

TRIALS_TO_STAND = 2
"""Trials without a gain after which a best trial is worth taking apart; before, the next one may be better still."""

_OTHER_MOVES = ("explore", "combine", "ablate", "simplify")


MAX_CONFIRMATIONS = 2
"""Number of times that a repeat is asked for in a study: a model that gives none has its reasons."""

LAST_FRACTION = 0.2
"""Fraction of the trials at the end that use what is known: nothing is explored or taken apart any more."""

_UNTRIED_EVERY = 3
"""Every third question names something that no trial had."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What earlier questions of a study asked for.

    Attributes:
        questions: their number.
        confirmations: how many asked for a repeat.
        pairs: the numbers of the trials that were named to be combined.
    """

    questions: int = 0
    confirmations: int = 0
    pairs: frozenset[tuple[int, int]] = frozenset()


def next_task(view: StudyView, asked: AskedFor) -> tuple[str, AskedFor]:
    """Return what the next question asks for, and what was asked for with it."""
    operator = choose_operator(view, asked)
    pair = _to_combine(view, asked.pairs) if operator == "combine" else None
    parts = [instruction(operator, view, pair)]
    turn = asked.questions // _UNTRIED_EVERY
    is_due = asked.questions % _UNTRIED_EVERY == _UNTRIED_EVERY - 1
    # Choices only: the empty part of a range is mostly an end that speaks for itself.
    values = untried_values(view.space, view.finished)
    if is_due and values and operator not in ("ablate", "confirm") and not is_ending(view):
        parts.append(f"Let one of them try a value that never ran, where it may help ({values[turn % len(values)]}).")
    return " ".join(parts), AskedFor(
        asked.questions + 1,
        asked.confirmations + (operator == "confirm"),
        asked.pairs | ({(pair[0].number, pair[1].number)} if pair else set()),
    )


def choose_operator(view: StudyView, asked: AskedFor | None = None) -> str:
    """Return the kind of move to ask for.

    The last fifth of a budget combines or refines. Before, stagnation asks for another kind every STAGNATION_TRIALS,
    first for the noise if it is unknown. Otherwise: explore until the default is beaten, ablate a best trial that was
    not improved at once, has many settings changed and was not taken apart yet, combine two good trials that changed
    different settings, else refine.
    """
    asked = asked or AskedFor()
    usual = "combine" if _to_combine(view, asked.pairs) else "refine"
    if is_ending(view):
        return usual
    stagnant = trials_since_improvement(view)
    if STAGNATION_TRIALS <= stagnant < 2 * STAGNATION_TRIALS and _may_confirm(view, asked):
        return "confirm"
    if stagnant >= STAGNATION_TRIALS:
        other = _OTHER_MOVES[(stagnant // STAGNATION_TRIALS - 1) % len(_OTHER_MOVES)]
        is_possible = {"combine": usual == "combine", "ablate": _is_above_default(view)}
        return other if is_possible.get(other, True) else "explore"
    if len(view.finished) <= STAGNATION_TRIALS and not _is_above_default(view):
        return "explore"
    return "ablate" if stagnant >= TRIALS_TO_STAND and _to_ablate(view) else usual


def instruction(operator: str, view: StudyView, pair: tuple[Trial, Trial] | None = None) -> str:
    """Return what a prompt asks for, with the trials that it is about."""
    text = operators()[operator]
    if operator == "combine" and pair is not None:
        return f"{text} For example #{pair[0].number} and #{pair[1].number}."
    if operator == "ablate" and (best := _to_ablate(view)):
        return f"{text} The best trial, #{best.number}, changed several settings at once."
    return text


def is_ending(view: StudyView) -> bool:
    """Return whether only the last fifth of the trials is left; False where their number is not limited."""
    ran = sum(not t.is_replicate for t in view.trials)
    return view.runs_left < LAST_FRACTION * (view.runs_left + ran) if math.isfinite(view.runs_left) else False


def _may_confirm(view: StudyView, asked: AskedFor) -> bool:
    """Return whether to ask for a repeat: the noise is unknown, and on instances the race repeats."""
    is_known = any(t.is_replicate or t.proposal.instance for t in view.trials)
    return not is_known and asked.confirmations < MAX_CONFIRMATIONS


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


def _to_combine(view: StudyView, named: Collection[tuple[int, int]] = ()) -> tuple[Trial, Trial] | None:
    """Return the best two trials that are better than the default and each changed what the other did not.

    Pairs that were named before, or of which a later trial has settings of both, are left out.
    """
    ranked, default = leaderboard(view.trials, view), default_trial(view.trials, view.space)
    if default is None:
        return None
    better = _before(ranked, default)
    for second in better[1:STAGNATION_TRIALS]:
        first, theirs = better[0], _changes(second.params, default.params)
        mine = _changes(first.params, default.params)
        is_named = (first.number, second.number) in named
        only_mine, only_theirs = (
            {n: v for n, v in a.items() if n not in b} for a, b in ((mine, theirs), (theirs, mine))
        )
        later = [t for t in view.trials if t.number > max(first.number, second.number)]
        is_joined = any(_has_any(t, only_mine) and _has_any(t, only_theirs) for t in later)
        if only_mine and only_theirs and not is_named and not is_joined:
            return first, second
    return None


def _has_any(trial: Trial, values: Mapping[str, Value]) -> bool:
    return any(n in trial.params and same(trial.params[n], v) for n, v in values.items())


def _before(ranked: Sequence[Trial], default: Trial) -> list[Trial]:
    numbers = [t.number for t in ranked]
    return list(ranked[: numbers.index(default.number)] if default.number in numbers else ranked)


def _changes(params: Mapping[str, Value], base: Mapping[str, Value]) -> dict[str, Value]:
    return {n: v for n, v in params.items() if n in base and not same(v, base[n])}
