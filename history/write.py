"""Writes the history: one method per state change, one transaction each. Only the loop and the tuner import it."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tunesmith.history.database.connect import (
    PatientConnection,
    has_tables,
    is_disk_full,
    is_locked,
    locked_error,
    open_for_reading,
    open_for_writing,
    transaction,
)
from tunesmith.history.database.lock import WriterLock
from tunesmith.history.database.open_file import OpenFile
from tunesmith.history.database.wal import damage_text, lost_transactions
from tunesmith.history.earlier import find_earlier_studies
from tunesmith.history.measured import MEASURED_EVENT, fill_measured, with_measured
from tunesmith.history.project import require_project, require_same_length, require_same_metrics
from tunesmith.history.queries.stored_trials import FORGOTTEN_EVENT
from tunesmith.history.read import History
from tunesmith.history.redact import redact
from tunesmith.history.rows import llm_call_row, outcome_row, proposal_row, variant_row, waiting_trial_row
from tunesmith.history.verdicts import add_verdicts, change_values
from tunesmith.history.without_secrets import redact_observations, redact_outcome, redact_proposal
from tunesmith.study.config.record import Lesson, LlmCall, StudyRecord, usage_detail
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import PROGRESS_IS_SAFE, DiskFull, HistoryError, SpecError
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal, Trial, TrialState, Usage
from tunesmith.study.variant import Variant, VariantState


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationBatch:
    """Observations of one trial that are written in one transaction."""

    trial: Trial
    observations: Sequence[Observation]


class Recorder:
    """Writes one study of a history, and holds the writer lock. Times are seconds since the epoch.

    Args:
        path: the file; None keeps the history in memory.
        spec: the study.
        project: the folder of study.toml.
        now: the time.
        steady: a clock in seconds for the time at work; it is never set and stops while the machine sleeps.
        moved: whether the user says that the study's project moved here from another folder.

    Attributes:
        history: the same file, for reading.
        study_id: the id of the study in the file.
        earlier: the studies that this one learns from: those named in its file, and those imported for it.
        moved_from: the folder that the project had at the last run; "" unless it moved.
        damage: what of the last run could not be read because its file was damaged since, in words; "" for nothing.

    Raises:
        HistoryError: another process writes the file, it is damaged, or the study in it has other metrics or belongs
            to another project.
        SpecError: a study named in [warm_start] cannot be learned from.
    """

    def __init__(
        self,
        path: Path | None,
        spec: StudySpec,
        *,
        project: str,
        now: float,
        steady: Callable[[], float] = time.monotonic,
        moved: bool = False,
    ) -> None:
        if path is not None and has_tables(path):
            # A file that is not a history is refused before the lock file is created.
            open_for_reading(path).close()
        self._path = path
        self._lock = WriterLock(path, now=now) if path else None
        lost = lost_transactions(path) if path is not None else 0
        self.damage = damage_text(path, lost) if path is not None and lost else ""
        try:
            self._db = open_for_writing(path)
            self._file = OpenFile(path, self._db.conn)
            self.history = History(self._db.conn)
            found = find_earlier_studies(self.history, spec, project)
            if found.mistakes:
                raise SpecError(found.mistakes, where="study.toml" if project else "the call")
            self.earlier = found.studies
            self.study_id = self._enter(spec, project, now, moved=moved)
        except BaseException:
            self._release()
            raise
        self._first_metric, self._spec = spec.objectives[0].metric, spec
        self._steady, self._opened_at = steady, steady()
        self._active_before_s: float = self._row()["active_s"]

    @property
    def record(self) -> StudyRecord:
        """The current record of the study."""
        return self.history.study(self._row()["name"])

    def lessons_known(self) -> list[Lesson]:
        """Return the study's own lessons, then those of other studies of the same script."""
        return [*self.history.lessons(self.study_id), *self.history.lessons_elsewhere(self.record)]

    def record_proposal(self, proposal: Proposal, now: float) -> Trial:
        """Add a waiting trial with the next number and return it."""
        # The history and the command line have the parameters' own values, from every source.
        proposal = redact_proposal(replace(proposal, params=self._spec.space.own_values(proposal.params)))
        with self._transaction():
            number = self._next_number()
            row = waiting_trial_row(self.study_id, number, proposal, now)
            trial_id = self._insert("trials", row)
            self._insert("proposals", proposal_row(trial_id, proposal))
            self._touch()
        return Trial(number=number, proposal=proposal, state=TrialState.WAITING, created_at=now)

    def record_start(self, trial: Trial, slot: int, now: float) -> Trial:
        """Record that a trial started in `slot` and return it as running."""
        with self._transaction():
            self._update(trial, {"state": TrialState.RUNNING.value, "slot": slot, "started_at": now})
            self._touch()
        return replace(trial, state=TrialState.RUNNING, slot=slot, started_at=now)

    def record_observations(self, batches: Sequence[ObservationBatch]) -> None:
        """Add observations, all in one transaction."""
        sql = "insert into observations (trial_id, attempt, metric, step, value, at) values (?, ?, ?, ?, ?, ?)"
        with self._transaction():
            for batch in batches:
                trial_id, attempt = self._id(batch.trial), batch.trial.attempt
                rows = [
                    (trial_id, attempt, o.metric, o.step, None if math.isnan(o.value) else o.value, o.at)
                    for o in redact_observations(batch.observations)
                ]
                self._db.conn.executemany(sql, rows)

    def record_outcome(self, trial: Trial, outcome: Outcome, now: float, *, rest: Sequence[Observation] = ()) -> Trial:
        """Record how a trial ended, with its artifacts and unwritten observations (`rest`); return it as finished."""
        # A bound on a measured resource may have come while it ran.
        ended = replace(trial, state=outcome.state, outcome=outcome)
        outcome = redact_outcome(replace(outcome, values=with_measured(ended, (), self._spec)))
        with self._transaction():
            if rest:
                self.record_observations([ObservationBatch(trial=trial, observations=rest)])
            self._update(trial, outcome_row(outcome, self._first_metric, now))
            trial_id = self._id(trial)
            for path in outcome.artifacts:
                self._db.execute("insert or ignore into artifacts (trial_id, path) values (?, ?)", [trial_id, path])
            self._touch()
        return replace(trial, state=outcome.state, outcome=outcome, ended_at=now)

    def record_requeue(
        self, trial: Trial, now: float, *, reason: str, attempt: int, usage: Usage | None = None
    ) -> Trial:
        """Return a trial that ran to the waiting state; it keeps its number and its configuration.

        Args:
            trial: the trial.
            now: seconds since the epoch.
            reason: why its result does not count.
            attempt: the number of its next attempt.
            usage: what it used; None if that is unknown.
        """
        changed = {"state": TrialState.WAITING.value, "attempt": attempt, "slot": None, "started_at": None}
        with self._transaction():
            self._update(trial, changed)
            self._event("requeued", now, trial, {"reason": reason, "attempt": attempt, **usage_detail(usage)})
            self._touch()
        return replace(trial, state=TrialState.WAITING, attempt=attempt, slot=None, started_at=None)

    def record_variant(self, variant: Variant) -> bool:
        """Record a version of the code; return whether it is new to the study."""
        row = variant_row(self.study_id, variant)
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        sql = f"insert or ignore into variants ({columns}) values ({marks})"
        with self._transaction():
            return bool(self._db.conn.execute(sql, list(row.values())).rowcount)

    def record_variant_declared(self, variant: Variant) -> None:
        """Record the parameters of a version of the code, which got further ones."""
        sql = "update variants set declared = ? where study_id = ? and id = ?"
        declared = variant_row(self.study_id, variant)["declared"]
        with self._transaction():
            self._db.conn.execute(sql, [declared, self.study_id, variant.id])

    def record_variant_state(self, variant: Variant, state: VariantState, reason: str) -> Variant:
        """Record the state of a version of the code and why it changed."""
        sql = "update variants set state = ?, reason = ? where study_id = ? and id = ?"
        with self._transaction():
            self._db.conn.execute(sql, [state.value, redact(reason), self.study_id, variant.id])
        return replace(variant, state=state, reason=reason)

    def record_event(
        self, kind: str, now: float, *, trial: Trial | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Record an event."""
        with self._transaction():
            self._event(kind, now, trial, detail or {})

    def record_command(
        self,
        detail: Mapping[str, Any],
        proposals: Sequence[Proposal],
        now: float,
        *,
        spec: StudySpec | None = None,
        forget: Sequence[int] = (),
        take_up: Sequence[int] = (),
    ) -> list[Trial]:
        """Record a command with its answer and what it changes, and return the trials that it queues.

        Args:
            detail: the command and its answer.
            proposals: the trials that it queues.
            now: seconds since the epoch.
            spec: the study file if it changes that.
            forget: numbers of the trials that count nowhere from now on.
            take_up: numbers of the forgotten trials that count again.
        """
        with self._transaction():
            if forget:
                self._event(FORGOTTEN_EVENT, now, None, {"numbers": list(forget)})
            if take_up:
                self._event(FORGOTTEN_EVENT, now, None, {"numbers": list(take_up), "again": True})
            self._event("order", now, None, detail)
            if spec is not None:
                if spec.space != self._spec.space:
                    self._event("spec", now, None, {"spec": spec.stored_document})
                self._fill_measured(spec, now)
                self._spec = spec
                text = redact(json.dumps(spec.stored_document))
                self._db.execute("update studies set spec = ? where id = ?", [text, self.study_id])
            return [self.record_proposal(proposal, now) for proposal in proposals]

    def record_llm_calls(self, calls: Sequence[LlmCall]) -> None:
        """Record calls to an LLM."""
        with self._transaction():
            for call in calls:
                self._insert("llm_calls", llm_call_row(self.study_id, call, self._trial_id(call.trial)))

    def record_verdicts(self, verdicts: Mapping[str, str], now: float) -> None:
        """Record answers of a judge of texts by the key of their question."""
        with self._transaction():
            add_verdicts(self._db.conn, self.study_id, verdicts, now)

    def record_changed_values(self, values: Mapping[int, Mapping[str, float]], now: float) -> None:
        """Record new values of metrics of complete trials, by number: what all comparisons together say of them."""
        with self._transaction():
            changed = change_values(self._db.conn, self.study_id, values, self._first_metric)
            if changed:
                self._event(MEASURED_EVENT, now, None, {"trials": changed})

    def _trial_id(self, number: int | None) -> int | None:
        sql = "select id from trials where study_id = ? and number = ?"
        row = None if number is None else self._db.execute(sql, [self.study_id, number]).fetchone()
        return None if row is None else int(row[0])

    def record_lessons(self, lessons: Sequence[Lesson], now: float) -> None:
        """Replace the current lessons; the old ones are kept as retired."""
        retire = "update insights set retired_at = ? where study_id = ? and retired_at is null"
        with self._transaction():
            self._db.execute(retire, [now, self.study_id])
            for lesson in lessons:
                row = {"study_id": self.study_id, "text": redact(lesson.text), "trials": json.dumps(lesson.trials)}
                self._insert("insights", {**row, "created_at": now})

    def record_end(self, ended_by: str, now: float) -> None:
        """Record what ended the run."""
        with self._transaction():
            self._db.execute("update studies set ended_by = ? where id = ?", [ended_by, self.study_id])
            self._event("ended", now, None, {"by": ended_by})
            self._touch()

    def wait_while(self, keeps_waiting: Callable[[], bool]) -> None:
        """Wait for other programs that lock the file for longer than usual, while `keeps_waiting` returns True."""
        assert isinstance(self._db.conn, PatientConnection)  # noqa: S101  # open_for_writing makes one
        self._db.conn.keeps_waiting = keeps_waiting

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()
        self._release()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _enter(self, spec: StudySpec, project: str, now: float, *, moved: bool) -> int:
        """Find or add the study. A changed study file is stored unless it changes the objectives."""
        name, text = spec.study.name, redact(json.dumps(spec.stored_document))
        earlier = self.history.find(name)
        self.moved_from = ""
        if earlier is not None:
            self.moved_from = require_project(earlier, project, self._path, moved=moved)
        with self._transaction():
            if earlier is None:
                row = {"name": name, "spec": text, "project": project, "created_at": now}
                study_id = self._insert("studies", row)
            else:
                require_same_metrics(earlier, spec)
                require_same_length(earlier, spec)
                study_id = earlier.id
                self._db.execute(
                    "update studies set spec = ?, project = ?, ended_by = '' where id = ?", [text, project, study_id]
                )
            self.study_id = study_id
            if earlier is None or redact(json.dumps(earlier.spec.stored_document)) != text:
                self._event("spec", now, None, {"spec": json.loads(text)})
            self._fill_measured(spec, now)
            self._event("opened", now, None, {})
        return study_id

    def _fill_measured(self, spec: StudySpec, now: float) -> None:
        """Give earlier trials the measured resources that the study names only now."""
        trials = self.history.trials(self.study_id) if spec.resources else []
        filled = fill_measured(self._db.conn, self.study_id, trials, spec)
        if filled:
            self._event(MEASURED_EVENT, now, None, {"trials": filled})

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._db.conn.in_transaction:
            self._file.require()
        try:
            with transaction(self._db.conn):
                yield
        except sqlite3.OperationalError as error:
            if is_locked(error):
                raise locked_error(self._path) from error
            text = f"the history cannot be written: {error}"
            if is_disk_full(error, self._path):
                raise DiskFull(f"{text}; {PROGRESS_IS_SAFE}") from error
            raise HistoryError(f"{text}; fix that and run the same command again: {PROGRESS_IS_SAFE}") from error

    def _touch(self) -> None:
        active_s = self._active_before_s + self._steady() - self._opened_at
        self._db.execute("update studies set active_s = ? where id = ?", [active_s, self.study_id])

    def _event(self, kind: str, now: float, trial: Trial | None, detail: Mapping[str, Any]) -> None:
        row = {"study_id": self.study_id, "at": now, "kind": kind, "detail": redact(json.dumps(detail))}
        self._insert("events", {**row, "trial_id": self._id(trial) if trial else None})

    def _row(self) -> Mapping[str, Any]:
        return next(self._db.query("select name, active_s from studies where id = ?", [self.study_id]))

    def _next_number(self) -> int:
        sql = "select coalesce(max(number) + 1, 0) as next from trials where study_id = ?"
        number: int = next(self._db.query(sql, [self.study_id]))["next"]
        return number

    def _id(self, trial: Trial) -> int:
        sql = "select id from trials where study_id = ? and number = ?"
        trial_id: int = next(self._db.query(sql, [self.study_id, trial.number]))["id"]
        return trial_id

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        columns = ", ".join(row)
        marks = ", ".join("?" * len(row))
        return int(
            self._db.conn.execute(f"insert into {table} ({columns}) values ({marks})", list(row.values())).lastrowid
            or 0
        )

    def _update(self, trial: Trial, changes: Mapping[str, Any]) -> None:
        columns = ", ".join(f"{name} = ?" for name in changes)
        sql = f"update trials set {columns} where study_id = ? and number = ?"
        self._db.conn.execute(sql, [*changes.values(), self.study_id, trial.number])

    def _release(self) -> None:
        if self._lock:
            self._lock.release()
