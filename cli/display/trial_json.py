"""A trial as JSON values, for every `--json`; nan and infinity become null."""

from __future__ import annotations

from typing import Any

from tunesmith.study.formatting import json_number
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import Winner


def trial_json(trial: Trial) -> dict[str, Any]:
    """Return what is known of a trial as JSON values; times are seconds since the epoch."""
    outcome, failure = trial.outcome, trial.failure
    usage = outcome.usage if outcome else None
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "source": trial.proposal.source.value,
        "rationale": trial.proposal.rationale,
        "fallback_reason": trial.proposal.fallback_reason,
        "replicate_of": trial.proposal.replicate_of,
        "params": dict(trial.params),
        "fidelity": trial.proposal.fidelity,
        "seed": trial.proposal.seed,
        "instance": trial.proposal.instance or None,
        "instances": {name: json_number(value) for name, value in trial.runs.values.items()} if trial.runs else None,
        "attempt": trial.attempt,
        "values": {name: json_number(value) for name, value in trial.values.items()},
        "failure": {"kind": failure.kind.value, "reason": failure.reason, "scope": failure.scope.value}
        if failure
        else None,
        "forgotten": trial.forgotten,
        "note": outcome.note if outcome else "",
        "wall_s": usage.wall_s if usage else None,
        "cpu_s": usage.cpu_s if usage else None,
        "gpu_s": usage.gpu_s if usage else None,
        "peak_rss_gib": usage.peak_rss_gib if usage else None,
        "gpu_mem_gib": usage.gpu_mem_gib if usage else None,
        "gpu_busy": usage.gpu_busy if usage else None,
        "energy_j": usage.energy_j if usage else None,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
    }


def winner_json(winner: Winner | None) -> dict[str, Any]:
    """Return how certain the best is: its value on one seed, the expected one, and what that rests on."""
    return {
        "best_value_on_one_seed": winner.value if winner else None,
        "best_expected": winner.expected if winner else None,
        "best_seeds": winner.seeds if winner else None,
        "best_is_confirmed": winner.is_confirmed if winner else None,
        "noise_between_seeds": winner.noise if winner else None,
    }
