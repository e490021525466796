"""Reads trials from a history, keeps those that have finished, and marks what all trials together tell of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tunesmith.history.measured import MEASURED_EVENT
from tunesmith.history.queries.instance_questions import InstanceQuestion, InstanceQuestions
from tunesmith.history.rows import trial_from_row
from tunesmith.study.trials.failure_scope import OF_THE_CONFIGURATION, with_scopes
from tunesmith.study.trials.replicates.configurations import without_instances
from tunesmith.study.trials.trial import Trial

Query: TypeAlias = Callable[..., Iterator[dict[str, Any]]]
"""Runs a query, given as SQL and its values, and returns rows by column."""

FORGOTTEN_EVENT = "forgotten"
"""Kind of the event that has a study forget trials, or, with `again`, take them up again."""

_TRIALS = """
    select trials.*, proposals.rationale, proposals.predicted_mean, proposals.predicted_std, proposals.fallback_reason,
           proposals.considered, proposals.rival_mean, proposals.rival_std,
           proposals.judged_mean, proposals.judged_std
    from trials join proposals on proposals.trial_id = trials.id
    where trials.study_id = :study
"""


@dataclass(frozen=True, slots=True)
class _Marks:
    """The trials that others say something about, by number, and what that rests on.

    Attributes:
        key: the number of finished trials, the forgotten ones, and the instances.
        trials: failed, forgotten and unlisted trials; with [instances] also the first trial of each configuration.
    """

    key: tuple[int, frozenset[int], InstanceQuestion | None]
    trials: Mapping[int, Trial]


class StoredTrials:
    """The trials of a history file, each read once when it has finished, with what all trials together tell of it.

    Args:
        query: runs a query and returns rows by column.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._instances = InstanceQuestions(query)
        # Finished trials change only where a new bound gives them measured values, so each is read once until then.
        self._measured: dict[int, int] = {}
        self._finished: dict[int, list[Trial]] = {}
        self._finished_apart: dict[int, dict[int, Trial]] = {}
        self._marked: dict[int, _Marks] = {}

    def all(self, study_id: int) -> list[Trial]:
        """Return every trial by number. Failures have the scope that all trials so far give them."""
        return self._with_marks(study_id, self._stored(study_id))

    def of(self, study_id: int, numbers: Iterable[int]) -> list[Trial]:
        """Return the trials of these numbers, by number."""
        return self._with_marks(study_id, self._numbered(study_id, numbers))

    def select(self, study_id: int, clause: str, **values: int) -> list[Trial]:
        """Return the trials that a clause of SQL selects."""
        rows = self._query(f"{_TRIALS} {clause}", {"study": study_id, **values})
        return self._with_marks(study_id, [trial_from_row(row) for row in rows])

    def _with_marks(self, study_id: int, found: list[Trial]) -> list[Trial]:
        """Return the trials with what all trials together tell.

        That is the scope of each failure, which are forgotten, and what configurations came to over instances.
        """
        if not any(t.state.is_finished for t in found):
            return found
        marked = self._marks(study_id)
        return [marked.get(t.number, t) for t in found] if marked else found

    def _marks(self, study_id: int) -> Mapping[int, Trial]:
        """Return the trials that others say something about by number, decided anew after each trial that ended."""
        forgotten, instances = self.forgotten(study_id), self._instances.of(study_id)
        had_instances = instances is None and self._instances.had_some(study_id)
        if instances is None and not had_instances and not self._may_fail_by_itself(study_id):
            return {t.number: replace(t, forgotten=True) for t in self._numbered(study_id, forgotten)}
        trials = self._stored(study_id)
        key = (sum(t.state.is_finished for t in trials), forgotten, instances)
        if study_id not in self._marked or self._marked[study_id].key != key:
            every = [replace(t, forgotten=True) if t.number in forgotten else t for t in trials]
            scoped = with_scopes(every)
            known = instances.applied_to(scoped) if instances is not None else without_instances(scoped)
            marked = {t.number: t for t in known if t.failure is not None or not t.counts or t.runs is not None}
            self._marked[study_id] = _Marks(key, marked)
        return self._marked[study_id].trials

    def _may_fail_by_itself(self, study_id: int) -> bool:
        """Return whether a failure may say something about the study only, which all trials together decide."""
        sql = "select distinct failure_kind as kind from trials where study_id = ? and state = 'failed'"
        return any(row["kind"] not in OF_THE_CONFIGURATION for row in self._query(sql, [study_id]))

    def set_aside(self, study_id: int) -> list[Trial]:
        """Return the trials that are forgotten or failures of the study, replicates left out."""
        return [t for t in self._marks(study_id).values() if t.is_set_aside and not t.is_replicate]

    def unlisted(self, study_id: int) -> list[Trial]:
        """Return the trials that ran on what the study has no longer; see `Trial.is_unlisted`."""
        return [t for t in self._marks(study_id).values() if t.is_unlisted]

    def forgotten(self, study_id: int) -> frozenset[int]:
        """Return the numbers of the trials that people had the study forget, and not taken up again since."""
        numbers: set[int] = set()
        sql = "select detail from events where study_id = ? and kind = ? order by id"
        for row in self._query(sql, [study_id, FORGOTTEN_EVENT]):
            detail = json.loads(row["detail"])
            change = set(detail["numbers"])
            numbers = numbers - change if detail.get("again") else numbers | change
        return frozenset(numbers)

    def _drop_outdated(self, study_id: int) -> None:
        """Forget what was read before finished trials got values of measured resources."""
        sql = "select count(*) as times from events where study_id = ? and kind = ?"
        times = next(self._query(sql, [study_id, MEASURED_EVENT]))["times"]
        if times != self._measured.setdefault(study_id, times):
            self._measured[study_id] = times
            for known in (self._finished, self._finished_apart, self._marked):
                known.pop(study_id, None)

    def _stored(self, study_id: int) -> list[Trial]:
        self._drop_outdated(study_id)
        done = self._finished.setdefault(study_id, [])
        rows = self._query(f"{_TRIALS} and number >= :first order by number", {"study": study_id, "first": len(done)})
        new = [trial_from_row(row) for row in rows]
        for trial in new:
            if not trial.state.is_finished:
                break
            done.append(trial)
        return done + new[len([t for t in new if t.number < len(done)]) :]

    def _numbered(self, study_id: int, numbers: Iterable[int]) -> list[Trial]:
        """Return the trials of these numbers, by number; finished ones are read once, others each time."""
        self._drop_outdated(study_id)
        done, apart = self._finished.get(study_id, []), self._finished_apart.setdefault(study_id, {})
        wanted = sorted(numbers)
        known = {n: done[n] if n < len(done) else apart[n] for n in wanted if n < len(done) or n in apart}
        missing = [n for n in wanted if n not in known]
        if missing:
            clause = "and number in (select value from json_each(:numbers))"
            rows = self._query(f"{_TRIALS} {clause}", {"study": study_id, "numbers": json.dumps(missing)})
            read = {t.number: t for t in map(trial_from_row, rows)}
            apart |= {n: t for n, t in read.items() if t.state.is_finished}
            known |= read
        return [known[n] for n in wanted if n in known]
