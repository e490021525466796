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

from tunesmith.history.contenders import (
    FIRST_CHUNK,
    TrialSource,
    deciding_trials,
    stored_improvements,
)
from tunesmith.history.database.connect import has_tables, is_copy, is_locked, locked_error, open_for_reading
from tunesmith.history.instance_questions import InstanceQuestions, Question
from tunesmith.history.measured import MEASURED_EVENT
from tunesmith.history.rows import llm_call_from_row, trial_from_row, variant_from_row
from tunesmith.study.config.budget import PurposeUsage, Spent
from tunesmith.study.config.command import script_path
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import Event, Lesson, LlmCall, StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.configurations import with_instances
from tunesmith.study.trials.curves import PackedObservations
from tunesmith.study.trials.failure_scope import OF_THE_CONFIGURATION, with_scopes
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.results import (
    Improvement,
    StudyQuestion,
    default_trial,
    left_out_count,
    present_improvements,
    study_front,
)
from tunesmith.study.trials.seeds import FIRST_FRESH
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.winner import Winner, winner
from tunesmith.study.units import JOULES_PER_KWH
from tunesmith.study.variant import Variant

FORGOTTEN_EVENT = "forgotten"
"""Kind of the event that has a study forget trials, or, with `again`, take them up again."""

_LLM_SUMS = """
    count(*) as calls, total(cost_usd) as usd,
    total(coalesce(input_tokens + output_tokens, (length(messages) + length(answer)) / 3)) as tokens
"""
"""Sums over calls to LLMs. If a server reports no tokens, they are estimated as a third of the characters."""

_TRIALS = """
    select trials.*, proposals.rationale, proposals.predicted_mean, proposals.predicted_std, proposals.fallback_reason,
           proposals.considered, proposals.rival_mean, proposals.rival_std,
           proposals.judged_mean, proposals.judged_std
    from trials join proposals on proposals.trial_id = trials.id
    where trials.study_id = :study
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCounts:
    """Number of trials by state, by kind of failure and by source. Only `replicates` counts replicates.

    Attributes:
        set_aside: trials that count nowhere else: failures of the study itself, and forgotten trials.
    """

    states: Mapping[TrialState, int]
    failures: Mapping[str, int]
    sources: Mapping[str, int]
    replicates: int
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class _Marks:
    """The trials that others say something about, by number, and what that rests on.

    Attributes:
        key: the number of finished trials, the forgotten ones, and the instances.
        trials: failed and forgotten trials; with [instances] also the first trial of each configuration.
    """

    key: tuple[int, frozenset[int], Question | None]
    trials: Mapping[int, Trial]


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
        # Finished trials change only where a new bound gives them measured values, so each is read once until then.
        self._measured: dict[int, int] = {}
        self._finished: dict[int, list[Trial]] = {}
        self._finished_apart: dict[int, dict[int, Trial]] = {}
        self._sources: dict[int, TrialSource] = {}
        self._choices: dict[int, _Choice] = {}
        self._marked: dict[int, _Marks] = {}
        self._instances = InstanceQuestions(self._query)

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
        return [row["name"] for row in self._query("select name from studies order by created_at desc, id desc")]

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
            spent=self._spent(row, spec),
            ended_by=row["ended_by"],
        )

    def trials(self, study_id: int) -> list[Trial]:
        """Return every trial by number. Failures have the scope that all trials so far give them."""
        return self._with_marks(study_id, self._stored_trials(study_id))

    def forgotten(self, study_id: int) -> frozenset[int]:
        """Return the numbers of the trials that people had the study forget, and not taken up again since."""
        numbers: set[int] = set()
        for event in self.events(study_id, FORGOTTEN_EVENT):
            change = set(event.detail["numbers"])
            numbers = numbers - change if event.detail.get("again") else numbers | change
        return frozenset(numbers)

    def _drop_outdated(self, study_id: int) -> None:
        """Forget what was read before finished trials got values of measured resources."""
        sql = "select count(*) from events where study_id = ? and kind = ?"
        (times,) = self._execute(sql, [study_id, MEASURED_EVENT]).fetchone()
        if times != self._measured.setdefault(study_id, times):
            self._measured[study_id] = times
            for known in (self._finished, self._finished_apart, self._choices, self._marked):
                known.pop(study_id, None)

    def _stored_trials(self, study_id: int) -> list[Trial]:
        self._drop_outdated(study_id)
        done = self._finished.setdefault(study_id, [])
        rows = self._query(f"{_TRIALS} and number >= :first order by number", {"study": study_id, "first": len(done)})
        new = [trial_from_row(row) for row in rows]
        for trial in new:
            if not trial.state.is_finished:
                break
            done.append(trial)
        return done + new[len([t for t in new if t.number < len(done)]) :]

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
        return self._select("and state in ('waiting', 'running') order by +number", study_id)

    def trial(self, study_id: int, number: int) -> Trial | None:
        """Return one trial; None if there is no trial of that number."""
        return next(iter(self._select("and number = :number", study_id, number=number)), None)

    def latest(self, study_id: int, count: int) -> list[Trial]:
        """Return the trials with the highest numbers, by number."""
        return self._select("order by number desc limit :count", study_id, count=count)[::-1]

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
        trials = self.trials(study_id) if found is None else found
        question = (asked.space, asked.objectives, asked.metric_constraints)
        last = self._choices.get(study_id)
        if last is None or last.trials != trials or last.asked != question:
            last = self._choices[study_id] = _Choice(trials, question, winner(trials, asked))
        return last.winner

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
        rows = list(
            self._query(
                """
                select state, coalesce(failure_kind, '') as kind, source, replicate_of is not null as replicate,
                    count(*) as count
                from trials where study_id = ? group by 1, 2, 3, 4
                """,
                [study_id],
            )
        )
        own = [row for row in rows if not row["replicate"]]
        set_aside = self._set_aside(study_id)
        own += [_uncounted_row(trial) for trial in set_aside]
        return TrialCounts(
            states={TrialState(k): v for k, v in _sums(own, "state").items()},
            failures=_sums([row for row in own if row["kind"]], "kind"),
            sources=_sums(own, "source"),
            replicates=sum(row["count"] for row in rows if row["replicate"]),
            set_aside=len(set_aside),
        )

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
        rows = self._query(
            """
            select at, kind, detail, trials.number from events left join trials on trials.id = events.trial_id
            where events.study_id = :study and (:kind is null or kind = :kind) order by events.id
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

    def _select(self, clause: str, study_id: int, **values: int) -> list[Trial]:
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
        if instances is None and not self._may_fail_by_itself(study_id):
            return {t.number: replace(t, forgotten=True) for t in self._trials_of(study_id, forgotten)}
        trials = self._stored_trials(study_id)
        key = (sum(t.state.is_finished for t in trials), forgotten, instances)
        if study_id not in self._marked or self._marked[study_id].key != key:
            known = [replace(t, forgotten=True) if t.number in forgotten else t for t in trials]
            scoped = with_scopes(known)
            told = scoped if instances is None else with_instances(scoped, *instances)
            marked = {t.number: t for t in told if t.failure is not None or t.forgotten or t.runs is not None}
            self._marked[study_id] = _Marks(key, marked)
        return self._marked[study_id].trials

    def _may_fail_by_itself(self, study_id: int) -> bool:
        """Return whether a failure may say something about the study only, which all trials together decide."""
        sql = "select distinct failure_kind as kind from trials where study_id = ? and state = 'failed'"
        return any(row["kind"] not in OF_THE_CONFIGURATION for row in self._query(sql, [study_id]))

    def _source(self, study_id: int) -> TrialSource:
        def rows(sql: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
            return self._rows(sql, {"study": study_id, **values})

        def trials(numbers: Iterable[int]) -> list[Trial]:
            return self._with_marks(study_id, self._trials_of(study_id, numbers))

        if study_id not in self._sources:
            self._sources[study_id] = TrialSource(rows, trials)
        return self._sources[study_id]

    def _trials_of(self, study_id: int, numbers: Iterable[int]) -> list[Trial]:
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

    def _set_aside(self, study_id: int) -> list[Trial]:
        """Return the trials that count nowhere, replicates left out."""
        return [t for t in self._marks(study_id).values() if not t.counts and not t.is_replicate]

    def saved_runs(self, study_id: int) -> float:
        """Return how many full runs a study saved because trials were stopped early or continued others; at least 0.

        Such a trial counts as its duration divided by the mean duration of uninterrupted trials. A failure counts as a
        full run, so that a study whose script always fails ends.
        """
        row = next(
            self._query(
                """
                with full as (
                    select avg(wall_s) as wall_s from trials
                    where study_id = :study and state = 'complete' and replicate_of is null and parent is null
                )
                select total(max(1.0 - trials.wall_s / full.wall_s, 0.0)) as saved from trials, full
                where study_id = :study and replicate_of is null and trials.wall_s > 0.0 and full.wall_s > 0.0
                      and (state = 'stopped' or (state = 'complete' and parent is not null))
                """,
                {"study": study_id},
            )
        )
        return float(row["saved"])

    def _spent(self, study: Mapping[str, Any], spec: StudySpec) -> Spent:
        study_id = study["id"]
        trials, others = self._usage_of_trials(study_id), self._usage_of_other_runs(study_id)
        llm = self._usage_of_llm(study_id)
        return Spent(
            trials=trials["trials"] - len(self._set_aside(study_id)),
            runs=trials["runs"],
            saved=self.saved_runs(study_id) if spec.schedule_kind == "curves" else 0.0,
            hours=study["active_s"] / 3600,
            gpu_hours=(trials["gpu_s"] + others["gpu_s"]) / 3600,
            kwh=(trials["energy_j"] + others["energy_j"]) / JOULES_PER_KWH,
            llm_usd=llm["usd"],
            llm_tokens=int(llm["tokens"]),
            llm_calls=llm["calls"],
            llm_purposes=self._usage_by_purpose(study_id) if llm["calls"] else (),
        )

    def _usage_of_trials(self, study_id: int) -> Mapping[str, Any]:
        sql = f"""
            select coalesce(sum(replicate_of is null), 0) as trials, total(gpu_s) as gpu_s, total(energy_j) as energy_j,
                   coalesce(sum(instance != '' and seed < {FIRST_FRESH}), 0) as runs
            from trials where study_id = ? and state in ('complete', 'stopped', 'failed')
            """  # noqa: S608  # a constant
        return next(self._query(sql, [study_id]))

    def _usage_of_other_runs(self, study_id: int) -> Mapping[str, Any]:
        """Sum up what is part of no trial's outcome: first attempts and held-out tests."""
        sql = """
            select total(json_extract(detail, '$.gpu_s')) as gpu_s,
                   total(json_extract(detail, '$.energy_j')) as energy_j
            from events where study_id = ? and kind in ('requeued', 'test')
            """
        return next(self._query(sql, [study_id]))

    def _usage_of_llm(self, study_id: int) -> Mapping[str, Any]:
        """Sum up the calls to LLMs."""
        return next(self._query(f"select {_LLM_SUMS} from llm_calls where study_id = ?", [study_id]))  # noqa: S608

    def _usage_by_purpose(self, study_id: int) -> tuple[PurposeUsage, ...]:
        sql = f"""
            select purpose, {_LLM_SUMS} from llm_calls where study_id = ?
            group by purpose order by usd desc, tokens desc
            """  # noqa: S608  # a constant
        return tuple(
            PurposeUsage(purpose=row["purpose"], calls=row["calls"], tokens=int(row["tokens"]), usd=row["usd"])
            for row in self._query(sql, [study_id])
        )


def _sums(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[column]] = sums.get(row[column], 0) + row["count"]
    return {name: count for name, count in sums.items() if count}


def _uncounted_row(trial: Trial) -> dict[str, Any]:
    """Return a row that takes a trial out of the counts."""
    kind = trial.failure.kind.value if trial.failure else ""
    return {"state": trial.state.value, "kind": kind, "source": trial.proposal.source.value, "count": -1}


def _observation(row: Mapping[str, Any]) -> Observation:
    value = math.nan if row["value"] is None else row["value"]
    return Observation(row["metric"], row["step"], value, row["at"])
