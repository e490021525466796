"""Exports to an Optuna storage, an RDB (.db or URL) or a journal: results become trials, points are enqueued."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.tools.interop.export.formulas import arm_remarks
from tunesmith.tools.interop.optuna.storage import is_url, open_storage, quiet_storage
from tunesmith.tools.interop.study_export import StudyExport

if TYPE_CHECKING:
    import optuna


def export(exported: StudyExport, out: str) -> list[str]:
    """Add a study to the storage; on failure the study is removed again, and a new file is deleted.

    Raises:
        ProjectError: the storage cannot be written.
        SpecError: the storage has a study of that name, or Optuna does not support the space.
    """
    require("optuna", purpose="an export to Optuna", extra="export")
    is_new = not is_url(out) and not Path(out).exists()
    if is_new and not Path(out).absolute().parent.is_dir():
        raise ProjectError(f"{out} cannot be written: the folder {Path(out).parent} does not exist")
    with quiet_storage():
        try:
            _write(exported, out)
        except BaseException:
            if is_new:
                Path(out).unlink(missing_ok=True)
            raise
    address = out if is_url(out) else f"sqlite:///{out}" if Path(out).suffix == ".db" else out
    rules = "; ".join(exported.space.forbid)
    remarks = [f"a storage holds no rules: raise optuna.TrialPruned in your objective where {rules}"] if rules else []
    remarks += arm_remarks(exported.space)
    return [*remarks, f'continue with: optuna.load_study(study_name="{exported.name}", storage=...) on {address}']


def _write(exported: StudyExport, out: str) -> None:
    import optuna

    storage = open_storage(out)
    try:
        study = optuna.create_study(
            study_name=exported.name,
            storage=storage,
            directions=[o.direction.value for o in exported.objectives],
        )
    except optuna.exceptions.DuplicatedStudyError:
        message = f"{exported.name!r} is already in this storage; choose another with -o, or delete that study first"
        raise SpecError([Mistake("study", message)], where=out) from None
    try:
        study.set_metric_names([o.metric for o in exported.objectives])
        study.add_trials(list(_frozen(exported)))
        for params in exported.points:
            study.enqueue_trial(dict(params), user_attrs={"source": "tunesmith"})
    except BaseException:
        optuna.delete_study(study_name=exported.name, storage=storage)
        raise


def _frozen(exported: StudyExport) -> Iterable[optuna.trial.FrozenTrial]:
    import optuna

    from tunesmith.tools.interop.optuna.space import distribution_of

    distributions = {name: distribution_of(p) for name, p in exported.space.parameters.items()}
    states = optuna.trial.TrialState
    for trial in exported.trials:
        values = objective_values(trial, exported.objectives)
        stopped = trial.state is TrialState.STOPPED
        state = states.PRUNED if stopped else states.FAIL if values is None else states.COMPLETE
        so_far = trial.values.get(exported.objectives[0].metric) if stopped else None
        with warnings.catch_warnings():
            # Optuna warns about categories of other types than it serializes; ours are always plain values.
            warnings.simplefilter("ignore", UserWarning)
            yield optuna.trial.create_trial(
                state=state,
                values=None if values is None else list(values),
                params=dict(trial.params),
                distributions={name: distributions[name] for name in trial.params},
                intermediate_values={} if so_far is None else {0: so_far},
                constraints=_constraints(exported, trial) if values is not None else None,
                user_attrs=_attributes(trial),
            )


def _constraints(exported: StudyExport, trial: Trial) -> dict[str, float] | None:
    known = {c.metric: c.violation(trial.values[c.metric]) for c in exported.constraints if c.metric in trial.values}
    return known or None


def _attributes(trial: Trial) -> dict[str, Any]:
    failure = {"failure": f"{trial.failure.kind.value}: {trial.failure.reason}"} if trial.failure else {}
    return {"source": trial.proposal.source.value, "tunesmith_number": trial.number, **failure}
