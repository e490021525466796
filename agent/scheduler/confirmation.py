"""Which configurations run again and on which seeds, so that a lucky trial is not taken for a good one.

Three steps, each on seeds of its own (study/trials/seeds.py): the default is repeated early, to measure noise; of
several
leading configurations one is chosen; and that one is held against the default, until it is clear whether it is better.
The best value among many noisy trials flatters itself; values on seeds that no choice was made by do not (Eimer et al.
2023, "Hyperparameters in Reinforcement Learning and How To Tune Them").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import placeholders
from tunesmith.study.trials.results import candidates, default_trial
from tunesmith.study.trials.seeds import choosing_seed, confirming_seed, noise_seed
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.tools.analysis.sequential_test import SequentialDecision, sequential_decision
from tunesmith.tools.analysis.significance import Sample, sample
from tunesmith.tools.control.study_reader import study_view

NOISE_RUNS = 2
"""So often the default runs again, early: with its first run three values tell how much chance there is."""

_WORTH_IT = 20
"""A study of fewer trials keeps them for tuning."""


class Confirmation:
    """What is left to repeat in one study. Its choice is kept as long as no further trial ends; all else is recomputed.

    Args:
        spec: the study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._chosen_at = -1
        self._chosen: list[Trial] = []

    def noise_due(self, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the repetitions of the default that are due early; none when seeds make no difference to the command.

        Only a study with [confirm] asks how sure things are.
        """
        spec, default = self._spec, default_trial(trials)
        long_enough = spec.budget.trials is None or spec.budget.trials >= _WORTH_IT
        if spec.confirm is None or not long_enough or "seed" not in placeholders(spec.run.command):
            return []
        if default is None or default.state is not TrialState.COMPLETE:
            return []
        seeds = [noise_seed(spec.study.seed, index) for index in range(NOISE_RUNS)]
        return [
            _again(default, seed, "the default again: how much is chance?") for seed in _left(default, seeds, trials)
        ]

    def seconds_needed(self, trial_s: float, slots: int) -> float:
        """Return how long confirming takes when the first look is clear, with trials of `trial_s` seconds each."""
        if self._spec.confirm is None:
            return 0.0
        confirm = self._spec.confirm
        choosing = confirm.seeds * confirm.top if confirm.top > 1 else 0
        return trial_s * (math.ceil(choosing / slots) + math.ceil(2 * confirm.seeds / slots))

    def due(self, trials: Sequence[Trial]) -> list[Proposal]:
        """Return the repetitions to run next, configurations interleaved; none while some still run, or at the end."""
        if self._spec.confirm is None:
            return []
        leading = self._leading(trials)
        if not leading:
            return []
        seeds = [choosing_seed(self._spec.study.seed, index) for index in range(self._spec.confirm.seeds)]
        if len(leading) > 1:
            missing = [_again(t, s, _told(t)) for s in seeds for t in leading if s in _left(t, [s], trials)]
            if missing:
                return missing
            if _some_run(trials):
                return []
        chosen = min(leading, key=lambda t: self._mean(t, trials, seeds, leading))
        return list(self._against_default(chosen, trials))

    def _against_default(self, chosen: Trial, trials: Sequence[Trial]) -> Iterator[Proposal]:
        """Yield what the next look at the chosen one and the default needs; nothing once it is clear."""
        assert self._spec.confirm is not None  # noqa: S101  # asked for by `due` alone
        confirm, default = self._spec.confirm, default_trial(trials)
        rivals = [chosen] if default is None or default.state is not TrialState.COMPLETE else [default, chosen]
        for look in range(confirm.seeds, confirm.most + 1, confirm.seeds):
            seeds = [confirming_seed(self._spec.study.seed, index) for index in range(look)]
            missing = [_again(t, s, _told(t)) for s in seeds for t in rivals if s in _left(t, [s], trials)]
            if missing:
                yield from missing
                return
            if _some_run(trials) or len(rivals) == 1 or self._is_clear(chosen, rivals[0], trials, seeds):
                return

    def _is_clear(self, chosen: Trial, default: Trial, trials: Sequence[Trial], seeds: Sequence[int]) -> bool:
        assert self._spec.confirm is not None  # noqa: S101  # as above
        objective = self._spec.objectives[0]
        best, reference = (self._sample(t, trials, seeds) for t in (chosen, default))
        if best is None or reference is None:
            return True
        return (
            sequential_decision(best, reference, sign=objective.sign, most=self._spec.confirm.most)
            is not SequentialDecision.CONTINUE
        )

    def _leading(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the configurations that promise most, as the sampler's model sees them: it knows which were lucky."""
        finished = sum(t.state.is_finished and not t.is_replicate for t in trials)
        if finished != self._chosen_at:
            self._chosen_at, self._chosen = finished, self._choose(trials)
        return self._chosen

    def _choose(self, trials: Sequence[Trial]) -> list[Trial]:
        spec = self._spec
        able, default = candidates(trials, spec.objectives, spec.bounds), default_trial(trials)
        if spec.confirm is None or not able or (default is not None and able[0].number == default.number):
            return []
        groups = by_code(able)
        ranked = [t for group in groups for t in self._ranked(group, trials)]
        ranked = [t for t in ranked if default is None or t.number != default.number]
        if len(groups) == 1 or not ranked:
            return ranked[: spec.confirm.top]
        return self._first_of_each_code(ranked)[: self._wanted(able)]

    def _wanted(self, able: Sequence[Trial]) -> int:
        """Return how many lead: one more than asked for where code was edited, so that edits are told from chance."""
        assert self._spec.confirm is not None  # noqa: S101  # asked for by `_choose` alone
        return max(self._spec.confirm.top, min(len(by_code(able)), 2))

    def _ranked(self, able: Sequence[Trial], trials: Sequence[Trial]) -> list[Trial]:
        """Return trials of one version of the code, the most promising first: its own trials alone tell of it."""
        spec, code = self._spec, able[0].proposal.code
        if len(spec.objectives) > 1:
            return list(able)
        own = [t for t in trials if t.proposal.code == code]
        view = replace(study_view(spec, own), number=len(trials))
        if not all(spec.space.contains(t.params) for t in able):
            return list(able)  # a version with parameters of its own, of which this space knows nothing
        return BayesSampler().rank(view, able)

    def _first_of_each_code(self, ranked: Sequence[Trial]) -> list[Trial]:
        """Return the leaders of the versions of the code: the best one's, that of the user's own code, then all others.

        So a study tells what its edits gain over configurations alone.
        """
        objective = self._spec.objectives[0]
        codes: set[str] = set()
        first: list[Trial] = []
        rest: list[Trial] = []
        for trial in ranked:
            (rest if trial.proposal.code in codes else first).append(trial)
            codes.add(trial.proposal.code)
        best, *others = sorted(first, key=lambda t: objective.sign * t.values[objective.metric])
        return [best, *sorted(others, key=lambda t: bool(t.proposal.code)), *rest]

    def _mean(self, trial: Trial, trials: Sequence[Trial], seeds: Sequence[int], leading: Sequence[Trial]) -> float:
        """Return a sort key: the mean on the seeds for choosing, the place in the ranking where there is none."""
        found = self._sample(trial, trials, seeds)
        return self._spec.objectives[0].sign * found.mean if found else float("inf") if len(leading) > 1 else 0.0

    def _sample(self, trial: Trial, trials: Sequence[Trial], seeds: Sequence[int]) -> Sample | None:
        objective, wanted = self._spec.objectives[0], set(seeds)
        values = [
            objective_values(t, (objective,))
            for t in trials
            if t.proposal.replicate_of == trial.number and t.proposal.seed in wanted
        ]
        return sample([v[0] for v in values if v is not None])


def by_code(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Return the trials of each version of the code, in the order in which the versions come first."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.proposal.code, []).append(trial)
    return list(groups.values())


def _left(trial: Trial, seeds: Sequence[int], trials: Sequence[Trial]) -> list[int]:
    done = {t.proposal.seed for t in trials if t.proposal.replicate_of == trial.number}
    return [seed for seed in seeds if seed not in done]


def _some_run(trials: Sequence[Trial]) -> bool:
    return any(t.is_replicate and not t.state.is_finished for t in trials)


def _told(trial: Trial) -> str:
    return f"trial {trial.number} again on a fresh seed"


def _again(trial: Trial, seed: int, rationale: str) -> Proposal:
    return replace(
        trial.proposal,
        source=Source.CONFIRM,
        seed=seed,
        rationale=rationale,
        prediction=None,
        rival=None,
        considered=(),
        fallback_reason="",
        replicate_of=trial.number,
        parent=None,
    )
