"""The history through its public classes, on real files."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import complete, failed, make_spec, proposal
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from tunesmith.history.database import schema
from tunesmith.history.database.names import LATEST_MIGRATION
from tunesmith.history.read import History
from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.study.config.record import LlmCall
from tunesmith.study.errors import HistoryError
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import FailureKind, Outcome, Prediction, Source, Trial, TrialState, Usage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "history.db"


@pytest.fixture
def recorder(path: Path) -> Iterator[Recorder]:
    with Recorder(path, make_spec(), project="/project", now=1000.0) as opened:
        yield opened


def run_one(recorder: Recorder, outcome: Outcome, *, lr: float = 0.01, now: float = 1001.0) -> Trial:
    trial = recorder.record_start(recorder.record_proposal(proposal(lr), now), 0, now)
    return recorder.record_outcome(trial, outcome, now + 1)


def test_what_was_written_is_read_back_equal(recorder: Recorder) -> None:
    proposed = replace(
        proposal(),
        prediction=Prediction(mean=0.3, std=0.1),
        rival=Prediction(mean=0.2, std=0.0),
        fallback_reason="busy",
        fidelity=27.0,
    )
    trial = recorder.record_start(recorder.record_proposal(proposed, 1001.0), 1, 1002.0)
    written = recorder.record_outcome(trial, complete(0.25, acc=math.inf), 1009.0)
    assert recorder.history.trials(recorder.study_id) == [written]
    assert written.number == 0
    assert written.values == {"loss": 0.25, "acc": math.inf}


@given(
    params=st.dictionaries(
        st.text("abcxyz_", min_size=1, max_size=8),
        st.one_of(st.floats(allow_nan=False), st.integers(-(10**18), 10**18), st.booleans(), st.text(), st.none()),
        max_size=5,
    ),
    values=st.dictionaries(st.text(min_size=1, max_size=8), st.floats(allow_nan=False), max_size=4),
    tail=st.text(max_size=200),
)
def test_any_trial_survives_a_round_trip_through_the_file(
    params: dict[str, object], values: dict[str, float], tail: str
) -> None:
    with Recorder(None, make_spec(), project="", now=0.0) as recorder:
        trial = recorder.record_proposal(replace(proposal(), params=params), 1.0)
        outcome = replace(failed(tail=tail), values=values)
        written = recorder.record_outcome(recorder.record_start(trial, 0, 1.0), outcome, 2.0)
        (read,) = recorder.history.trials(recorder.study_id)
        assert read == written


def test_nan_is_kept_as_nan(recorder: Recorder) -> None:
    trial = recorder.record_proposal(proposal(), 1.0)
    seen = [Observation("loss", 1.0, math.nan, 1.0), Observation("loss", 2.0, math.inf, 2.0)]
    recorder.record_observations([ObservationBatch(trial=trial, observations=seen)])
    first, second = recorder.history.curve(recorder.study_id, 0)
    assert math.isnan(first.value)
    assert second == seen[1]


def test_a_curve_holds_the_latest_attempt_only(recorder: Recorder) -> None:
    trial = recorder.record_start(recorder.record_proposal(proposal(), 1.0), 0, 1.0)
    recorder.record_observations([ObservationBatch(trial=trial, observations=[Observation("loss", 1.0, 9.0, 1.0)])])
    again = recorder.record_requeue(trial, 2.0, reason="lost", attempt=2)
    assert again.state is TrialState.WAITING
    assert again.started_at is None
    running = recorder.record_start(again, 0, 3.0)
    recorder.record_outcome(running, complete(0.5), 4.0, rest=[Observation("loss", 1.0, 0.5, 3.5)])
    assert [o.value for o in recorder.history.curve(recorder.study_id, 0)] == [0.5]
    assert recorder.history.curves(recorder.study_id)[0][0].value == 0.5
    assert [e.kind for e in recorder.history.events(recorder.study_id)] == ["spec", "opened", "requeued"]


def test_counts_exclude_replicates(recorder: Recorder) -> None:
    run_one(recorder, complete(0.4))
    run_one(recorder, failed(FailureKind.OOM))
    again = recorder.record_proposal(proposal(source=Source.CONFIRM, replicate_of=0), 5.0)
    recorder.record_outcome(recorder.record_start(again, 0, 5.0), complete(0.1), 6.0)
    trial_counts = recorder.history.trial_counts(recorder.study_id)
    assert dict(trial_counts.states) == {TrialState.COMPLETE: 1, TrialState.FAILED: 1}
    assert dict(trial_counts.failures) == {"oom": 1}
    assert trial_counts.replicates == 1
    record = recorder.record
    assert record.spent.trials == 2
    assert record.spent.gpu_hours == pytest.approx(1.0 / 3600)  # replicates cost GPU time like any other
    best = recorder.history.best(record)
    assert best is not None
    assert best.values["loss"] == 0.4


def test_the_best_meets_the_constraints_and_follows_the_direction(path: Path) -> None:
    spec = make_spec(study={"direction": "maximize"})
    spec = spec.model_copy(update={"constraints": make_spec_constraints()})
    with Recorder(path, spec, project="", now=0.0) as recorder:
        for loss, memory in ((0.9, 90.0), (0.7, 60.0), (0.8, 69.0)):
            run_one(recorder, complete(loss, mem=memory))
        record = replace(recorder.record, spec=spec)
        best = recorder.history.best(record)
        assert best is not None
        assert best.number == 2
        assert [i.number for i in recorder.history.improvements(record)] == [1, 2]


def make_spec_constraints() -> object:
    document = {**make_spec().document, "constraints": [{"metric": "mem", "max": 70}]}
    from tunesmith.study.config.load import parse_spec

    return parse_spec(document).constraints


def test_a_second_writer_is_refused_and_the_message_names_the_first(recorder: Recorder, path: Path) -> None:
    with pytest.raises(HistoryError, match=f"process {os.getpid()} on "):
        Recorder(path, make_spec(), project="", now=0.0)


def test_the_lock_ends_with_its_holder(path: Path, tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from pathlib import Path\n"
        "sys.path[:0] = eval(sys.argv[2])\n"
        "from fakes.studies import make_spec\n"
        "from tunesmith.history.write import Recorder\n"
        "Recorder(Path(sys.argv[1]), make_spec(), project='', now=0.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), repr(sys.path)], check=False)
    with Recorder(path, make_spec(), project="", now=0.0) as recorder:
        assert recorder.history.names() == ["small"]


def test_a_history_can_be_read_while_it_is_written(recorder: Recorder, path: Path) -> None:
    with History.open(path) as reader:
        for value in range(5):
            run_one(recorder, complete(float(value)))
            assert len(reader.trials(recorder.study_id)) == value + 1


def test_a_reader_cannot_write(recorder: Recorder, path: Path) -> None:
    with History.open(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("delete from trials")


def test_cached_trials_follow_later_changes(recorder: Recorder) -> None:
    first = recorder.record_start(recorder.record_proposal(proposal(0.1), 1.0), 0, 1.0)
    second = recorder.record_start(recorder.record_proposal(proposal(0.2), 1.0), 1, 1.0)
    done = recorder.record_outcome(second, complete(0.2), 2.0)
    assert recorder.history.trials(recorder.study_id) == [first, done]
    also_done = recorder.record_outcome(first, complete(0.1), 3.0)
    assert recorder.history.trials(recorder.study_id) == [also_done, done]
    third = recorder.record_proposal(proposal(0.3), 4.0)
    assert recorder.history.trials(recorder.study_id) == [also_done, done, third]


def test_another_metric_under_the_same_name_is_refused(path: Path) -> None:
    Recorder(path, make_spec(), project="", now=0.0).close()
    with pytest.raises(HistoryError, match="minimize loss, but study.toml now says minimize acc"):
        Recorder(path, make_spec(study={"metric": "acc"}), project="", now=1.0)
    Recorder(path, make_spec(), project="", now=2.0).close()  # the refused writer left no lock behind


def test_a_changed_study_file_is_stored_with_an_event(path: Path) -> None:
    Recorder(path, make_spec(), project="", now=0.0).close()
    with Recorder(path, make_spec(budget={"trials": 99}), project="", now=1.0) as recorder:
        assert recorder.record.spec.budget.trials == 99
        kinds = [event.kind for event in recorder.history.events(recorder.study_id)]
        assert kinds == ["spec", "opened", "spec", "opened"]


def test_trials_of_a_space_that_a_command_changed_and_changed_back_are_outside_of_neither(path: Path) -> None:
    first = make_spec()
    space = {**first.document["space"], "lr": {"type": "float", "low": 1.0, "high": 2.0}}
    other = make_spec(space=space)
    with Recorder(path, first, project="", now=0.0) as recorder:
        run_one(recorder, complete(0.3), lr=0.01)
        assert recorder.history.left_out(recorder.record) == 0
        recorder.record_command({}, [], 1.0, spec=other)
        run_one(recorder, complete(0.2), lr=1.5)
        assert recorder.history.left_out(recorder.record) == 1
        recorder.record_command({}, [], 2.0, spec=first)
        assert recorder.history.left_out(recorder.record) == 1
        assert [i.number for i in recorder.history.improvements(recorder.record)] == [0]


def test_time_at_work_adds_up_over_runs(path: Path) -> None:
    steady = iter([5.0, *[5.0 + 3600] * 3, 50.0, *[50.0 + 1800] * 3])
    with Recorder(path, make_spec(), project="", now=1000.0, steady=lambda: next(steady)) as recorder:
        run_one(recorder, complete(1.0), now=1000.0 + 3599)
    # Setting the wall clock back or forward changes nothing.
    with Recorder(path, make_spec(), project="", now=90.0, steady=lambda: next(steady)) as recorder:
        run_one(recorder, complete(1.0), now=90000.0)
        assert recorder.record.spent.hours == pytest.approx(1.5)


def test_secrets_are_not_stored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2-hunter2")
    with Recorder(path, make_spec(), project="", now=0.0) as recorder:
        tail = "key=hunter2-hunter2 and sk-abcdefghijklmnopqrstuv and https://me:pass@host/x"
        run_one(recorder, failed(reason="bad key hunter2-hunter2", tail=tail))
        recorder.record_event("note", 1.0, detail={"text": "hunter2-hunter2"})
    stored = path.read_bytes() + (
        path.with_name("history.db-wal").read_bytes() if path.with_name("history.db-wal").exists() else b""
    )
    for secret in (b"hunter2", b"sk-abcdef", b"me:pass"):
        assert secret not in stored


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"not a database at all, but long enough to be taken for one" * 40, "cannot be opened")],
    ids=["empty file", "no database"],
)
def test_a_file_that_is_not_a_history_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "history.db"
    file.write_bytes(content)
    with pytest.raises(HistoryError, match=message):
        History.open(file)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as db:
        db.execute("create table mine (x)")
    db.close()
    for opening in (lambda: History.open(file), lambda: Recorder(file, make_spec(), project="", now=0.0)):
        with pytest.raises(HistoryError, match="not a Tunesmith history"):
            opening()


MIGRATIONS_TABLE = """
    create table _sqlite_migrations (id integer primary key, migration_set text, name text, applied_at text)
"""


@pytest.mark.parametrize("tables", [[], [MIGRATIONS_TABLE]], ids=["no table", "that of migrations"])
def test_a_file_without_tables_counts_as_no_history(tmp_path: Path, tables: list[str]) -> None:
    file = tmp_path / "h.db"
    with sqlite3.connect(file) as db:
        db.execute("pragma journal_mode=wal")
        for table in tables:
            db.execute(table)
    db.close()
    assert History.open_if_any(file) is None
    with pytest.raises(HistoryError, match="no study has run there yet"):
        History.open(file)
    with Recorder(file, make_spec(), project="", now=0.0) as recorder:
        run_one(recorder, complete(0.5))
    with History.open(file) as history:
        assert len(history.trials(1)) == 1


def test_a_missing_history_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="tunesmith run"):
        History.open(tmp_path / "none.db")


def test_a_newer_history_is_refused(recorder: Recorder, path: Path) -> None:
    recorder.close()
    with sqlite3.connect(path) as db:
        db.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values ('tunesmith', 'm999', '')")
    db.close()
    with pytest.raises(HistoryError, match="newer Tunesmith"):
        Recorder(path, make_spec(), project="", now=1.0)


def test_a_migration_leaves_a_copy_of_the_file_before_it(
    recorder: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_one(recorder, complete(0.5))
    recorder.close()
    later = schema.Migrations("tunesmith")
    later._migrations = [*schema.MIGRATIONS._migrations]

    @later()
    def m900_test_column(db: object) -> None:
        db.execute("alter table trials add column extra text")  # type: ignore[attr-defined]

    monkeypatch.setattr(schema, "MIGRATIONS", later)
    with Recorder(path, make_spec(), project="", now=9.0) as migrated:
        assert len(migrated.history.trials(migrated.study_id)) == 1
    copy = sqlite3.connect(path.with_name("history.db.before-m900_test_column"))
    assert copy.execute("select count(*) from trials").fetchone() == (1,)
    assert "extra" not in [row[1] for row in copy.execute("pragma table_info(trials)")]
    copy.close()


def test_a_file_of_the_first_version_is_migrated_and_a_copy_kept(
    recorder: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.close()
    path.unlink()
    first = schema.Migrations("tunesmith")
    first._migrations = schema.MIGRATIONS._migrations[:1]
    db = Database(path)
    db.execute("pragma journal_mode=wal")
    first.apply(db)
    spec = json.dumps(make_spec().document)
    db.execute("insert into studies (name, spec, project, created_at) values ('toy', ?, '', 0)", [spec])
    trial = "insert into trials (study_id, number, state, source, variant, params, seed, created_at) "
    db.execute(trial + "values (1, 0, 'waiting', 'default', 'base', '{}', 0, 0)")
    db.execute("insert into proposals (trial_id, rationale) values (1, 'your default')")
    db.conn.commit()
    db.close()
    with History.open(path) as history:
        (found,) = history.trials(history.study("toy").id)
    assert (found.proposal.rationale, found.proposal.rival) == ("your default", None)
    kept = path.with_name(f"{path.name}.before-m002_rival_of_a_proposal")
    assert not kept.exists()  # reading writes nothing
    with Recorder(path, make_spec(study={"name": "new"}), project="", now=1.0):
        assert kept.exists()


def test_the_name_of_the_latest_migration_is_current() -> None:
    assert schema.MIGRATIONS._migrations[-1].name == LATEST_MIGRATION


def test_foreign_keys_are_enforced(recorder: Recorder) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        recorder._db.execute("insert into artifacts (trial_id, path) values (999, 'x')")


def test_the_documented_queries_run(recorder: Recorder) -> None:
    run_one(recorder, replace(complete(0.5), artifacts=("model.pt",), usage=Usage(wall_s=1.0)))
    readme = (Path(__file__).parents[2] / "history" / "README.md").read_text(encoding="utf-8")
    queries = [block.split("```")[0] for block in readme.split("```sql")[1:]]
    assert len(queries) == 5
    for query in queries:
        list(recorder._db.query(query.strip().rstrip(";")))
    tables = {row["name"] for row in recorder._db.query("select name from sqlite_master where type = 'table'")}
    for table in tables - {"_sqlite_migrations"}:
        assert f"`{table}`" in readme


def test_the_stored_study_is_the_study_file(recorder: Recorder) -> None:
    (row,) = recorder._db.query("select spec from studies")
    assert json.loads(row["spec"]) == make_spec().document


def test_a_call_of_a_model_names_the_latest_trial_that_its_prompt_showed(recorder: Recorder) -> None:
    def call(trial: int | None) -> LlmCall:
        messages = (("user", "q"),)
        return LlmCall(purpose="propose", prompt_version="v", model="m", messages=messages, answer="a", trial=trial)

    run_one(recorder, complete(0.5))
    recorder.record_llm_calls([call(None), call(0), call(7)])
    assert [c.trial for c in recorder.history.llm_calls(recorder.study_id)] == [None, 0, None]


def test_the_use_of_models_is_summed_by_purpose_the_dearest_first(recorder: Recorder) -> None:
    def call(purpose: str, usd: float | None, tokens: int | None) -> LlmCall:
        return LlmCall(
            purpose=purpose,
            prompt_version="v",
            model="m",
            messages=(("user", "q" * 300),),
            answer="a",
            input_tokens=tokens,
            output_tokens=tokens,
            cost_usd=usd,
        )

    recorder.record_llm_calls([call("propose", 0.1, 50), call("chat", 0.5, 10), call("propose", None, None)])
    spent = recorder.record.spent
    assert [(u.purpose, u.calls, u.usd) for u in spent.llm_purposes] == [("chat", 1, 0.5), ("propose", 2, 0.1)]
    assert spent.llm_purposes[1].tokens > 150
    assert sum(u.tokens for u in spent.llm_purposes) == pytest.approx(spent.llm_tokens, abs=2)
