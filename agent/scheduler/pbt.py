"""Population-based training: members train side by side; the worst copy the weights of the best and change parameters.

A trial is one generation of a member: it loads the files of its parent and trains to the end of the generation. The
worst quarter of a generation is not continued. Instead the members of the best quarter are continued twice, the second
time with changed parameters (Jaderberg et al. 2017, "Population Based Training of Neural Networks"). The sampler
chooses these parameters from the gain of each generation with its own: the idea of Parker-Holder et al. 2020, "Provably
Efficient Online Hyperparameter Optimization with Population-Based Bandits" (PB2).

Pure: trials in, a proposal out. The next generation follows from the trials only, so a killed study resumes as before.
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
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.trials.replicates.seeds import derived_seed, tuning_seed
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective, StudyView

REPLACED_FRACTION = 0.25
"""Fraction of a generation that is not continued, and fraction whose members may be continued instead."""
PAST_GENERATIONS = 3
"""Number of generations before the latest from whose gains the sampler learns; older gains say little."""

STEP = 0.15
"""Part of its range by which a parameter moves where the sampler moved none that may change."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What to continue next: `parent`, either for itself or in place of `replaced`."""

    parent: Trial
    replaced: Trial | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """Population-based training for one study.

    Attributes:
        size: the number of members.
        step: the fidelity that one generation adds.
        end: the fidelity at which training ends.
        movable: the parameters that may change between generations.
        objective: ranks the members.
    """

    size: int
    step: float
    end: float
    movable: frozenset[str]
    objective: Objective

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Population | None:
        """Return the population of a study with [schedule] kind = "pbt"; None for any other study."""
        if spec.schedule_kind != "pbt" or spec.fidelity is None or spec.schedule is None:
            return None
        movable = frozenset(spec.space.whole(spec.schedule.movable or spec.space.names))
        return cls(spec.schedule.population, spec.fidelity.min, spec.fidelity.max, movable, spec.objectives[0])

    def first_generation(self, proposal: Proposal) -> Proposal:
        """Return the first generation of a new member with the parameters of `proposal`."""
        return replace(proposal, fidelity=self._fidelity(0))

    def must_wait(self, trials: Sequence[Trial]) -> bool:
        """Return whether nothing can start before a running trial has ended."""
        generations = self._generations(trials)
        return bool(generations) and len(generations[0]) == self.size and self._next_step(generations) is None

    def next_generation(self, view: StudyView, sampler: Sampler) -> Proposal | None:
        """Return the next generation of a member; None if a new member is to start, or if `must_wait`."""
        step = self._next_step(self._generations(view.trials))
        if step is None:
            return None
        parent = step.parent
        if step.replaced is None:
            why = f"trial {parent.number} continues: not in the worst quarter"
            return self._child(parent, dict(parent.params), parent.proposal.seed, why)
        params = self._changed_params(view, parent, sampler)
        changed = ", ".join(name for name, value in params.items() if value != parent.params.get(name)) or "nothing"
        why = f"continues trial {parent.number}, one of the best, in place of trial {step.replaced.number}; "
        return self._child(parent, params, tuning_seed(view.seed, view.number), f"{why}changed: {changed}")

    # -- generations ------------------------------------------------------------------------------------------------

    def _generations(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """Return the newest population's trials by generation; [] before the first population and after its end."""
        own = [t for t in trials if not t.is_replicate]
        first_generation = [t.number for t in own if t.proposal.parent is None]
        if not first_generation:
            return []
        oldest = first_generation[(len(first_generation) - 1) // self.size * self.size]
        found: list[list[Trial]] = [[] for _ in range(self._last + 1)]
        for trial in own:
            if trial.number >= oldest:
                found[self._generation(trial)].append(trial)
        all_failed = any(len(g) == self.size and all(t.state is TrialState.FAILED for t in g) for g in found)
        return [] if all_failed or len(found[-1]) == self.size else found

    def _next_step(self, generations: Sequence[Sequence[Trial]]) -> _Step | None:
        """Return what to continue now; None if a trial has to end first, or if a member is missing."""
        for current, following in pairwise(generations):
            if len(current) < self.size:
                return None
            if len(following) < self.size:
                return self._successor(current, following)
        return None

    def _successor(self, current: Sequence[Trial], following: Sequence[Trial]) -> _Step | None:
        """Return the next trial of the generation `following`, from the trials of the one before it."""
        ranked = sorted((t for t in current if math.isfinite(self._loss(t))), key=lambda t: (self._loss(t), t.number))
        broken = [t for t in current if t.state.is_finished and not math.isfinite(self._loss(t))]
        running = self.size - len(ranked) - len(broken)
        quarter = max(round(REPLACED_FRACTION * self.size), 1)
        kept = self.size - max(quarter, len(broken))
        continued = {(t.proposal.parent, t.proposal.seed) for t in following}
        # A member that is kept even if every running one turns out better need not wait for them.
        for trial in ranked[: max(kept - running, 0)]:
            if (trial.number, trial.proposal.seed) not in continued:
                return _Step(trial)
        if running or not ranked:
            return None
        ended = [*ranked[kept:], *broken]
        replaced = len(following) - min(kept, len(ranked))
        return _Step(ranked[replaced % min(quarter, len(ranked))], ended[replaced])

    @property
    def _last(self) -> int:
        return math.ceil(self.end / self.step * (1 - 1e-9)) - 1

    def _generation(self, trial: Trial) -> int:
        fidelity = self.end if trial.proposal.fidelity is None else trial.proposal.fidelity
        return min(max(math.ceil(fidelity / self.step * (1 - 1e-9)) - 1, 0), self._last)

    def _fidelity(self, generation: int) -> float:
        return min(self.step * (generation + 1), self.end)

    def _loss(self, trial: Trial) -> float:
        if trial.state is not TrialState.COMPLETE:
            return math.inf
        value = self.objective.sign * trial.values.get(self.objective.metric, math.inf)
        return math.inf if math.isnan(value) else value

    # -- parameters -------------------------------------------------------------------------------------------------

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

    def _changed_params(self, view: StudyView, parent: Trial, sampler: Sampler) -> dict[str, Value]:
        """Return the sampler's next point, learned from gains; parameters that may not change keep the parent's value.

        The parent's parameters if the sampler has no untried point left, or rules allow no other movable values.
        """
        gains = replace(view, trials=self._gains(view.trials), fidelity=None, fidelity_rises=False)
        try:
            suggested = sampler.suggest(gains).params
        except SpaceExhausted:
            return dict(parent.params)
        moved = {name: value for name, value in suggested.items() if name in self.movable}
        imputed = {name: imputed_value(parameter) for name, parameter in view.space.parameters.items()}
        params = {**imputed, **parent.params, **moved}
        fixed = [name for name in view.space.names if name not in self.movable]
        try:
            changed = view.space.clip(params, keep=fixed)
            # The sampler may have moved only parameters that must not change here.
            same = changed == dict(parent.params)
            return view.space.clip(self._stepped(view, parent), keep=fixed) if same else changed
        except SpaceExhausted:
            return dict(parent.params)

    def _stepped(self, view: StudyView, parent: Trial) -> dict[str, Value]:
        """Return the parent's parameters with a step, up or down, of each that may change (Jaderberg et al. 2017)."""
        units = list(view.space.to_unit(parent.params))
        for index, name in enumerate(view.space.names):
            if name in self.movable:
                up = derived_seed(view.seed, "step", view.number, name) % 2 == 0
                moved = units[index] + (STEP if up else -STEP)
                units[index] = moved if 0.0 <= moved <= 1.0 else units[index] - (STEP if up else -STEP)
        moved_values = view.space.from_unit(units)
        return {**parent.params, **{name: moved_values[name] for name in self.movable if name in moved_values}}

    def _gains(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the unfinished trials, and recent trials with their standardized gain over the parent as value."""
        own = {t.number: t for t in trials if not t.is_replicate}
        latest = max((self._generation(t) for t in own.values()), default=0)
        found = [t for t in own.values() if not t.state.is_finished]
        for generation in range(max(latest - PAST_GENERATIONS, 0), latest + 1):
            members = [t for t in own.values() if self._generation(t) == generation and math.isfinite(self._loss(t))]
            gains = np.array([self._loss(t) - self._parent_loss(t, own) for t in members])
            std = float(gains.std()) if len(gains) else 0.0
            for trial, gain in zip(members, gains, strict=True):
                standardized = self.objective.sign * (gain - gains.mean()) / (std or 1.0)
                outcome = Outcome(state=TrialState.COMPLETE, values={self.objective.metric: float(standardized)})
                found.append(replace(trial, outcome=outcome))
        return sorted(found, key=lambda t: t.number)

    def _parent_loss(self, trial: Trial, own: Mapping[int, Trial]) -> float:
        parent = own.get(-1 if trial.proposal.parent is None else trial.proposal.parent)
        return 0.0 if parent is None else self._loss(parent)
