"""Optuna's TPE with its default settings, and with asynchronous halving, Hyperband or no pruner."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tunesmith.agent.sampler.alternatives.optuna_samplers import ask_each
from tunesmith.bench.epochs.meter import BudgetSpent, Meter
from tunesmith.bench.epochs.task import CurveTask
from tunesmith.tools.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    import optuna


def run_optuna(pruner: Callable[[CurveTask], optuna.pruners.BasePruner], meter: Meter, seed: int) -> None:
    """Spend the meter's epochs on Optuna's trials with its default TPE and this pruner."""
    import optuna  # 0.2 s

    task = meter.task
    with warnings.catch_warnings(), quiet_optuna():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner(task))
        try:
            while True:
                _run_trial(study, meter)
        except BudgetSpent:
            return


def _run_trial(study: optuna.Study, meter: Meter) -> None:
    import optuna

    trial = study.ask()
    training = meter.start(ask_each(trial, meter.task.space))
    value = float("inf")
    while not training.is_over:
        step, value = training.advance()
        trial.report(value, int(step))
        if not training.is_over and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, value)


def _halving(task: CurveTask) -> optuna.pruners.BasePruner:
    import optuna

    return optuna.pruners.SuccessiveHalvingPruner(min_resource=int(task.steps[0]))


def _hyperband(task: CurveTask) -> optuna.pruners.BasePruner:
    import optuna

    return optuna.pruners.HyperbandPruner(min_resource=int(task.steps[0]), max_resource=int(task.end))


def _none(task: CurveTask) -> optuna.pruners.BasePruner:  # noqa: ARG001  # every pruner is made from the task
    import optuna

    return optuna.pruners.NopPruner()


MAKERS = {
    "optuna-asha": partial(run_optuna, _halving),
    "optuna-hyperband": partial(run_optuna, _hyperband),
    "optuna-tpe": partial(run_optuna, _none),
}
