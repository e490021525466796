"""Asynchronous successive halving by promotion and Hyperband's brackets on it (Li et al. 2018, 2020).

Decides on which rung a new configuration starts and which one is promoted to the next rung. Pure: trials in, a proposal
out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.agent.scheduler.promotion import promote
from tunesmith.agent.scheduler.rungs import Ladder, promotable, start_rung
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective, run_key


@dataclass(frozen=True, slots=True)
class SuccessiveHalving:
    """Successive halving for one study.

    Attributes:
        ladder: the rungs.
        objective: ranks the trials of a rung.
        brackets: the number of rungs on which new configurations may start: 1 for plain successive halving.
    """

    ladder: Ladder
    objective: Objective
    brackets: int = 1

    @classmethod
    def from_spec(cls, spec: StudySpec) -> SuccessiveHalving | None:
        """Return the rules of a study with [schedule] kind = "halving" or "hyperband"; None for any other study."""
        if spec.fidelity is None or spec.schedule_kind not in ("halving", "hyperband"):
            return None
        eta = spec.schedule.eta if spec.schedule else 3.0
        ladder = Ladder(spec.fidelity.min, eta, spec.fidelity.max)
        # The last rung is not a bracket: nothing would be promoted from it.
        brackets = max(ladder.top or 1, 1) if spec.schedule_kind == "hyperband" else 1
        return cls(ladder, spec.objectives[0], brackets)

    def start_fidelity(self, trials: Sequence[Trial]) -> float:
        """Return the fidelity at which the next new configuration starts."""
        own = [t for t in trials if not t.is_replicate and t.proposal.source is not Source.DEFAULT]
        started = len({run_key(t) for t in own})
        return self.ladder.rung(start_rung(started, self.brackets, self.ladder.eta))

    def next_promotion(self, trials: Sequence[Trial]) -> Proposal | None:
        """Return the promotion to make now, from the highest rung possible; None if there is none.

        A configuration is compared with all that ran on its rung, from all brackets.
        """
        own = [t for t in trials if not t.is_replicate]
        highest_rung: dict[tuple[object, ...], int] = {}
        for trial in own:
            key = run_key(trial)
            highest_rung[key] = max(highest_rung.get(key, -1), self._rung(trial))
        highest, top = max(highest_rung.values(), default=-1), self.ladder.top
        for rung in range(highest if top is None else min(highest, top - 1), -1, -1):
            finished = {t.number: t for t in own if self._rung(t) == rung and t.state.is_finished}
            values = self._values(finished)
            for number in promotable(values, self.ladder.eta):
                if highest_rung[run_key(finished[number])] == rung:
                    fidelity = self.ladder.rung(rung + 1)
                    rank = sum(value < values[number] for value in values.values()) + 1
                    why = f"trial {number} is promoted to {fidelity:g}: rank {rank} of the {len(finished)} on its rung"
                    return promote(finished[number], fidelity, why)
        return None

    def _rung(self, trial: Trial) -> int:
        fidelity = trial.proposal.fidelity
        if fidelity is None:
            return self.ladder.top if self.ladder.top is not None else 0
        return self.ladder.index(fidelity)

    def _values(self, finished: Mapping[int, Trial]) -> dict[int, float]:
        name, sign = self.objective.metric, self.objective.sign
        return {
            number: sign * t.values.get(name, math.nan) if t.state is TrialState.COMPLETE else math.inf
            for number, t in finished.items()
        }
