"""Decides which configuration a study would choose now. Every command, tool and file that names a best asks here.

Where hidden data chose one, that is the one. Once confirmation has started, it is the best of the configurations that
ran again on fresh seeds since then, until trials that are newer than the confirmation lead. Otherwise it is the best by
expected value: means over seeds or instances, shrunk towards their neighbours where the noise of a run is known. Only
trials of the present space take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev

from tunesmith.study.formatting import count
from tunesmith.study.trials.observed.judged import judge_noise
from tunesmith.study.trials.replicates.instance_choice import in_honest_order
from tunesmith.study.trials.replicates.mean_interval import margin_text, mean_margin
from tunesmith.study.trials.replicates.seed_noise import (
    LEADING,
    Measured,
    expected_losses,
    leading_and_others,
    mean_of,
    scatter,
    seed_noise,
)
from tunesmith.study.trials.replicates.seeds import is_confirming, is_fresh
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
        margin: half the width of the 95% interval of `expected` where that is a mean on fresh seeds; else None.
        noise: standard deviation between seeds; on instances of one run about its configuration and instance. None
            while not known.
        seeds: the number of seeds or instances that `expected` rests on.
        is_confirmed: whether these are fresh seeds that it ran on in a confirmation or later.
        on_instances: whether the study has instances.
        scatter: standard deviation of values that the parameters do not explain, where no configuration ran twice,
            at least that of a judge of texts; None where it is not known or none was seen.
        is_hidden: whether it was chosen by hidden data ([confirm].command); `expected` is then its mean there.
    """

    trial: Trial
    value: float
    expected: float
    margin: float | None = None
    noise: float | None
    seeds: int
    is_confirmed: bool
    on_instances: bool = False
    scatter: float | None = None
    is_hidden: bool = False


def winner(trials: Sequence[Trial], asked: StudyQuestion) -> Winner | None:
    """Return the study's choice; None while no trial of the present space is complete and feasible."""
    standings = _chosen_standings(trials, asked)
    return standings.winner if standings is not None else None


def incumbent(trials: Sequence[Trial], asked: StudyQuestion) -> Trial | None:
    """Return the winner's first trial; None without a winner."""
    found = winner(trials, asked)
    return found.trial if found is not None else None


def leaderboard(trials: Sequence[Trial], asked: StudyQuestion) -> list[Trial]:
    """Return the complete, feasible trials of the present space: the winner, then the others by expected value."""
    standings = _chosen_standings(trials, asked)
    if standings is None:
        return []
    first = standings.winner.trial
    return [first, *(t for t in standings.order if t.number != first.number)]


def winner_text(found: Winner) -> str:
    """Return the winner's value with its certainty: "0.31 in trial 7, 0.320 ± 0.004 (95%) on 3 fresh seeds"."""
    certainty = certainty_text(found)
    return f"{short_number(found.value)} in trial {found.trial.number}{f', {certainty}' if certainty else ''}"


def certainty_text(found: Winner) -> str:
    """Return what is known of the winner's value over seeds; "" while only one seed is known.

    ± is half the width of the 95% interval of the mean, as in every summary; "std" is the deviation of single runs.
    """
    if found.is_hidden:
        return f"{short_number(found.expected)} on hidden data"
    if found.scatter is not None:
        expected, scatter = short_number(found.expected), short_number(found.scatter, 2)
        return f"{expected} expected, since values scatter by about {scatter}"
    if found.is_confirmed:
        runs = count(found.seeds, "fresh run" if found.on_instances else "fresh seed")
        return f"{margin_text(found.expected, found.margin)}{' (95%)' if found.margin is not None else ''} on {runs}"
    if found.noise is None and found.seeds == 1:
        return ""
    between = "instances" if found.on_instances else "seeds"
    deviation = _between_instances(found.trial) if found.on_instances else found.noise
    spread = f" (std between {between} {short_number(deviation, 2)})" if deviation else ""
    over = f"over {count(found.seeds, 'instance')}" if found.on_instances else "expected over seeds"
    return f"{short_number(found.expected)} {over}{spread}"


def _between_instances(trial: Trial) -> float | None:
    """Return the standard deviation of a configuration's values on its instances; None for fewer than two.

    It is not the noise of a run: most of it may be what the instances add.
    """
    values = list(trial.runs.values.values()) if trial.runs is not None else []
    return stdev(values) if len(values) > 1 else None


@dataclass(frozen=True, slots=True)
class _Standings:
    order: tuple[Trial, ...]
    winner: Winner


def _chosen_standings(trials: Sequence[Trial], asked: StudyQuestion) -> _Standings | None:
    """Return the standings; where a choice by hidden data holds, its configuration is the winner."""
    standings = _standings(trials, asked)
    if standings is None:
        return None
    for trial in standings.order:
        if trial.hidden is not None and trial.hidden.is_chosen:
            value, count = trial.values[asked.objectives[0].metric], len(trial.hidden.values)
            chosen = replace(
                standings.winner, trial=trial, value=value, expected=trial.hidden.mean, margin=None, seeds=count,
                is_confirmed=False, is_hidden=True,
            )  # fmt: skip
            return replace(standings, winner=chosen)
    return standings


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
    if judged := judge_noise(able, objective.metric):
        # A judge of texts knows how much it varies; what else varies comes on top of that.
        noise = None if noise is None else max(noise, judged)
        unexplained = max(unexplained or 0.0, judged) if noise is None else None
    modelled = _modelled(able, means, is_small=is_small)
    measured = [_measured(t, repeats, asked) for t in modelled]
    # On instances a race has seen to it that the leading ones have several runs.
    spread = 0.0 if runs is not None else unexplained or noise
    expected = _expected(means, measured, [t.number for t in modelled], spread)
    # Where expected values are equal, what was measured decides, so that no trial beyond the model's can come first.
    order = sorted(able, key=lambda t: (expected[t.number], means[t.number], t.number))
    order = order if runs is None else in_honest_order(order, objective.sign)
    chosen = _confirmed(order, present, repeats, asked)
    first = chosen or order[0]
    fresh = repeats.reported(first.number) if chosen else ()
    return _Standings(
        order=tuple(order),
        winner=Winner(
            trial=first,
            value=first.values[objective.metric],
            expected=mean_of(fresh) if fresh else objective.sign * expected[first.number],
            margin=mean_margin(fresh),
            noise=noise,
            seeds=len(fresh) or len(losses[first.number]),
            is_confirmed=bool(fresh),
            on_instances=runs is not None,
            scatter=unexplained,
        ),
    )


def _modelled(able: Sequence[Trial], means: Mapping[int, float], *, is_small: bool) -> list[Trial]:
    """Return the configurations that the model takes in, the best first; a long history is read by those only."""
    ranked = sorted(able, key=lambda t: (means[t.number], t.number))
    return leading_and_others(ranked) if is_small and len(ranked) > MODELLED else ranked[:MODELLED]


@dataclass(frozen=True, slots=True)
class _ReplicateValues:
    """Values of replicates by the number of what they repeat.

    Attributes:
        every: on all seeds.
        fresh: on fresh seeds.
        confirming: on confirmation seeds.
        later: on other fresh seeds, of runs that began after the first confirmation: a person asked for them.
        last_confirmation: number of the last run on a confirmation seed; -1 without one.
    """

    every: Mapping[int, Sequence[float]]
    fresh: Mapping[int, Sequence[float]]
    confirming: Mapping[int, Sequence[float]]
    later: Mapping[int, Sequence[float]]
    last_confirmation: int

    def judged(self, number: int) -> list[float]:
        """Return the values that a configuration is compared by once confirmation has started."""
        return [*self.confirming.get(number, ()), *self.later.get(number, ())]

    def reported(self, number: int) -> Sequence[float]:
        """Return the values that its mean is stated of: only those that nothing was chosen on, where there are any."""
        return self.confirming.get(number) or self.fresh.get(number, ())


def _replicate_values(present: Sequence[Trial], objective: Objective) -> _ReplicateValues:
    again = [(t.proposal.replicate_of, t) for t in present if t.proposal.replicate_of is not None]
    confirmations = [t.number for _, t in again if is_confirming(t.proposal.seed)]
    every: dict[int, list[float]] = {}
    fresh: dict[int, list[float]] = {}
    confirming: dict[int, list[float]] = {}
    later: dict[int, list[float]] = {}
    for original, trial in again:
        values = objective_values(trial, (objective,))
        if values is None or abs(values[0]) == float("inf"):
            continue
        groups = [every]
        if is_fresh(trial.proposal.seed):
            groups.append(fresh)
            if is_confirming(trial.proposal.seed):
                groups.append(confirming)
            elif confirmations and trial.number > min(confirmations):
                groups.append(later)
        for group in groups:
            group.setdefault(original, []).append(values[0])
    return _ReplicateValues(every, fresh, confirming, later, max(confirmations, default=-1))


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
    """Return the best of what ran again on fresh seeds since confirmation began.

    None if nothing but the default did, and if a trial leads that is newer than the last confirmation: it is not
    compared yet. Whether the default could be compared with, or broke a bound, or failed, makes no difference.
    """
    sign, leader = asked.objectives[0].sign, order[0]
    if repeats.last_confirmation < 0:
        return None
    default = default_trial(present, asked.space)
    judged = {t.number: repeats.judged(t.number) for t in order}
    rerun = [t for t in order if len(judged[t.number]) >= _MIN_CONFIRMED]
    chosen = [t for t in rerun if default is None or t.number != default.number]
    if leader not in rerun and leader.number > repeats.last_confirmation:
        return None
    return min(chosen, key=lambda t: (sign * mean_of(judged[t.number]), t.number), default=None)
