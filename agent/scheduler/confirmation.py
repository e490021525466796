"""Decides which configurations run again and on which seeds, so that a lucky trial is not mistaken for a good one.

Three steps, each with its own seeds (replicates/seeds.py): the default is repeated early, to measure noise; one of
several leading configurations is chosen; and the chosen one is compared with the default until it is clear whether it
is better. The best of many noisy values is biased; values on seeds that no choice depended on are not (Eimer et al.
2023, "Hyperparameters in Reinforcement Learning and How To Tune Them").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.repeats.replicates import (
    as_replicate,
    is_replicate_running,
    missing_replicates,
    missing_seeds,
)
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import ConfirmTable
from tunesmith.study.trials.replicates.configurations import is_instance_run
from tunesmith.study.trials.replicates.seeds import (
    choosing_seed,
    confirming_seed,
    is_confirming,
    is_fresh,
    noise_seed,
)
from tunesmith.study.trials.results import baseline_trial, default_trial
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.study.trials.winner import leaderboard
from tunesmith.tools.analysis.confirmation.sequential_test import SequentialDecision, sequential_decision
from tunesmith.tools.analysis.confirmation.significance import Sample, sample
from tunesmith.tools.control.study_reader import study_view

NOISE_RUNS = 2
"""Number of early repetitions of the default; with its first run, three values estimate the noise."""

_MIN_CHOOSING_SEEDS = 2
"""Number of seeds from which on a configuration may leave the choice; one value has no spread."""
_MIN_TRIALS_FOR_NOISE = 20
"""Minimum [budget].trials for repetitions of the default at the start; a smaller study repeats it before the choice."""


class Confirmation:
    """The repetitions that one study still needs. Which trials lead is kept until another trial ends.

    Args:
        spec: the study.

    Attributes:
        steering: the pins and vetoes; no configuration runs again that contradicts them. Of the default, which is the
            baseline, only vetoes are asked.
        remark: why the best configuration is not confirmed, for people; "" if it is.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._led_at: tuple[int, Steering] | None = None
        self._leaders: list[Trial] = []
        self._instances = spec.instance_set
        self.steering = Steering({})
        self.remark = ""

    def noise_runs(self, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the early repetitions of the default that are left; none in a small study.

        None without [confirm], without a seed in the command, or unless the default completed.
        """
        default = default_trial(trials, self._spec.space)
        if self._is_small() or default is None or _is_too_late_for_noise(default, trials):
            return []
        return self._default_again(default, trials)

    def _is_small(self) -> bool:
        return self._spec.budget.trials is not None and self._spec.budget.trials < _MIN_TRIALS_FOR_NOISE

    def _late_noise_runs(self, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the repetitions of a default that has run once only; a choice among lucky values must know the noise.

        That is so in a small study, and in one whose limit was raised. None once a configuration ran on a fresh seed.
        """
        default = default_trial(trials, self._spec.space)
        if default is None or any(t.is_replicate and is_fresh(t.proposal.seed) for t in trials):
            return []
        again = self._default_again(default, trials)
        # Ranking thousands of trials takes longer than the rest, and this is asked in every turn of the loop.
        is_only_one = bool(again) and all(t.number == default.number for t in leaderboard(trials, self._spec))
        return [] if is_only_one else again

    def _default_again(self, default: Trial, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the default's repetitions on tuning seeds that did not start yet."""
        spec = self._spec
        if spec.confirm is None or "seed" not in used_placeholders(spec) or default.state is not TrialState.COMPLETE:
            return []
        if spec.instances is not None:
            return []  # runs on instances show the noise
        if self.steering.veto_of(default.params) or _is_a_stage(default, spec):
            return []
        seeds = [noise_seed(spec.study.seed, index) for index in range(NOISE_RUNS)]
        why = "the default again, to measure noise"
        return [as_replicate(default, seed, why) for seed in missing_seeds(default, seeds, trials)]

    def _is_noise_measured_now(self, trials: Sequence[Trial]) -> bool:
        """Return whether one of these repetitions has not ended: the choice waits for it."""
        seeds = {noise_seed(self._spec.study.seed, index) for index in range(NOISE_RUNS)}
        return any(t.is_replicate and not t.state.is_finished and t.proposal.seed in seeds for t in trials)

    def seconds_needed(self, trial_s: float, slots: int) -> float:
        """Return the time for confirmation if the first comparison is clear, with trials of `trial_s` seconds each."""
        if self._spec.confirm is None:
            return 0.0
        confirm = self._spec.confirm
        if confirm.command is not None:
            # Judging all leaders is planned to take as long as a trial.
            return trial_s * (1 + math.ceil(confirm.first_seeds * (confirm.leaders + 1) / slots))
        choosing = confirm.first_seeds * confirm.leaders if confirm.leaders > 1 else 0
        choosing += NOISE_RUNS if self._is_small() else 0
        return trial_s * (math.ceil(choosing / slots) + math.ceil(2 * confirm.first_seeds / slots))

    def next_replicates(self, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the repetitions to run next, configurations interleaved; [] while some still run, and at the end."""
        if self._spec.confirm is None:
            return []
        if self._spec.confirm.command is not None:
            return missing_replicates(self.judged(trials), self.judged_seeds(), trials)
        if (noise := self._late_noise_runs(trials)) or self._is_noise_measured_now(trials):
            return noise
        leading = self._leading(trials)
        if not leading:
            return []
        seeds = [choosing_seed(self._spec.study.seed, index) for index in range(self._spec.confirm.first_seeds)]
        if len(leading) > 1:
            missing = self._choosing_replicates(leading, seeds, trials)
            if missing or is_replicate_running(trials):
                return missing
        chosen = min(leading, key=lambda t: self._sort_key(t, trials, seeds, leading))
        return self._against_default(chosen, trials)

    def judged_seeds(self) -> list[int]:
        """Return the seeds on which every configuration runs that hidden data judge; [] to judge the trials' files."""
        count = self._spec.confirm.first_seeds if self._spec.confirm is not None else 0
        return [choosing_seed(self._spec.study.seed, index) for index in range(count)]

    def judged(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return what the command of [confirm] judges: the leaders by the search, best first, and the default.

        Repeats on fresh seeds do not change who leads, so that a run that was killed judges the same configurations.
        """
        spec, tuned = self._spec, [t for t in trials if not is_fresh(t.proposal.seed)]
        default, complete = baseline_trial(tuned, spec), leaderboard(tuned, spec)
        allowed = self._allowed(complete) if complete else []
        others = [t for t in allowed if default is None or t.number != default.number]
        if spec.confirm is None or not others:
            return []
        groups = _by_code(others)
        ranked = [t for group in groups for t in self._ranked(group, tuned)]
        leading = self._first_of_each_code(ranked) if len(groups) > 1 else ranked
        return [*leading[: spec.confirm.leaders], *([default] if default is not None else [])]

    def _choosing_replicates(
        self, leading: Sequence[Trial], seeds: Sequence[int], trials: Sequence[Trial]
    ) -> list[Proposal]:
        """Return the repetitions that the choice needs next: one seed after another, until it is clear.

        A configuration leaves the comparison once it is clearly behind the best one on the same seeds, or once further
        seeds would hardly tell them apart.
        """
        left = list(leading)
        for count in range(min(_MIN_CHOOSING_SEEDS, len(seeds)), len(seeds) + 1):
            missing = missing_replicates(left, seeds[:count], trials)
            if missing or is_replicate_running(trials):
                return missing
            left = self._undecided(left, seeds[:count], trials)
            if len(left) == 1:
                break
        return []

    def _undecided(self, leading: Sequence[Trial], seeds: Sequence[int], trials: Sequence[Trial]) -> list[Trial]:
        """Return the best trial on these seeds, and those that more seeds may still put before it."""
        assert self._spec.confirm is not None  # noqa: S101  # `next_replicates` checked it
        sign, most = self._spec.objectives[0].sign, self._spec.confirm.first_seeds
        samples = {t.number: self._sample(t, trials, seeds) for t in leading}
        best = min(leading, key=lambda t: self._sort_key(t, trials, seeds, leading))
        found = samples[best.number]
        open_ones = [best]
        for trial in leading:
            other = samples[trial.number]
            if trial is best or found is None or other is None:
                continue
            if sequential_decision(found, other, sign=sign, most=most) is SequentialDecision.CONTINUE:
                open_ones.append(trial)
        return open_ones

    def _against_default(self, chosen: Trial, trials: Sequence[Trial]) -> list[Proposal]:
        """Return what the next comparison of the chosen trial with the default needs; [] once it is clear."""
        assert self._spec.confirm is not None  # noqa: S101  # `next_replicates` checked it
        confirm, default = self._spec.confirm, baseline_trial(trials, self._spec)
        is_alone = default is None or bool(self.steering.veto_of(default.params))
        compared = [chosen] if default is None or is_alone else [default, chosen]
        for count in self._looks(confirm):
            seeds = [confirming_seed(self._spec.study.seed, index) for index in range(count)]
            missing = missing_replicates(compared, seeds, trials)
            if missing:
                return [self._placed(proposal, seeds.index(proposal.seed)) for proposal in missing]
            if is_alone or is_replicate_running(trials) or self._is_clear(chosen, compared[0], trials, seeds):
                return []
        return []

    def _looks(self, confirm: ConfirmTable) -> list[int]:
        """Return the numbers of seeds after which the comparison is looked at.

        On held-out instances without a seed in the command, each instance runs once.
        """
        if self._instances is None or "seed" in used_placeholders(self._spec):
            return [*range(confirm.first_seeds, confirm.most + 1, confirm.first_seeds)]
        most = min(confirm.most, len(self._instances.held_out))
        return sorted(
            {min(count, most) for count in range(confirm.first_seeds, most + confirm.first_seeds, confirm.first_seeds)}
        )

    def _placed(self, proposal: Proposal, index: int) -> Proposal:
        """Return a replicate on the instance of this place in the comparison."""
        if self._instances is None:
            return proposal
        held_out = "a held-out instance" if self._instances.held_out else "a fresh seed"
        why = f"trial {proposal.replicate_of} again on {held_out}"
        return replace(proposal, instance=self._instances.fresh(index), rationale=why)

    def _is_clear(self, chosen: Trial, default: Trial, trials: Sequence[Trial], seeds: Sequence[int]) -> bool:
        """Return whether further seeds are not needed to tell if the chosen trial beats the default."""
        assert self._spec.confirm is not None  # noqa: S101  # `next_replicates` checked it
        sign, most = self._spec.objectives[0].sign, self._looks(self._spec.confirm)[-1]
        candidate, reference = (self._sample(t, trials, seeds) for t in (chosen, default))
        if candidate is None or reference is None:
            return True
        return sequential_decision(candidate, reference, sign=sign, most=most) is not SequentialDecision.CONTINUE

    def _leading(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the best trials by the sampler's model, which shrinks lucky values towards their neighbours."""
        finished = sum(t.state.is_finished and t.counts and _is_for_choice(t) for t in trials)
        if (finished, self.steering) != self._led_at:
            self._led_at, self._leaders = (finished, self.steering), self._choose(trials)
        return self._leaders

    def _choose(self, trials: Sequence[Trial]) -> list[Trial]:
        spec = self._spec
        complete, default = leaderboard(trials, spec), default_trial(trials, spec.space)
        if spec.confirm is None or not complete or (default is not None and complete[0].number == default.number):
            return []
        complete = self._allowed(complete)
        if not complete or (default is not None and complete[0].number == default.number):
            return []
        if self._instances is not None:
            return [complete[0]]  # the race chose it
        groups = _by_code(complete)
        ranked = [t for group in groups for t in self._ranked(group, trials)]
        ranked = [t for t in ranked if default is None or t.number != default.number]
        if len(groups) == 1 or not ranked:
            leading = ranked[: spec.confirm.leaders]
        else:
            leading = self._first_of_each_code(ranked)[: self._leader_count(complete)]
        # After an earlier confirmation the model may rank one of its configurations before the trial that the study
        # names: nothing would be left to run, and what it names would stay unconfirmed.
        return _with_first(complete[0], leading) if _is_unconfirmed_leader(complete[0], trials) else leading

    def _allowed(self, complete: Sequence[Trial]) -> list[Trial]:
        """Return the trials that respect the pins and vetoes; remark on the best one if it does not."""
        best = complete[0]
        objection = self.steering.objection(best.params)
        self.remark = f"trial {best.number} is the best, but is not confirmed: {objection}" if objection else ""
        return [t for t in complete if not self.steering.objection(t.params)]

    def _leader_count(self, complete: Sequence[Trial]) -> int:
        """Return [confirm].top, but 2 at least if several versions of the code completed: then two versions lead."""
        assert self._spec.confirm is not None  # noqa: S101  # `_choose` checked it
        return max(self._spec.confirm.leaders, min(len(_by_code(complete)), 2))

    def _ranked(self, complete: Sequence[Trial], trials: Sequence[Trial]) -> list[Trial]:
        """Return complete trials of one version of the code, best first, by a model of this version's trials only."""
        spec, code = self._spec, complete[0].proposal.code
        if len(spec.objectives) > 1:
            return list(complete)
        own = [t for t in trials if t.proposal.code == code]
        view = replace(study_view(spec, own), number=len(trials))
        if not all(spec.space.contains(t.params) for t in complete):
            return list(complete)  # the version has parameters that this space does not have
        return BayesSampler().rank(view, complete)

    def _first_of_each_code(self, ranked: Sequence[Trial]) -> list[Trial]:
        """Return the best trial of each version of the code, then all others.

        The best version comes first and the user's own code second, so that the study measures what edits gain over
        configurations only.
        """
        objective = self._spec.objectives[0]
        codes: set[str] = set()
        first: list[Trial] = []
        others: list[Trial] = []
        for trial in ranked:
            (others if trial.proposal.code in codes else first).append(trial)
            codes.add(trial.proposal.code)
        best, *rest = sorted(first, key=lambda t: objective.sign * t.values[objective.metric])
        return [best, *sorted(rest, key=lambda t: bool(t.proposal.code)), *others]

    def _sort_key(self, trial: Trial, trials: Sequence[Trial], seeds: Sequence[int], leading: Sequence[Trial]) -> float:
        """Return the mean on the seeds for choosing, to be minimized; inf without one, unless only one trial leads."""
        if found := self._sample(trial, trials, seeds):
            return self._spec.objectives[0].sign * found.mean
        return math.inf if len(leading) > 1 else 0.0

    def _sample(self, trial: Trial, trials: Sequence[Trial], seeds: Sequence[int]) -> Sample | None:
        objective, wanted = self._spec.objectives[0], set(seeds)
        runs = [
            (values[0], t.proposal.instance)
            for t in trials
            if t.proposal.replicate_of == trial.number and t.proposal.seed in wanted and t.counts
            if (values := objective_values(t, (objective,))) is not None
        ]
        return sample([value for value, _ in runs], [instance for _, instance in runs if instance])


def _is_unconfirmed_leader(leader: Trial, trials: Sequence[Trial]) -> bool:
    """Return whether others ran on confirmation seeds, and this one on no fresh seed."""
    fresh = [t.proposal for t in trials if t.is_replicate and is_fresh(t.proposal.seed)]
    began = any(is_confirming(proposal.seed) for proposal in fresh)
    return began and all(proposal.replicate_of != leader.number for proposal in fresh)


def _with_first(first: Trial, leading: Sequence[Trial]) -> list[Trial]:
    """Return as many trials as lead, this one as the first of them."""
    return [first, *(t for t in leading if t.number != first.number)][: max(len(leading), 1)]


def _is_a_stage(trial: Trial, spec: StudySpec) -> bool:
    """Return whether a trial of a study with branches ended before a full run."""
    fidelity, is_branched = trial.proposal.fidelity, spec.schedule_kind == "branches"
    return is_branched and spec.fidelity is not None and fidelity is not None and fidelity < spec.fidelity.max


def _is_too_late_for_noise(default: Trial, trials: Sequence[Trial]) -> bool:
    """Return whether tuning continued without repetitions of the default; a limit that was raised later brings none."""
    if any(t.proposal.replicate_of == default.number for t in trials):
        return False
    proposed = (Source.SAMPLER, Source.LLM, Source.FALLBACK)
    ended_at = default.ended_at or math.inf
    return any(t.proposal.source in proposed and t.created_at > ended_at for t in trials)


def _by_code(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Return the trials of each version of the code; versions are ordered by their first trial."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.proposal.code, []).append(trial)
    return list(groups.values())


def _is_for_choice(trial: Trial) -> bool:
    return not trial.is_replicate or is_instance_run(trial)
