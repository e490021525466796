"""Branches: the plateau of a training run is trained once, and runs that differ later branch from its checkpoints.

With a schedule of a plateau and a decay (WSD), two runs that differ only in how the learning rate decays are the same
run until the earlier decay begins. A configuration trains in stages, up to each branch point that lies before its decay
and then to the end; each stage is a trial that continues the files of the one before. A configuration that shares the
other parameters starts from the last stage that it has in common with an earlier one, on the same training seed, so
that both differ by the decay alone (Hu et al. 2024, "MiniCPM"; Hägele et al. 2024, "Scaling Laws and Compute-Optimal
Training Beyond Fixed Training Durations").

Pure: trials in, a proposal out. The next stage follows from the trials only, so a killed study resumes as before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.agent.sampler.candidates.deduplication import random_params, tried_keys
from tunesmith.agent.scheduler.promotion import promote
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Params, Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.rules.expression import parse
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective, StudyView, run_key

EXTENDED_FRACTION = 0.5
"""Fraction of trunks, the best ones, from which further configurations branch."""
_MAX_DRAWS = 400
"""Number of configurations to draw at most in search of one that its trunk does not have."""
_TOLERANCE = 1e-9

Family = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    """Branching for one study.

    Attributes:
        at: the branch points as parts of a full run, rising.
        end: the fidelity of a full run.
        is_whole: whether a fidelity is a number of steps, so that stages end at whole numbers.
        movable: the parameters that act only from where a configuration leaves the trunk.
        leaves: formula of that place as a part of a full run.
        per_trunk: number of configurations that share a trunk while there are other parameters to search.
        objective: ranks the trunks.
    """

    at: tuple[float, ...]
    end: float
    is_whole: bool
    movable: frozenset[str]
    leaves: str
    per_trunk: int
    objective: Objective

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Branches | None:
        """Return the branches of a study with [schedule] kind = "branches"; None for any other study."""
        table = spec.schedule
        if table is None or table.kind != "branches" or spec.fidelity is None:
            return None
        fidelity = spec.fidelity
        return cls(
            at=tuple(sorted(set(table.at))),
            end=fidelity.max,
            is_whole=float(fidelity.min).is_integer() and float(fidelity.max).is_integer(),
            movable=frozenset(spec.space.whole(table.movable)),
            leaves=table.leaves,
            per_trunk=table.branches,
            objective=spec.objectives[0],
        )

    @property
    def least_run(self) -> float:
        """Length of the shortest new run, from the last branch point on, in full runs."""
        return 1.0 - self.at[-1]

    def must_wait(self, trials: Sequence[Trial]) -> bool:
        """Return whether a stage before the end still runs: a new configuration may branch from it."""
        return any(not t.state.is_finished and not t.is_replicate and self._is_before_end(t) for t in trials)

    def next_stage(self, trials: Sequence[Trial]) -> Proposal | None:
        """Return the next stage of a configuration whose last one has ended; None if none is due."""
        own = [t for t in trials if not t.is_replicate]
        reached: dict[Family, float] = {}
        for trial in own:
            key = run_key(trial)
            reached[key] = max(reached.get(key, 0.0), self._fidelity(trial))
        for trial in own:
            is_last = self._fidelity(trial) == reached[run_key(trial)]
            if trial.state is TrialState.COMPLETE and self._is_before_end(trial) and is_last:
                following = self._following(trial.params, self._fidelity(trial))
                return promote(trial, following, f"trial {trial.number} trains on, to {following:g}")
        return None

    def placed(self, proposal: Proposal, view: StudyView) -> Proposal:
        """Return a new configuration at its first stage, from the longest stage that it shares with an earlier one.

        A point of the sampler takes the other parameters of a good trunk as long as that has few branches.
        """
        trunk = self._trunk_to_extend(view) if proposal.source is Source.SAMPLER else None
        moved = self._moved(proposal, trunk, view) if trunk is not None else None
        if moved is not None:
            proposal = moved
        shared = self._shared_stage(proposal, view.trials)
        if shared is None:
            return replace(proposal, fidelity=self._points(proposal.params)[0])
        at = self._fidelity(shared)
        return replace(
            proposal,
            fidelity=self._following(proposal.params, at),
            parent=shared.number,
            seed=shared.proposal.seed,
            rationale=f"{proposal.rationale}; branches from trial {shared.number} at {at:g}",
        )

    # -- stages -----------------------------------------------------------------------------------------------------

    def _points(self, params: Params) -> list[float]:
        """Return the fidelities at which a configuration's stages end: the branch points before its decay, the end."""
        place = self._place(params)
        points = dict.fromkeys(self._at_fidelity(part) for part in self.at if part <= place + _TOLERANCE)
        return [*(point for point in points if 0 < point < self.end - _TOLERANCE), self.end]

    def _place(self, params: Params) -> float:
        """Return where a configuration leaves the trunk, in [0, 1]; 0 where its formula has no value for it."""
        try:
            place = float(str(parse(self.leaves).value(params)))
        except (KeyError, TypeError, ValueError):  # of an inactive parameter, such as the decay of another shape
            return 0.0
        return min(max(place, 0.0), 1.0) if math.isfinite(place) else 0.0

    def _at_fidelity(self, part: float) -> float:
        """Return the last whole step of a part of a run: a step further, a decay may have begun."""
        fidelity = part * self.end
        return float(math.floor(fidelity + _TOLERANCE)) if self.is_whole else fidelity

    def _following(self, params: Params, fidelity: float) -> float:
        return next((point for point in self._points(params) if point > fidelity + _TOLERANCE), self.end)

    def _fidelity(self, trial: Trial) -> float:
        return self.end if trial.proposal.fidelity is None else trial.proposal.fidelity

    def _is_before_end(self, trial: Trial) -> bool:
        return self._fidelity(trial) < self.end - _TOLERANCE

    def _shared_stage(self, proposal: Proposal, trials: Sequence[Trial]) -> Trial | None:
        """Return the longest stage of the same trunk that ends before this configuration leaves it; None without."""
        family, points = self._family(proposal), self._points(proposal.params)[:-1]
        stages = [
            t
            for t in trials
            if not t.is_replicate
            and t.counts
            and t.state is TrialState.COMPLETE
            and self._fidelity(t) in points
            and self._family(t.proposal) == family
        ]
        return max(stages, key=lambda t: (self._fidelity(t), -t.number), default=None)

    # -- trunks -----------------------------------------------------------------------------------------------------

    def _family(self, proposal: Proposal) -> Family:
        """Return what the configurations of one trunk share: the code, and the parameters that are not movable."""
        return (proposal.code, *sorted((n, str(v)) for n, v in proposal.params.items() if n not in self.movable))

    def _trunk_to_extend(self, view: StudyView) -> Trial | None:
        """Return the best configuration of the best trunk that may have more branches; None to start a new trunk."""
        best: dict[Family, Trial] = {}
        branches: dict[Family, set[Family]] = {}
        for trial in view.trials:
            if trial.is_replicate or trial.proposal.code:
                continue
            family = self._family(trial.proposal)
            branches.setdefault(family, set()).add(tuple(sorted(trial.params.items())))
            is_better = family not in best or self._loss(trial) < self._loss(best[family])
            if math.isfinite(self._loss(trial)) and is_better:
                best[family] = trial
        ranked = sorted(best, key=lambda family: self._loss(best[family]))
        leading = ranked[: math.ceil(EXTENDED_FRACTION * len(ranked))]
        return next((best[f] for f in leading if len(branches[f]) < self.per_trunk), None)

    def _loss(self, trial: Trial) -> float:
        """Return the value of a full run, smaller is better; inf for a stage before the end."""
        if trial.state is not TrialState.COMPLETE or self._is_before_end(trial):
            return math.inf
        return self.objective.sign * trial.values.get(self.objective.metric, math.inf)

    def _moved(self, proposal: Proposal, trunk: Trial, view: StudyView) -> Proposal | None:
        """Return the proposal with the other parameters of a trunk; None if the trunk has every such configuration."""
        tried = tried_keys(view)
        for params in self._candidates(proposal, trunk, view):
            branch = replace(proposal, params=params)
            if config_key(params) not in tried and self._family(branch) == self._family(trunk.proposal):
                why = f"another {', '.join(sorted(self.movable))} on the trunk of trial {trunk.number}"
                return replace(branch, prediction=None, rival=None, rationale=why)
        return None

    def _candidates(self, proposal: Proposal, trunk: Trial, view: StudyView) -> Iterator[dict[str, Value]]:
        """Yield configurations of a trunk: with the proposal's movable values first, then with random ones."""
        rng = np.random.default_rng(derived_seed(view.seed, "branch", view.number))
        fixed = [name for name in view.space.names if name not in self.movable]
        imputed = {name: imputed_value(parameter) for name, parameter in view.space.parameters.items()}
        moves: list[Params] = [proposal.params]
        for _ in range(_MAX_DRAWS):
            moved = {name: value for name, value in moves.pop().items() if name in self.movable}
            try:
                yield view.space.clip({**imputed, **trunk.params, **moved}, keep=fixed)
            except SpaceExhausted:
                return
            moves.append(random_params(view.space, rng))
