"""Mirrors a study into an in-memory Optuna storage for Optuna's dashboard, including trials that are added later.

Rationales, considered alternatives, diffs of edits and ends of logs become notes; curves become intermediate values.
The history is only read. A replicate is part of the note of the trial that it repeats: as a separate trial it could
appear as a new best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.formatting import strip_control
from tunesmith.study.search_replace import split_lines
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.study.units import short_number

if TYPE_CHECKING:
    import optuna

MAX_CURVE_POINTS = 200
"""Maximum number of points of a curve; longer curves are thinned."""

MAX_DIFF_LINES = 200
"""Maximum number of lines of a diff in a note."""


class Mirror:
    """One study in an Optuna storage. `update` adds what is new, and is cheap when nothing is.

    Attributes:
        storage: an `optuna.storages.InMemoryStorage`; other threads may read it.
    """

    def __init__(self, record: StudyRecord) -> None:
        import optuna

        self.storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            study_name=record.name,
            storage=self.storage,
            directions=[o.direction.value for o in record.spec.objectives],
        )
        self._study.set_metric_names([o.metric for o in record.spec.objectives])
        self._ids: dict[int, int] = {}
        self._done: set[int] = set()
        self._steps: dict[int, set[int]] = {}
        self._notes: dict[int, str] = {}

    def update(self, history: History, record: StudyRecord) -> int:
        """Add new trials and values; return the number of mirrored trials."""
        trials = history.trials(record.id)
        repeated = _repetitions(trials)
        best = history.best(record)
        self.storage.set_study_user_attr(self._study._study_id, "tunesmith_best", best.number if best else None)
        diffs = {v.id: v.diff for v in history.variants(record.id)} if record.spec.edits else {}
        for trial in trials:
            if trial.is_replicate or trial.state is TrialState.WAITING:
                continue
            if trial.number not in self._ids:
                self._ids[trial.number] = self._start(record, trial)
            if trial.number not in self._done:
                self._follow(history, record, trial)
            text = trial_note(trial, repeated.get(trial.number, []), record, diff=diffs.get(trial.proposal.code, ""))
            self._note(trial, text)
        return len(self._ids)

    def _start(self, record: StudyRecord, trial: Trial) -> int:
        import optuna

        from tunesmith.tools.interop.optuna.space import distribution_of

        known = {name: value for name, value in trial.params.items() if name in record.spec.space.parameters}
        distributions = {name: distribution_of(record.spec.space.parameters[name]) for name in known}
        # A value from before the space was changed may be out of range, which Optuna does not accept.
        fits = {name: value for name, value in known.items() if _fits(distributions[name], value)}
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=fits,
            distributions={name: distributions[name] for name in fits},
            user_attrs=_attributes(trial),
        )
        return int(self.storage.create_new_trial(self._study._study_id, template))

    def _follow(self, history: History, record: StudyRecord, trial: Trial) -> None:
        identity = self._ids[trial.number]
        metric = record.spec.objectives[0].metric
        seen = self._steps.setdefault(trial.number, set())
        for step, value in _thinned(history.curve(record.id, trial.number), metric):
            if step not in seen:
                seen.add(step)
                self.storage.set_trial_intermediate_value(identity, step, value)
        if trial.state.is_finished:
            state, values = _end(record, trial)
            self.storage.set_trial_state_values(identity, state, values)
            self._done.add(trial.number)

    def _note(self, trial: Trial, text: str) -> None:
        from optuna.trial import Trial as OptunaTrial
        from optuna_dashboard import save_note

        if self._notes.get(trial.number) != text:
            self._notes[trial.number] = text
            save_note(OptunaTrial(self._study, self._ids[trial.number]), text)


def trial_note(trial: Trial, repeated: Sequence[float], record: StudyRecord, *, diff: str = "") -> str:
    """Return a trial's note as Markdown; `diff` is the change of its variant."""
    proposal = trial.proposal
    parts = [f"**{proposal.source.value}**: {_code(proposal.rationale or 'no reason was given')}"]
    if proposal.fallback_reason:
        parts.append(f"fallback: {_code(proposal.fallback_reason)}")
    if proposal.prediction:
        expected = proposal.prediction
        parts.append(f"expected {short_number(expected.mean)} ± {short_number(expected.std, 2)}")
    parts += [f"- {_code(line)}" for line in proposal.considered]
    if repeated:
        metric = record.spec.objectives[0].metric
        parts.append(f"{metric} on fresh seeds: {', '.join(short_number(value) for value in repeated)}")
    if trial.failure:
        parts.append(f"**{trial.failure.kind.value}**: {_code(trial.failure.reason)}")
        if trial.failure.tail:
            parts.append("\n".join(f"    {line}" for line in split_lines(strip_control(trial.failure.tail))[-15:]))
    elif trial.outcome and trial.outcome.note:
        parts.append(_code(trial.outcome.note))
    if diff:
        parts.append("\n".join(f"    {line}" for line in split_lines(diff)[:MAX_DIFF_LINES]))
    return "\n\n".join(parts)


def _code(text: str) -> str:
    """Return text of models and scripts as code, so that it is not rendered as Markdown or HTML."""
    return "`" + " ".join(text.split()).replace("`", "'") + "`"


def _repetitions(trials: Sequence[Trial]) -> Mapping[int, list[float]]:
    found: dict[int, list[float]] = {}
    for trial in trials:
        original, values = trial.proposal.replicate_of, list(trial.values.values())
        if original is not None and trial.state is TrialState.COMPLETE and values and is_fresh(trial.proposal.seed):
            found.setdefault(original, []).append(values[0])
    return found


def _thinned(curve: Sequence[Observation], metric: str) -> list[tuple[int, float]]:
    """Return points at integer steps, which Optuna requires; the last one of several at one step."""
    points = {round(o.step): o.value for o in curve if o.metric == metric}
    steps = sorted(points)
    if len(steps) > MAX_CURVE_POINTS:
        stride = len(steps) // MAX_CURVE_POINTS + 1
        steps = sorted({*steps[::stride], steps[-1]})
    return [(step, points[step]) for step in steps]


def _end(record: StudyRecord, trial: Trial) -> tuple[optuna.trial.TrialState, list[float] | None]:
    from optuna.trial import TrialState as States

    values = objective_values(trial, record.spec.objectives)
    full = record.spec.fidelity.max if record.spec.fidelity else None
    if trial.state is TrialState.STOPPED or (values is not None and trial.proposal.fidelity not in (None, full)):
        return States.PRUNED, None
    if values is None or not all(math.isfinite(value) for value in values):
        return States.FAIL, None
    return States.COMPLETE, list(values)


def _fits(distribution: Any, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))  # noqa: SLF001  # no public way
    except ValueError:
        return False


def _attributes(trial: Trial) -> dict[str, Any]:
    failure = {"failure": f"{trial.failure.kind.value}: {trial.failure.reason}"} if trial.failure else {}
    known = {"source": trial.proposal.source.value, "tunesmith_number": trial.number, "seed": trial.proposal.seed}
    return {**known, **failure}
