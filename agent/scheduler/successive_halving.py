"""Which earlier configuration goes on, before a new one is begun: a stopped trial, or one that is due on the next rung.

Pure: trials and what their curves promise in, a proposal out. A trial that goes on is a new trial of the same
configuration; whether its script goes on from a checkpoint or starts again is the script's affair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.agent.scheduler.curve_forecasts import Foresight
from tunesmith.agent.scheduler.pausing import Resting
from tunesmith.agent.scheduler.rules import Ladder, bracket, percent, survivors
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.results import incumbent
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective, StudyView, same_run

LAST_CHANCE = 0.02
"""Near the end of the budget a resting trial goes on when it has such a chance to be best, the best chance first."""


def resting_due(view: StudyView, foresight: Foresight) -> Proposal | None:
    """Return the resting trial that goes on now, None when none is due."""
    resting = Resting(view, foresight)
    found = resting.due()
    if found is not None:
        trial, place = found
        why = f"trial {trial.number} goes on: number {place.rank} of the {place.count} that came as far"
        return _again(trial, view.fidelity.max if view.fidelity else None, why)
    top = incumbent(view.trials, view.objectives, view.constraints)
    if top is None:
        return None
    objective = view.objectives[0]
    last = resting.last_hope(objective.sign * top.values[objective.metric])
    if last is None or last[1] < LAST_CHANCE:
        return None
    trial, chance = last
    why = f"trial {trial.number} goes on: {percent(chance)} chance to be best, and the budget ends soon"
    return _again(trial, view.fidelity.max if view.fidelity else None, why)


@dataclass(frozen=True, slots=True)
class Rungs:
    """Asynchronous successive halving by promotion, and Hyperband's brackets on it (Li et al. 2018, 2020).

    Attributes:
        ladder: the fidelities.
        objective: what decides who goes on.
        brackets: how many rungs new configurations may start on: 1 for successive halving.
    """

    ladder: Ladder
    objective: Objective
    brackets: int = 1

    @classmethod
    def of(cls, spec: StudySpec) -> Rungs | None:
        """Return the rungs of a study that is paced by them, None for any other."""
        if spec.fidelity is None or spec.pace not in ("halving", "hyperband"):
            return None
        eta = spec.schedule.eta if spec.schedule else 3.0
        ladder = Ladder(spec.fidelity.min, eta, spec.fidelity.max)
        # The last rung alone is no bracket: it would stop nothing.
        brackets = max(ladder.top or 1, 1) if spec.pace == "hyperband" else 1
        return cls(ladder, spec.objectives[0], brackets)

    def start(self, trials: Sequence[Trial]) -> float:
        """Return the fidelity at which the next new configuration starts."""
        begun = len({same_run(t) for t in trials if not t.is_replicate and t.proposal.source is not Source.DEFAULT})
        return self.ladder.rung(bracket(begun, self.brackets, self.ladder.eta))

    def due(self, trials: Sequence[Trial]) -> Proposal | None:
        """Return who goes on to a higher rung now, from the highest rung possible; None when nobody is due.

        Configurations are compared with all that ran on their rung, whichever bracket they began in.
        """
        own = [t for t in trials if not t.is_replicate]
        reached: dict[tuple[object, ...], int] = {}
        for trial in own:
            key = same_run(trial)
            reached[key] = max(reached.get(key, -1), self._rung(trial))
        highest = max(reached.values(), default=-1)
        top = self.ladder.top
        for rung in range(highest if top is None else min(highest, top - 1), -1, -1):
            here = {t.number: t for t in own if self._rung(t) == rung and t.state.is_finished}
            for number in survivors(self._values(here), self.ladder.eta):
                trial = here[number]
                if reached[same_run(trial)] == rung:
                    to = self.ladder.rung(rung + 1)
                    place = _place(number, here, self._values(here))
                    return _again(trial, to, f"trial {number} goes on to {to:g}: {place}")
        return None

    def _rung(self, trial: Trial) -> int:
        fidelity = trial.proposal.fidelity
        if fidelity is None:
            return self.ladder.top if self.ladder.top is not None else 0
        return self.ladder.index(fidelity)

    def _values(self, here: Mapping[int, Trial]) -> dict[int, float]:
        name, sign = self.objective.metric, self.objective.sign
        return {
            number: sign * t.values.get(name, math.nan) if t.state is TrialState.COMPLETE else math.inf
            for number, t in here.items()
        }


def _place(number: int, here: Mapping[int, Trial], values: Mapping[int, float]) -> str:
    rank = sum(value < values[number] for value in values.values()) + 1
    return f"number {rank} of the {len(here)} that ran as far"


def _again(trial: Trial, fidelity: float | None, rationale: str) -> Proposal:
    proposal = trial.proposal
    source = Source.SAMPLER if proposal.source is Source.FALLBACK else proposal.source
    return replace(
        proposal,
        fidelity=fidelity,
        source=source,
        rationale=rationale,
        fallback_reason="",
        considered=(),
        parent=trial.number,
    )
