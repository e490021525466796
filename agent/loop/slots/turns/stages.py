"""How far a trial runs at first, and which one continues: the schedules that run a configuration in several stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.scheduler.branches import Branches
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.agent.scheduler.pausing import resume_paused
from tunesmith.agent.scheduler.pbt import Population
from tunesmith.agent.scheduler.successive_halving import SuccessiveHalving
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.results import present_trials
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView

MIN_RUNS_LEFT = 0.5
"""Full runs that the budget must still allow for another trial to start."""


class Stages:
    """The [schedule] of one study: a population, successive halving, branches of a plateau, or pauses by curves.

    Args:
        spec: the study.
        sampler: proposes the members of a population.
        early_stopping: the forecasts of the curves of paused trials.
    """

    def __init__(self, spec: StudySpec, sampler: Sampler, early_stopping: EarlyStopping) -> None:
        self._sampler, self._early_stopping = sampler, early_stopping
        self._halving, self._population = SuccessiveHalving.from_spec(spec), Population.from_spec(spec)
        self._branches = Branches.from_spec(spec)

    def allow(self, left: float) -> bool:
        """Return whether this number of full runs is enough for another trial, which branches make shorter."""
        if self._branches is None:
            return left >= MIN_RUNS_LEFT
        return left > self._branches.least_run * MIN_RUNS_LEFT

    def has_next(self, trials: Sequence[Trial]) -> bool:
        """Return whether a plateau that started has another stage to run."""
        return self._branches is not None and self._branches.next_stage(trials) is not None

    def must_wait(self, trials: Sequence[Trial]) -> bool:
        """Return whether the next generation needs a member that still runs."""
        return self._population is not None and self._population.must_wait(trials)

    def must_wait_for_trunk(self, trials: Sequence[Trial]) -> bool:
        """Return whether new configurations wait for the plateau that they branch from."""
        return self._branches is not None and self._branches.must_wait(trials)

    def resumed(self, view: StudyView, steering: Steering) -> Proposal | None:
        """Return an earlier configuration that is promoted or resumed now; None if there is none."""
        # A configuration from before the space changed cannot go on: its command line would be another one's.
        view = replace(view, trials=present_trials(view.trials, view.space))
        if self._population is None:
            allowed = (t for t in view.trials if t.state is not TrialState.STOPPED or not steering.objection(t.params))
            view = replace(view, trials=list(allowed))
        if self._halving is not None:
            return self._halving.next_promotion(view.trials)
        if self._population is not None:
            return self._population.next_generation(view, self._sampler)
        if self._branches is not None:
            return self._branches.next_stage(view.trials)
        forecasts = self._early_stopping.forecasts(view.trials)
        return None if forecasts is None else resume_paused(view, forecasts)

    def first(self, proposal: Proposal, view: StudyView) -> Proposal:
        """Return a proposal at the fidelity of its first rung, or at its first stage.

        The default, as the baseline, runs at full fidelity; with branches in stages, which others share.
        """
        if self._population is not None:
            return self._population.first_generation(proposal)
        if self._branches is not None:
            return self._branches.placed(proposal, view)
        if self._halving is None or proposal.source is Source.DEFAULT:
            return proposal
        return replace(proposal, fidelity=self._halving.start_fidelity(view.trials))
