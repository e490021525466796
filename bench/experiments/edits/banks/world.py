"""A simulated study on a measured bank: what each set of ideas is worth follows from real runs of the project.

The logarithm of a set's metric is that of the project's own code plus what each idea changed alone, plus corrections
for pairs, fitted to every measured set of two or more. It is never below the best set that was measured.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np

from tunesmith.bench.experiments.edits.banks.bank import measured
from tunesmith.bench.experiments.edits.simulation import Idea, Names

RIDGE = 0.3
"""Weight of the squares of the corrections against the squares of what they leave."""

RANKS_PER_NOISE = 15.0
"""Number of places in the order of ideas that one unit of Gumbel noise moves an idea by."""

Pair = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredWorld:
    """A world of measured ideas. Losses are values of the project's metric; settings are logarithms of ratios.

    Attributes:
        default: the metric of the project's own code.
        effects: what each idea alone changes of the logarithm of the metric.
        corrections: what each pair adds to that.
        conflicts: pairs that change the same lines.
        failing: sets that failed.
        lowest: the logarithm of the best measured value, relative to the default.
        tuning: logarithms of the values of tuning studies, relative to their first trial: of the project's own code,
            and of the best set.
        spread: standard deviation of a run, relative to its value.
        best_idea: the idea with the largest gain.
    """

    ideas: Sequence[Idea]
    default: float
    effects: Mapping[str, float]
    corrections: Mapping[Pair, float]
    conflicts: frozenset[Pair]
    failing: frozenset[Names]
    lowest: float
    tuning: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]
    spread: float
    best_idea: str
    max_ideas: int = 3

    def order(self, rng: random.Random) -> list[Idea]:
        """Return the ideas as a model gives them on one day: roughly in the recorded order."""
        places = {idea.name: place for place, idea in enumerate(self.ideas)}
        gumbel = {name: -math.log(-math.log(rng.random())) for name in places}
        return sorted(self.ideas, key=lambda idea: places[idea.name] / RANKS_PER_NOISE - gumbel[idea.name])

    def log_ratio(self, names: Names) -> float:
        """Return the logarithm of a set's metric, relative to that of the project's own code."""
        own = self._distinct(names)
        found = sum(self.effects.get(name, 0.0) for name in own)
        found += sum(self.corrections.get(frozenset(pair), 0.0) for pair in combinations(own, 2))
        return max(found, self.lowest)

    def loss(self, names: Names, setting: float) -> float:  # noqa: D102  # see World
        return self.default * math.exp(self.log_ratio(names) - setting)

    def setting(self, names: Names, number: int, seed: int) -> float:  # noqa: D102  # see World
        share = min(max(self.log_ratio(names) / self.lowest, 0.0), 1.0) if self.lowest else 0.0
        own, best = (_trial_of(studies[seed % len(studies)], number) for studies in self.tuning)
        return -(share * best + (1.0 - share) * own)

    def noise(self, loss: float) -> float:  # noqa: D102  # see World
        return self.spread * loss

    def fits(self, names: Names, idea: str) -> bool:  # noqa: D102  # see World
        return all(frozenset((name, idea)) not in self.conflicts for name in names)

    def works(self, names: Names) -> bool:  # noqa: D102  # see World
        return not any(failing <= names for failing in self.failing)

    def _distinct(self, names: Names) -> list[str]:
        """Return the names without ideas that repeat another one of them."""
        repeats = {idea.name for idea in self.ideas if idea.same_as in names and idea.name in names}
        return sorted(names - repeats)


def measured_world(project: str, *, max_ideas: int = 3) -> MeasuredWorld:
    """Return the world of a project's bank."""
    return world_of(measured(project), max_ideas=max_ideas)


def world_of(document: Mapping[str, Any], *, max_ideas: int = 3) -> MeasuredWorld:
    """Return the world of a document that measure.py wrote."""
    entries, default = document["ideas"], document["default"]
    same_as = {name: first for first, name in _repeated(entries)}
    valued = {entry["name"]: entry["mean"] for entry in entries if "mean" in entry and entry["kind"] != "cheating"}
    effects = {name: math.log(value / default["mean"]) for name, value in valued.items()}
    ideas = [_idea(entry, default["mean"], same_as) for entry in entries]
    sets = [entry for entry in document["sets"] if "mean" in entry]
    best = min([*valued.values(), *(entry["mean"] for entry in sets)])
    single = {idea.name: effects[idea.name] for idea in ideas if idea.name in effects}
    return MeasuredWorld(
        ideas=ideas,
        default=default["mean"],
        effects=effects,
        corrections=fitted_corrections(sets, effects, default["mean"]),
        conflicts=frozenset(frozenset(pair) for pair in document["conflicts"]),
        failing=frozenset(
            [frozenset((idea.name,)) for idea in ideas if idea.is_broken]
            + [frozenset(entry["ideas"]) for entry in document["sets"] if "failed" in entry]
        ),
        lowest=math.log(best / default["mean"]),
        tuning=(_relative(document["tuning"][0]["values"]), _relative(document["tuning"][1]["values"])),
        spread=median(
            entry["std"] / entry["mean"]
            for entry in [default, *entries]
            if entry.get("std") is not None and entry.get("kind") != "cheating"
        ),
        best_idea=min(single, key=lambda name: single[name]),
        max_ideas=max_ideas,
    )


def fitted_corrections(
    sets: Sequence[Mapping[str, Any]], effects: Mapping[str, float], default: float
) -> dict[Pair, float]:
    """Return the corrections of pairs that explain best what sets are worth beyond the sum of their ideas."""
    usable = [entry for entry in sets if all(name in effects for name in entry["ideas"])]
    names = sorted({pair for entry in usable for pair in combinations(sorted(entry["ideas"]), 2)})
    if not names:
        return {}
    columns = {pair: number for number, pair in enumerate(names)}
    design, left = np.zeros((len(usable), len(names))), np.zeros(len(usable))
    for row, entry in enumerate(usable):
        left[row] = math.log(entry["mean"] / default) - sum(effects[name] for name in entry["ideas"])
        for pair in combinations(sorted(entry["ideas"]), 2):
            design[row, columns[pair]] = 1.0
    found = np.linalg.solve(design.T @ design + RIDGE * np.eye(len(names)), design.T @ left)
    return {frozenset(pair): float(found[number]) for pair, number in columns.items()}


def check_errors(document: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return, for sets that no correction was fitted to, the logarithms of the measured and of the derived value."""
    world = world_of(document)
    checks = [entry for entry in document["checks"] if "mean" in entry]
    return [(math.log(entry["mean"] / world.default), world.log_ratio(frozenset(entry["ideas"]))) for entry in checks]


def _idea(entry: Mapping[str, Any], default: float, same_as: Mapping[str, str]) -> Idea:
    """Return an idea of a bank. A cheat that the gate lets pass fails later: the judge or the sandbox ends it."""
    is_without_effect = entry.get("mean") == default
    is_cheating = entry["kind"] == "cheating" and not is_without_effect
    return Idea(
        entry["name"],
        is_broken="failed" in entry or (is_cheating and "mean" in entry),
        is_refused=entry["state"] != "sound",
        same_as=same_as.get(entry["name"], ""),
    )


def _repeated(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return pairs of ideas of which the second repeats the first: the same numbers over all seeds."""
    first: dict[tuple[float, float], str] = {}
    found = []
    for entry in entries:
        if "mean" in entry and entry["std"]:
            key = (entry["mean"], entry["std"])
            if key in first:
                found.append((first[key], entry["name"]))
            first.setdefault(key, entry["name"])
    return found


def _relative(studies: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Return the logarithms of the values of each study, relative to its first one; inf for a failure."""
    found = []
    for values in studies:
        start = values[0]
        assert start is not None  # noqa: S101  # the first trial is the default
        found.append([math.inf if value is None else math.log(value / start) for value in values])
    return found


def _trial_of(study: Sequence[float], number: int) -> float:
    """Return the result of a trial of a study; beyond its end, its best."""
    return study[number] if number < len(study) else min(study)
