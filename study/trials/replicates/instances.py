"""What configurations are worth that ran on different instances: folds, data sets, workloads, seeds, shapes.

A value is explained by its configuration and its instance (a two-way model), so that a configuration that ran on easy
instances does not look better than it is. The result is an estimate for all instances. Losses and values are plain
numbers here; plain Python, because doors that only read a study must not load numerics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from tunesmith.study.trials.replicates.seeds import derived_seed

Aggregate = Literal["mean", "p95", "worst"]
"""How the values of one configuration on all instances become one value."""

Losses = Mapping[int, Mapping[str, float]]
"""Losses (smaller is better) by the number of the configuration's first trial and by instance."""

_P95 = 0.95
_ROUNDS = 300
"""Largest number of rounds of alternating fits; few are needed where one configuration ran on all instances."""
_SETTLED = 1e-6
"""Largest change of an effect in a round, relative to the largest effect, after which no round follows."""
_FEW_PRIOR_RUNS, _MAX_PRIOR_RUNS = 0.5, 50.0
"""Runs that the prior of an instance's effect, which is 0, is worth: while the noise is not known, and at most."""
_MIN_FREEDOM = 2
"""Degrees of freedom from which the noise counts as known."""
_ROUNDING = 1e-9
"""Noise, relative to the largest loss, up to which it is the rounding of the fit."""
_FEW = 4
"""Number of configurations with several runs up to which all of them teach the effects, later the better half."""


@dataclass(frozen=True, slots=True)
class InstanceSet:
    """The instances of a study.

    Attributes:
        tuning: those that choices are made on, in the order in which an incumbent runs on them.
        held_out: those that only confirmation sees.
    """

    tuning: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    aggregate: Aggregate = "mean"

    def fresh(self, index: int) -> str:
        """Return the instance of the `index`-th run for confirmation: a held-out one if there are any."""
        names = self.held_out or self.tuning
        return names[index % len(names)]


@dataclass(frozen=True, slots=True)
class InstanceEffects:
    """The fitted two-way model.

    Attributes:
        of: how much worse an instance is than the mean instance, by name.
        noise: standard deviation of one run about configuration and instance; None while it is not known.
    """

    of: Mapping[str, float]
    noise: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration on all instances.

    Attributes:
        loss: the aggregate over all instances; those that did not run are estimated.
        losses: one for each run, without the effect of its instance, shifted so that their mean is `loss`.
    """

    loss: float
    losses: tuple[float, ...]


def split(names: Sequence[str], hold_out: float, seed: int, aggregate: Aggregate) -> InstanceSet:
    """Return the instances in their order, with a share of them held out; the same for the same seed."""
    held = set(sorted(names, key=lambda name: derived_seed(seed, "held out", name))[: round(hold_out * len(names))])
    order = sorted(names, key=lambda name: derived_seed(seed, "instance order", name))
    tuning, held_out = [n for n in order if n not in held], [n for n in order if n in held]
    return InstanceSet(tuple(tuning), tuple(held_out), aggregate)


def fit_effects(found: Losses, names: Sequence[str]) -> InstanceEffects:
    """Fit the effects of the instances to the configurations that ran on two or more."""
    repeated: Losses = {number: losses for number, losses in found.items() if len(losses) > 1}
    repeated = _good_ones(repeated) if len(repeated) > _FEW else repeated
    effects = _effects(repeated, names, 0.0)
    noise = _noise(repeated, effects)
    if noise is None:
        return InstanceEffects(_effects(repeated, names, _FEW_PRIOR_RUNS), None)
    counts = [sum(name in losses for losses in repeated.values()) for name in names]
    spread = _mean(effect * effect for effect in effects.values()) - noise * noise / max(_mean(counts), 1.0)
    prior = noise * noise / spread if spread > 0.0 else _MAX_PRIOR_RUNS
    return InstanceEffects(_effects(repeated, names, min(prior, _MAX_PRIOR_RUNS)), noise)


def _good_ones(repeated: Losses) -> Losses:
    """Return the better half of the configurations, and others that ran on instances that those did not.

    Bad configurations are bad in other ways: what an instance adds to them says little about good ones.
    """
    order = sorted(repeated, key=lambda number: _mean(repeated[number].values()))
    half = max(_FEW, (len(order) + 1) // 2)
    chosen, covered = order[:half], {name for number in order[:half] for name in repeated[number]}
    for number in order[half:]:
        if not covered.issuperset(repeated[number]):
            chosen.append(number)
            covered.update(repeated[number])
    return {number: repeated[number] for number in chosen}


def complete_row(losses: Mapping[str, float], effects: InstanceEffects, instances: InstanceSet) -> Row:
    """Return a configuration's loss over all tuning instances; `losses` has at least one of them.

    Where the mean counts, an instance that did not run has the loss that the model expects. Elsewhere such estimates
    would have no spread and be optimistic: they get the noise of as many runs, the largest where the instance is worst.
    """
    level = _mean(loss - effects.of[name] for name, loss in losses.items())
    filled = {name: level + effects.of[name] for name in instances.tuning if name not in losses}
    if instances.aggregate != "mean" and effects.noise:
        for rank, name in enumerate(sorted(filled, key=lambda name: effects.of[name]), start=1):
            filled[name] += effects.noise * _normal_score(rank, len(filled))
    row = [losses[name] if name in losses else filled[name] for name in instances.tuning]
    total = aggregated(row, instances.aggregate)
    return Row(total, tuple(loss - effects.of[name] - level + total for name, loss in losses.items()))


def aggregated(losses: Sequence[float], aggregate: Aggregate) -> float:
    """Return one loss for several: their mean, their 95% quantile or the worst."""
    if aggregate == "mean":
        return _mean(losses)
    ordered = sorted(losses)
    position = (len(ordered) - 1) * (_P95 if aggregate == "p95" else 1.0)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _normal_score(rank: int, count: int) -> float:
    """Return the expected value of the `rank`-th smallest of `count` standard normal values (Blom 1958)."""
    return NormalDist().inv_cdf((rank - 0.375) / (count + 0.25))


def _effects(repeated: Losses, names: Sequence[str], prior_runs: float) -> dict[str, float]:
    effects = dict.fromkeys(names, 0.0)
    by_instance = {name: [number for number, losses in repeated.items() if name in losses] for name in names}
    for _ in range(_ROUNDS if repeated else 0):
        levels = {n: _mean(loss - effects[name] for name, loss in losses.items()) for n, losses in repeated.items()}
        moved = {
            name: sum(repeated[n][name] - levels[n] for n in numbers) / (len(numbers) + prior_runs) if numbers else 0.0
            for name, numbers in by_instance.items()
        }
        middle = _mean(moved.values())
        before, effects = effects, {name: effect - middle for name, effect in moved.items()}
        change = max(abs(effects[name] - before[name]) for name in names)
        if change <= _SETTLED * max(abs(effect) for effect in effects.values()):
            break
    return effects


def _noise(repeated: Losses, effects: Mapping[str, float]) -> float | None:
    squares, runs = 0.0, 0
    for losses in repeated.values():
        rest = [loss - effects[name] for name, loss in losses.items()]
        middle = _mean(rest)
        squares += sum((r - middle) ** 2 for r in rest)
        runs += len(rest)
    used = {name for losses in repeated.values() for name in losses}
    freedom = runs - len(repeated) - max(len(used) - 1, 0)
    if freedom < _MIN_FREEDOM or not math.isfinite(squares):
        return None
    noise = math.sqrt(squares / freedom)
    # What is left of a perfect fit is rounding.
    return (
        noise if noise > _ROUNDING * max(abs(loss) for losses in repeated.values() for loss in losses.values()) else 0.0
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
