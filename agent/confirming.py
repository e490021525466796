"""Which configurations still have to run on fresh seeds, so that a lucky trial is not taken for a good one.

Pure: trials in, proposals out. The best value among many noisy trials flatters itself; values on seeds that tuning
never saw do not (Eimer et al. 2023, "Hyperparameters in Reinforcement Learning and How To Tune Them").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.agent.arbiter import confirming_seed
from tunesmith.study.results import candidates, default_trial
from tunesmith.study.spec import StudySpec
from tunesmith.study.trial import Proposal, Source, Trial


def replicates_due(spec: StudySpec, trials: Sequence[Trial]) -> list[Proposal]:
    """Return the replicates that [confirm] asks for and that no trial covers yet, configurations interleaved.

    The default runs beside the best ones, on the same seeds, so that the two are compared fairly.
    """
    if spec.confirm is None:
        return []
    best = candidates(trials, spec.objectives, spec.bounds)[: spec.confirm.top]
    default = default_trial(trials)
    if not best or (default is not None and best[0].number == default.number):
        return []
    chosen = {trial.number: trial for trial in [*([default] if default else []), *best]}
    done = {(t.proposal.replicate_of, t.proposal.seed) for t in trials if t.is_replicate}
    seeds = [confirming_seed(spec.study.seed, index) for index in range(spec.confirm.seeds)]
    return [_replicate(trial, seed) for seed in seeds for trial in chosen.values() if (trial.number, seed) not in done]


def _replicate(trial: Trial, seed: int) -> Proposal:
    return replace(
        trial.proposal,
        source=Source.CONFIRM,
        seed=seed,
        rationale=f"trial {trial.number} again on a fresh seed",
        prediction=None,
        fallback_reason="",
        replicate_of=trial.number,
    )
