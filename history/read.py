"""Queries of the history that return study types. Writes nothing; may be used while a study runs."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tunesmith.history.database.connect import has_tables, is_copy, is_locked, locked_error, open_for_reading
from tunesmith.history.queries.contenders import (
    FIRST_CHUNK,
    TrialSource,
    deciding_trials,
    stored_improvements,
)
from tunesmith.history.queries.counts import TrialCounts, trial_counts
from tunesmith.history.queries.hidden_choice import with_hidden_choice
from tunesmith.history.queries.stored_trials import StoredTrials
from tunesmith.history.queries.study_names import listed_names, study_names
from tunesmith.history.queries.usage import saved_runs, spent
from tunesmith.history.rows import llm_call_from_row, variant_from_row
from tunesmith.history.verdicts import read_verdicts
from tunesmith.study.config.command import script_path
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event, Lesson, LlmCall, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.hidden import HIDDEN_CHOICE
from tunesmith.study.trials.observed.curves import PackedObservations
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.results import (
    Improvement,
    StudyQuestion,
    default_trial,
    left_out_count,
    left_out_text,
    present_improvements,
    study_front,
)
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.winner import Winner, winner
from tunesmith.study.variant import Variant


@dataclass(frozen=True, slots=True)
class _Choice:
    """The winner among these trials, for this space, these objectives and constraints."""

    trials: Sequence[Trial]
    asked: tuple[object, ...]
    winner: Winner | None


class History:
    """One history file, open for reading. Use as a context manager, or call `close`.

    Raises:
        HistoryError: the file does not exist, is damaged, or is not a history.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._trials = StoredTrials(self._query)
        self._sources: dict[int, TrialSource] = {}
        self._choices: dict[int, _Choice] = {}

    @classmethod
    def open_if_any(cls, path: Path, *, any_thread: bool = False) -> History | None:
        """Open the file for reading; return None if no study has run yet.

        Raises:
            HistoryError: the file is damaged or not a history.
        """
        return cls.open(path, any_thread=any_thread) if has_tables(path) else None

    @classmethod
    def open(cls, path: Path, *, any_thread: bool = False) -> History:
        """Open the file for reading; `any_thread` allows several threads that take turns."""
        return cls(open_for_reading(path, any_thread=any_thread))

    @property
    def is_copy(self) -> bool:
        """Whether this is a copy in memory of a file of an older version; open it again to see what changed since."""
        return is_copy(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def names(self) -> list[str]:
        """Return the names of all studies, the latest first."""
        return study_names(self._query)

    def listed_names(self) -> list[str]:
        """Return the names without those of the studies that a comparison of methods runs."""
        return listed_names(self._query)

    def study(self, name: str) -> StudyRecord:
        """Return the record of a study.

        Raises:
            HistoryError: no study has that name; the message names the nearest one.
        """
        record = self.find(name)
        if record is None:
            known = self.names()
            hint = did_you_mean(name, known) if known else " yet; `tunesmith run` starts it"
            raise HistoryError(f"no study {name!r} in this history{hint}")
        return record

    def find(self, name: str) -> StudyRecord | None:
        """Return the record of a study; None if no study has that name."""
        row = next(self._query("select * from studies where name = ?", [name]), None)
        if row is None:
            return None
        spec = parse_spec(json.loads(row["spec"]), where=f"the stored study {name}")
        return StudyRecord(
            id=row["id"],
            name=row["name"],
            spec=spec,
            project=row["project"],
            created_at=row["created_at"],
            spent=spent(self._query, row, spec, set_aside=len(self._trials.set_aside(row["id"]))),
            ended_by=row["ended_by"],
        )

    def trials(self, study_id: int) -> list[Trial]:
        """Return every trial by number. Failures have the scope that all trials so far give them."""
        return with_hidden_choice(self._trials.all(study_id), self.events(study_id, HIDDEN_CHOICE))

    def forgotten(self, study_id: int) -> frozenset[int]:
        """Return the numbers of the trials that people had the study forget, and not taken up again since."""
        return self._trials.forgotten(study_id)

    def imported_for(self, name: str) -> list[str]:
        """Return the names of the studies that were imported for a study, in order of import."""
        rows = self._query(
            """
            select studies.name from events join studies on studies.id = events.study_id
            where events.kind = 'imported' and json_extract(events.detail, '$.for') = ? order by events.id
            """,
            [name],
        )
        return [row["name"] for row in rows]

    def variants(self, study_id: int) -> list[Variant]:
        """Return every version of the study's code, oldest first; the user's own versions have no parent."""
        sql = "select * from variants where study_id = ? order by created_at, rowid"
        return [variant_from_row(row) for row in self._query(sql, [study_id])]

    def unfinished(self, study_id: int) -> list[Trial]:
        """Return the trials that wait or run, by number."""
        return self._trials.select(study_id, "and state in ('waiting', 'running') order by +number")

    def trial(self, study_id: int, number: int) -> Trial | None:
        """Return one trial; None if there is no trial of that number."""
        return next(iter(self._trials.select(study_id, "and number = :number", number=number)), None)

    def latest(self, study_id: int, count: int) -> list[Trial]:
        """Return the trials with the highest numbers, by number."""
        return self._trials.select(study_id, "order by number desc limit :count", count=count)[::-1]

    def default(self, record: StudyRecord) -> Trial | None:
        """Return the trial of the default configuration in the present space; None if there is none."""
        source = self._source(record.id)
        kinds = source.kinds()
        trials = self.trials(record.id) if kinds.needs_all else source.trials(kinds.defaults)
        return default_trial(trials, record.spec.space)

    def winner(self, record: StudyRecord) -> Winner | None:
        """Return the study's choice among its trials, as study/trials/winner.py makes it; None without one."""
        return self.choose(record.id, record.spec)

    def choose(self, study_id: int, asked: StudyQuestion, *, chunk: int = FIRST_CHUNK) -> Winner | None:
        """Return the choice among a study's trials for a space, objectives and constraints; None without one.

        Reads few trials, `chunk` leading ones first, and decides anew only when one of those that matter changed.
        """
        found = deciding_trials(self._source(study_id), asked, chunk=chunk)
        trials = self.trials(study_id) if found is None else self._with_judged(study_id, found)
        question = (asked.space, asked.objectives, asked.metric_constraints)
        last = self._choices.get(study_id)
        if last is None or last.trials != trials or last.asked != question:
            last = self._choices[study_id] = _Choice(trials, question, winner(trials, asked))
        return last.winner

    def _with_judged(self, study_id: int, found: Sequence[Trial]) -> list[Trial]:
        """Return these trials and those that hidden data judged, by number; the last one is among them."""
        choices = self.events(study_id, HIDDEN_CHOICE)
        numbers = {row["trial"] for event in choices[-1:] for row in event.detail["judged"]}
        others = self._trials.of(study_id, numbers - {t.number for t in found})
        return with_hidden_choice(sorted([*found, *others], key=lambda t: t.number), choices)

    def best(self, record: StudyRecord) -> Trial | None:
        """Return the winner's first trial; None without one."""
        found = self.winner(record)
        return found.trial if found is not None else None

    def front(self, record: StudyRecord) -> tuple[Trial, ...]:
        """Return the Pareto front of several objectives among the trials of the present space; empty for one."""
        return study_front(self.trials(record.id), record.spec) if len(record.spec.objectives) > 1 else ()

    def improvements(self, record: StudyRecord) -> list[Improvement]:
        """Return each trial of the present space that improved on all earlier ones, by number."""
        source, best = self._source(record.id), self.best(record)
        if best is None:
            return []
        if source.kinds().needs_all:
            return present_improvements(self.trials(record.id), record.spec)
        spec = record.spec
        is_plain = len(spec.objectives) == 1 and not spec.metric_constraints and self._kept_its_space(record)
        forgotten = self.forgotten(record.id) if is_plain else None
        return stored_improvements(source, spec, best.proposal.fidelity, left_out=forgotten)

    def left_out(self, record: StudyRecord) -> int:
        """Return how many trials lie outside the present space; see `left_out_count`."""
        return 0 if self._kept_its_space(record) else left_out_count(self.trials(record.id), record.spec.space)

    def left_out_text(self, record: StudyRecord) -> str:
        """Return which earlier trials do not count: outside the present space, or on instances that are not listed."""
        return left_out_text(self.left_out(record), self._trials.unlisted(record.id), record.spec.instance_set)

    def _kept_its_space(self, record: StudyRecord) -> bool:
        """Return whether the space is still the first one. Trials are made inside the space of their time."""
        spaces = self._query(
            "select json_extract(detail, '$.spec.space') as space from events where study_id = ? and kind = 'spec'",
            [record.id],
        )
        known = [json.loads(row["space"] or "null") for row in spaces]
        return bool(known) and all(space == record.spec.stored_document.get("space") for space in known)

    def trial_counts(self, study_id: int) -> TrialCounts:
        """Return the number of trials by state, failure and source."""
        return trial_counts(self._query, study_id, self._trials.set_aside(study_id))

    def saved_runs(self, study_id: int, spec: StudySpec) -> float:
        """Return how many full runs a study saved because trials were stopped early or continued others; at least 0."""
        return saved_runs(self._query, study_id, spec)

    def curves(self, study_id: int) -> dict[int, PackedObservations]:
        """Return the observations of each trial's latest attempt, by the trial's number, in order."""
        rows = self._execute(
            """
            select trials.number, observations.metric, observations.step, observations.value, observations.at
            from trials join observations
                on observations.trial_id = trials.id and observations.attempt = trials.attempt
            where trials.study_id = ? order by observations.rowid
            """,
            [study_id],
        )
        curves: dict[int, PackedObservations] = defaultdict(PackedObservations)
        for number, metric, step, value, at in rows:
            curves[number].append(metric, step, math.nan if value is None else value, at)
        return dict(curves)

    def curve(self, study_id: int, number: int) -> list[Observation]:
        """Return the observations of one trial's latest attempt, in order."""
        rows = self._query(
            """
            select metric, step, observations.value, at from observations join trials on trials.id = trial_id
            where study_id = ? and number = ? and observations.attempt = trials.attempt order by observations.rowid
            """,
            [study_id, number],
        )
        return [_observation(row) for row in rows]

    def events(self, study_id: int, kind: str | None = None) -> list[Event]:
        """Return the events of a study in order; only those of one kind if it is given."""
        # A condition that also holds without a kind would read every event: trials() asks for one kind at each call.
        of_kind = "" if kind is None else "and kind = :kind"
        rows = self._query(
            f"""
            select at, kind, detail, trials.number from events left join trials on trials.id = events.trial_id
            where events.study_id = :study {of_kind} order by events.id
            """,
            {"study": study_id, "kind": kind},
        )
        return [
            Event(at=row["at"], kind=row["kind"], trial=row["number"], detail=json.loads(row["detail"])) for row in rows
        ]

    def llm_calls(self, study_id: int) -> list[LlmCall]:
        """Return every call to an LLM, in order."""
        sql = """
            select llm_calls.*, trials.number as trial from llm_calls left join trials on trials.id = llm_calls.trial_id
            where llm_calls.study_id = ? order by llm_calls.id
            """
        return [llm_call_from_row(row) for row in self._query(sql, [study_id])]

    def lessons(self, study_id: int) -> list[Lesson]:
        """Return the current lessons, most useful first."""
        sql = "select text, trials from insights where study_id = ? and retired_at is null order by id"
        return [
            Lesson(text=row["text"], trials=tuple(json.loads(row["trials"]))) for row in self._query(sql, [study_id])
        ]

    def lessons_elsewhere(self, record: StudyRecord) -> list[Lesson]:
        """Return the lessons of other studies of the same script in the same folder, latest study first."""
        script = script_path(record.spec.run.command)
        if not script:
            return []
        sql = """
            select id, name, json_extract(spec, '$.run.command') as command from studies
            where project = ? and id != ? order by created_at desc, id desc
            """
        rows = list(self._query(sql, [record.project, record.id]))
        others = [row for row in rows if script_path(row["command"] or "") == script]
        return [replace(lesson, study=row["name"]) for row in others for lesson in self.lessons(row["id"])]

    def verdicts(self, study_id: int) -> dict[str, str]:
        """Return every answer of a study's judge of texts by the key of its question."""
        return read_verdicts(self._db, study_id)

    def integrity(self) -> str:
        """Return the result of SQLite's integrity check: "ok" or what is damaged."""
        return str(self._db.execute("pragma integrity_check").fetchone()[0])

    def _query(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        cursor = self._execute(sql, values)
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    def _rows(self, sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        return (tuple(row) for row in self._execute(sql, values))

    def _execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.OperationalError as error:
            if is_locked(error):
                raise locked_error(None) from error
            raise

    def _source(self, study_id: int) -> TrialSource:
        def rows(sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
            return self._rows(sql, {"study": study_id, **values})

        def trials(numbers: Iterable[int]) -> list[Trial]:
            return self._trials.of(study_id, numbers)

        if study_id not in self._sources:
            self._sources[study_id] = TrialSource(rows, trials)
        return self._sources[study_id]


def _observation(row: Mapping[str, Any]) -> Observation:
    value = math.nan if row["value"] is None else row["value"]
    return Observation(row["metric"], row["step"], value, row["at"])
