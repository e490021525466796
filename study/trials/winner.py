"""Decides which configuration a study would choose now. Every command, tool and file that names a best asks here.

Where a configuration was compared with the default on confirmation seeds, that is the one. Otherwise it is the best by
expected value: means over seeds or instances, shrunk towards their neighbours where the noise of a run is known. Only
trials of the present space take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import count
from tunesmith.study.trials.replicates.seed_noise import (
    LEADING,
    Measured,
    expected_losses,
    leading_and_others,
    mean_of,
    scatter,
    seed_noise,
)
from tunesmith.study.trials.replicates.seeds import is_confirming
from tunesmith.study.trials.results import StudyQuestion, candidates, default_trial, present_trials
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.units import short_number

MODELLED = 40
"""Number of leading configurations that the model takes in; none further back could become the best."""
FITTED_UP_TO = 300
"""Number of trials up to which noise is estimated from the fit, and the model takes in a part of the bad trials."""
_MIN_CONFIRMED = 2
"""Confirmation seeds from which a configuration counts as confirmed: one value has no spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The configuration that the study would choose now. Values are of the first objective, in its own direction.

    Attributes:
        trial: its first trial.
        value: the value of that trial, on one seed.
        expected: the mean on confirmation seeds; without those the expected value over seeds.
        noise: standard deviation between seeds, or between instances without their effects; None while not known.
        seeds: the number of seeds or instances that `expected` rests on.
        is_confirmed: whether these are for confirmation, so that nothing was chosen on them.
        on_instances: whether the study has instances.
        scatter: standard deviation of values that the parameters do not explain, where no configuration ran twice;
            None where it is not known or none was seen.
    """

    trial: Trial
    value: float
    expected: float
    noise: float | None
    seeds: int
    is_confirmed: bool
    on_instances: bool = False
    scatter: float | None = None


def winner(trials: Sequence[Trial], asked: StudyQuestion) -> Winner | None:
    """Return the study's choice; None while no trial of the present space is complete and feasible."""
    standings = _standings(trials, asked)
    return standings.winner if standings is not None else None


def incumbent(trials: Sequence[Trial], asked: StudyQuestion) -> Trial | None:
    """Return the winner's first trial; None without a winner."""
    found = winner(trials, asked)
    return found.trial if found is not None else None


def leaderboard(trials: Sequence[Trial], asked: StudyQuestion) -> list[Trial]:
    """Return the complete, feasible trials of the present space: the winner, then the others by expected value."""
    standings = _standings(trials, asked)
    if standings is None:
        return []
    first = standings.winner.trial
    return [first, *(t for t in standings.order if t.number != first.number)]


def winner_text(found: Winner) -> str:
    """Return the winner's value with its certainty: "0.31 in trial 7, 0.32 ± 0.004 on 3 fresh seeds"."""
    certainty = certainty_text(found)
    return f"{short_number(found.value)} in trial {found.trial.number}{f', {certainty}' if certainty else ''}"


def certainty_text(found: Winner) -> str:
    """Return what is known of the winner's value over seeds; "" while only one seed is known.

    ± is the standard deviation between single seeds, not the margin of a mean.
    """
    if found.scatter is not None:
        expected, scatter = short_number(found.expected), short_number(found.scatter, 2)
        return f"{expected} expected, since values scatter by about {scatter}"
    if found.noise is None and found.seeds == 1:
        return ""
    spread = f" ± {short_number(found.noise, 2)}" if found.noise is not None else ""
    expected = f"{short_number(found.expected)}{spread}"
    if found.is_confirmed:
        return f"{expected} on {found.seeds} fresh {'runs' if found.on_instances else 'seeds'}"
    if found.on_instances:
        return f"{expected} over {count(found.seeds, 'instance')}"
    return f"{expected} expected over seeds"


@dataclass(frozen=True, slots=True)
class _Standings:
    order: tuple[Trial, ...]
    winner: Winner


def _standings(trials: Sequence[Trial], asked: StudyQuestion) -> _Standings | None:
    present = present_trials(trials, asked.space)
    able = candidates(present, asked.objectives, asked.metric_constraints)
    if not able:
        return None
    objective = asked.objectives[0]
    repeats = _replicate_values(present, objective)
    runs = next((t.runs for t in able if t.runs is not None), None)
    noise = seed_noise(_all_repeated(present, repeats, asked)) if runs is None else runs.noise
    losses = {t.number: _losses(t, repeats, objective) for t in able}
    means = {number: mean_of(found) for number, found in losses.items()}
    is_small = runs is None and len(asked.objectives) == 1 and max(t.number for t in trials) < FITTED_UP_TO
    in_order = [_measured(t, repeats, asked) for t in sorted(able, key=lambda t: t.number)] if is_small else []
    unexplained = scatter(in_order) if noise is None else None
    modelled = _modelled(able, means, is_small=is_small)
    measured = [_measured(t, repeats, asked) for t in modelled]
    # On instances a race has seen to it that the leading ones have several runs.
    spread = 0.0 if runs is not None else unexplained or noise
    expected = _expected(means, measured, [t.number for t in modelled], spread)
    unproven = _unproven(able)
    # Where expected values are equal, what was measured decides, so that no trial beyond the model's can come first.
    order = sorted(able, key=lambda t: (t.number in unproven, expected[t.number], means[t.number], t.number))
    chosen = _confirmed(order, present, repeats, asked)
    first = chosen or order[0]
    confirming = repeats.confirming.get(first.number, ()) if chosen else ()
    return _Standings(
        order=tuple(order),
        winner=Winner(
            trial=first,
            value=first.values[objective.metric],
            expected=mean_of(confirming) if confirming else objective.sign * expected[first.number],
            noise=noise,
            seeds=len(confirming) or len(losses[first.number]),
            is_confirmed=bool(confirming),
            on_instances=runs is not None,
            scatter=unexplained,
        ),
    )


def _unproven(able: Sequence[Trial]) -> set[int]:
    """Return what ran on less than half as many instances as another: on few of them, bad ones may look good."""
    counts = {t.number: len(t.runs.values) for t in able if t.runs is not None}
    most = max(counts.values(), default=0)
    return {number for number, count in counts.items() if 2 * count < most}


def _modelled(able: Sequence[Trial], means: Mapping[int, float], *, is_small: bool) -> list[Trial]:
    """Return the configurations that the model takes in, the best first; a long history is read by those only."""
    ranked = sorted(able, key=lambda t: (means[t.number], t.number))
    return leading_and_others(ranked) if is_small and len(ranked) > MODELLED else ranked[:MODELLED]


@dataclass(frozen=True, slots=True)
class _ReplicateValues:
    """Values of replicates by the number of what they repeat, and when each was first confirmed."""

    every: Mapping[int, Sequence[float]]
    confirming: Mapping[int, Sequence[float]]
    first_confirmation: Mapping[int, int]


def _replicate_values(present: Sequence[Trial], objective: Objective) -> _ReplicateValues:
    every: dict[int, list[float]] = {}
    confirming: dict[int, list[float]] = {}
    first: dict[int, int] = {}
    for trial in present:
        original, seed = trial.proposal.replicate_of, trial.proposal.seed
        if original is None:
            continue
        if is_confirming(seed):
            first.setdefault(original, trial.number)
        values = objective_values(trial, (objective,))
        if values is not None and abs(values[0]) < float("inf"):
            every.setdefault(original, []).append(values[0])
            if is_confirming(seed):
                confirming.setdefault(original, []).append(values[0])
    return _ReplicateValues(every, confirming, first)


def _measured(trial: Trial, repeats: _ReplicateValues, asked: StudyQuestion) -> Measured:
    known = {name: value for name, value in trial.params.items() if name in asked.space.parameters}
    return Measured(asked.space.to_unit(known), trial.proposal.code, _losses(trial, repeats, asked.objectives[0]))


def _losses(trial: Trial, repeats: _ReplicateValues, objective: Objective) -> tuple[float, ...]:
    own = [trial.values[objective.metric], *repeats.every.get(trial.number, ())]
    values = own if trial.runs is None else trial.runs.adjusted
    return tuple(objective.sign * value for value in values)


def _all_repeated(present: Sequence[Trial], repeats: _ReplicateValues, asked: StudyQuestion) -> list[Measured]:
    """Return what ran on several seeds, also what cannot be chosen: an infeasible default shows the noise as well."""
    metric = asked.objectives[0].metric
    return [
        _measured(t, repeats, asked)
        for t in present
        if t.number in repeats.every and abs(t.values.get(metric, float("nan"))) < float("inf")
    ]


def _expected(
    means: Mapping[int, float], leading: Sequence[Measured], numbers: Sequence[int], noise: float | None
) -> dict[int, float]:
    """Return the expected loss by trial number; beyond the leading ones, which have these numbers, it is the mean."""
    modelled = dict(zip(numbers, expected_losses(leading, noise), strict=True))
    worst = max(modelled[number] for number in numbers[:LEADING])
    return {n: modelled[n] if n in modelled else max(means[n], worst) for n in means}


def _confirmed(
    order: Sequence[Trial], present: Sequence[Trial], repeats: _ReplicateValues, asked: StudyQuestion
) -> Trial | None:
    """Return the configuration that was compared with the default; None if none was or a newer one leads.

    Only the default may have replicates: the replicates of the other can fail, or time can run out.
    """
    sign, leader = asked.objectives[0].sign, order[0]
    rerun = [t for t in order if len(repeats.confirming.get(t.number, ())) >= _MIN_CONFIRMED]
    if not rerun:
        return None
    default = default_trial(present, asked.space)
    chosen = [t for t in rerun if default is None or t.number != default.number]
    if not chosen:
        return None
    if leader not in rerun:
        is_newer = leader.number >= min(repeats.first_confirmation.values())
        # A person may have any trial repeated; it is the study's choice only when the default was repeated as well.
        if is_newer or default is None or default.number not in repeats.first_confirmation:
            return None
    return min(chosen, key=lambda t: (sign * mean_of(repeats.confirming[t.number]), t.number))
