"""An Optuna study in an RDB (.db or a URL) or a journal (.journal, .log): results as trials, points as its queue."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.tools.interop.optuna.storage import is_url, open_storage, quietly
from tunesmith.tools.interop.study_export import Handover

if TYPE_CHECKING:
    import optuna


def export(handover: Handover, out: str) -> list[str]:
    """Add a study to the storage; a failure half-way removes it again, a new file altogether.

    Raises:
        ProjectError: the storage cannot be written.
        SpecError: it has a study of that name, or Optuna cannot hold the space.
    """
    is_new = not is_url(out) and not Path(out).exists()
    if is_new and not Path(out).absolute().parent.is_dir():
        raise ProjectError(f"{out} cannot be written: there is no folder {Path(out).parent}")
    with quietly():
        try:
            _write(handover, out)
        except BaseException:
            if is_new:
                Path(out).unlink(missing_ok=True)
            raise
    address = out if is_url(out) else f"sqlite:///{out}" if Path(out).suffix == ".db" else out
    return [f'continue with: optuna.load_study(study_name="{handover.name}", storage=...) on {address}']


def _write(handover: Handover, out: str) -> None:
    import optuna

    storage = open_storage(out)
    try:
        study = optuna.create_study(
            study_name=handover.name,
            storage=storage,
            directions=[o.direction.value for o in handover.objectives],
        )
    except optuna.exceptions.DuplicatedStudyError:
        message = f"{handover.name!r} is there already; name another storage with -o, or delete it there first"
        raise SpecError([Mistake("study", message)], where=out) from None
    try:
        study.set_metric_names([o.metric for o in handover.objectives])
        study.add_trials(list(_frozen(handover)))
        for params in handover.points:
            study.enqueue_trial(dict(params), user_attrs={"source": "tunesmith"})
    except BaseException:
        optuna.delete_study(study_name=handover.name, storage=storage)
        raise


def _frozen(handover: Handover) -> Iterable[optuna.trial.FrozenTrial]:
    import optuna

    from tunesmith.tools.interop.optuna.space import distribution_of

    distributions = {name: distribution_of(p) for name, p in handover.space.parameters.items()}
    states = optuna.trial.TrialState
    for trial in handover.trials:
        values = objective_values(trial, handover.objectives)
        stopped = trial.state is TrialState.STOPPED
        state = states.PRUNED if stopped else states.FAIL if values is None else states.COMPLETE
        so_far = trial.values.get(handover.objectives[0].metric) if stopped else None
        with warnings.catch_warnings():
            # A category that is neither text nor number does not occur here; its warning would.
            warnings.simplefilter("ignore", UserWarning)
            yield optuna.trial.create_trial(
                state=state,
                values=None if values is None else list(values),
                params=dict(trial.params),
                distributions={name: distributions[name] for name in trial.params},
                intermediate_values={} if so_far is None else {0: so_far},
                constraints=_constraints(handover, trial) if values is not None else None,
                user_attrs=_attributes(trial),
            )


def _constraints(handover: Handover, trial: Trial) -> dict[str, float] | None:
    known = {c.metric: c.violation(trial.values[c.metric]) for c in handover.constraints if c.metric in trial.values}
    return known or None


def _attributes(trial: Trial) -> dict[str, Any]:
    failure = {"failure": f"{trial.failure.kind.value}: {trial.failure.reason}"} if trial.failure else {}
    return {"source": trial.proposal.source.value, "tunesmith_number": trial.number, **failure}
