"""Population-based training: members train side by side, the worst take over the weights of the best, and change on.

A generation of a member is one trial: from the files of its parent it trains on to the generation's end. The worst
quarter of a generation is not continued; instead members of the best quarter are continued twice, once with other
parameters (Jaderberg et al. 2017, "Population Based Training of Neural Networks"). Which parameters to try next, the
sampler answers, from what each generation gained with its parameters: the idea of Parker-Holder et al. 2020, "Provably
Efficient Online Hyperparameter Optimization with Population-Based Bandits" (PB2).

Pure: trials in, a proposal out. Whose turn it is follows from the trials alone, so a killed study goes on as before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tunesmith.agent.sampler.base import Sampler
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import resting
from tunesmith.study.trials.seeds import tuning_seed
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective, StudyView

QUARTER = 0.25
"""So many of a generation end, and so many of its best are continued in their place."""
REMEMBERED = 3
"""What earlier generations than so many gained by their parameters says little of the next."""


@dataclass(frozen=True, slots=True)
class Population:
    """The rules of one study's population.

    Attributes:
        size: how many members.
        step: how much of the fidelity a generation trains.
        most: where training ends.
        movable: the parameters that may change on the way.
        objective: what decides who is best.
    """

    size: int
    step: float
    most: float
    movable: frozenset[str]
    objective: Objective

    @classmethod
    def of(cls, spec: StudySpec) -> Population | None:
        """Return the population of a study that is paced by one, None for any other."""
        if spec.pace != "pbt" or spec.fidelity is None or spec.schedule is None:
            return None
        movable = frozenset(spec.schedule.movable or spec.space.names)
        return cls(spec.schedule.population, spec.fidelity.min, spec.fidelity.max, movable, spec.objectives[0])

    def begin(self, proposal: Proposal) -> Proposal:
        """Return a new member's first generation."""
        return replace(proposal, fidelity=self._fidelity(0))

    def waits(self, trials: Sequence[Trial]) -> bool:
        """Tell whether nothing can begin before a trial that runs has ended."""
        generations = self._newest(trials)
        return bool(generations) and len(generations[0]) == self.size and self._turn(generations) is None

    def due(self, view: StudyView, sampler: Sampler) -> Proposal | None:
        """Return who trains on now, and with which parameters; None when a new member is due or when it `waits`."""
        turn = self._turn(self._newest(view.trials))
        if turn is None:
            return None
        parent, ended = turn
        if ended is None:
            why = f"trial {parent.number} trains on: not among the worst quarter"
            return self._child(parent, dict(parent.params), parent.proposal.seed, why)
        params = self._changed(view, parent, sampler)
        changed = ", ".join(name for name, value in params.items() if value != parent.params.get(name)) or "nothing"
        why = f"goes on from trial {parent.number}, one of the best, in the place of trial {ended.number}; "
        return self._child(parent, params, tuning_seed(view.seed, view.number), f"{why}changed: {changed}")

    # -- whose turn it is -----------------------------------------------------------------------------------------

    def _newest(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """Return the newest population's trials by generation; none when it came to its end, or before the first."""
        own = [t for t in trials if not t.is_replicate]
        roots = [t.number for t in own if t.proposal.parent is None]
        if not roots:
            return []
        first = roots[(len(roots) - 1) // self.size * self.size]
        found: list[list[Trial]] = [[] for _ in range(self._last + 1)]
        for trial in own:
            if trial.number >= first:
                found[self._generation(trial)].append(trial)
        gone = any(len(g) == self.size and all(t.state is TrialState.FAILED for t in g) for g in found)
        return [] if gone or len(found[-1]) == self.size else found

    def _turn(self, generations: Sequence[Sequence[Trial]]) -> tuple[Trial, Trial | None] | None:
        """Return who is continued now, and in whose place; None of these for its own, None while nobody is due."""
        for here, there in pairwise(generations):
            if len(here) < self.size:
                return None
            if len(there) < self.size:
                return self._heir(here, there)
        return None

    def _heir(self, here: Sequence[Trial], there: Sequence[Trial]) -> tuple[Trial, Trial | None] | None:
        ranked = sorted((t for t in here if math.isfinite(self._loss(t))), key=lambda t: (self._loss(t), t.number))
        broken = [t for t in here if t.state.is_finished and not math.isfinite(self._loss(t))]
        still = self.size - len(ranked) - len(broken)
        few = max(round(QUARTER * self.size), 1)
        stay = self.size - max(few, len(broken))
        seeds = {(t.proposal.parent, t.proposal.seed) for t in there}
        # Whoever stays even if all that still run turn out better need not wait for them.
        for trial in ranked[: max(stay - still, 0)]:
            if (trial.number, trial.proposal.seed) not in seeds:
                return trial, None
        if still or not ranked:
            return None
        ended = [*ranked[stay:], *broken]
        replaced = len(there) - min(stay, len(ranked))
        return ranked[replaced % min(few, len(ranked))], ended[replaced]

    @property
    def _last(self) -> int:
        return math.ceil(self.most / self.step * (1 - 1e-9)) - 1

    def _generation(self, trial: Trial) -> int:
        fidelity = self.most if trial.proposal.fidelity is None else trial.proposal.fidelity
        return min(max(math.ceil(fidelity / self.step * (1 - 1e-9)) - 1, 0), self._last)

    def _fidelity(self, generation: int) -> float:
        return min(self.step * (generation + 1), self.most)

    def _loss(self, trial: Trial) -> float:
        if trial.state is not TrialState.COMPLETE:
            return math.inf
        value = self.objective.sign * trial.values.get(self.objective.metric, math.inf)
        return math.inf if math.isnan(value) else value

    # -- what it changes ------------------------------------------------------------------------------------------

    def _child(self, parent: Trial, params: dict[str, Value], seed: int, rationale: str) -> Proposal:
        source = parent.proposal.source if seed == parent.proposal.seed else Source.SAMPLER
        return Proposal(
            params=params,
            source=Source.SAMPLER if source is Source.FALLBACK else source,
            seed=seed,
            rationale=rationale,
            fidelity=self._fidelity(self._generation(parent) + 1),
            parent=parent.number,
        )

    def _changed(self, view: StudyView, parent: Trial, sampler: Sampler) -> dict[str, Value]:
        """Return the sampler's next point by what the last generations gained; what cannot move stays the parent's."""
        try:
            found = sampler.suggest(replace(view, trials=self._gains(view.trials), fidelity=None, raised=False)).params
        except SpaceExhausted:
            return dict(parent.params)
        moved = {name: value for name, value in found.items() if name in self.movable}
        known = {**{n: resting(p) for n, p in view.space.parameters.items()}, **parent.params, **moved}
        return {name: known[name] for name in view.space.active(known)}

    def _gains(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return trials whose value is what their generation gained, in spreads of that generation, and what runs."""
        own = {t.number: t for t in trials if not t.is_replicate}
        latest = max((self._generation(t) for t in own.values()), default=0)
        found = [t for t in own.values() if not t.state.is_finished]
        for generation in range(max(latest - REMEMBERED, 0), latest + 1):
            here = [t for t in own.values() if self._generation(t) == generation and math.isfinite(self._loss(t))]
            gains = np.array([self._loss(t) - self._before(t, own) for t in here])
            spread = float(gains.std()) if len(gains) else 0.0
            for trial, gain in zip(here, gains, strict=True):
                scored = self.objective.sign * (gain - gains.mean()) / (spread or 1.0)
                outcome = Outcome(state=TrialState.COMPLETE, values={self.objective.metric: float(scored)})
                found.append(replace(trial, outcome=outcome))
        return sorted(found, key=lambda t: t.number)

    def _before(self, trial: Trial, own: Mapping[int, Trial]) -> float:
        parent = own.get(-1 if trial.proposal.parent is None else trial.proposal.parent)
        return 0.0 if parent is None else self._loss(parent)
