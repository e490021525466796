"""Finding the studies that a study learns from, in its own history and in other files, or refusing them with a fix."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import make_spec

from tunesmith.history.earlier import overlapping_studies
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.errors import SpecError
from tunesmith.study.trials.trial import Outcome, Proposal, Source, TrialState

LR = {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "default": 1e-3}
HIDDEN = {"type": "int", "low": 8, "high": 512, "default": 64}
SPACE = {"lr": LR, "hidden": HIDDEN}


def run(path: Path, name: str, *params: Mapping[str, Any], metric: str = "loss", **tables: Mapping[str, Any]) -> None:
    """Add a study with one complete trial per set of parameters to a history."""
    space = {key: {"type": "float", "low": 0.0, "high": 10.0} | SPACE.get(key, {}) for key in params[0]} or SPACE
    command = {"command": "python train.py"}
    spec = make_spec(study={"name": name, "metric": metric}, run=command, space=space, **tables)
    with Recorder(path, spec, project="", now=0.0) as recorder:
        for values in params:
            trial = recorder.record_proposal(Proposal(params=values, source=Source.SAMPLER, seed=0), 0.0)
            if values:
                outcome = Outcome(state=TrialState.COMPLETE, values={metric: 1.0})
                recorder.record_outcome(recorder.record_start(trial, 0, 0.0), outcome, 1.0)


def learner(*sources: Any, **tables: Mapping[str, Any]) -> Any:
    named = {"warm_start": {"from": list(sources)}} if sources else {}
    return make_spec(study={"name": "now"}, run={"command": "python train.py"}, space=SPACE, **named, **tables)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    run(tmp_path / "h.db", "first", {"lr": 0.1, "hidden": 32}, {"lr": 0.2, "hidden": 32})
    return tmp_path / "h.db"


def refused(path: Path, spec: Any) -> str:
    """Return why a run is refused, and check that the history is unchanged."""
    with pytest.raises(SpecError) as error, Recorder(path, spec, project=str(path.parent), now=2.0):
        pass
    with History.open(path) as opened:
        assert "now" not in opened.names()
    return str(error.value)


def test_trials_of_another_file_are_projected_to_the_parameters_of_this_study(path: Path) -> None:
    run(path.parent / "other.db", "there", {"lr": 0.3, "depth": 3.0}, {"lr": 0.4, "depth": 2.0})
    with Recorder(path, learner("first", "other.db:there"), project=str(path.parent), now=2.0) as recorder:
        here, there = recorder.earlier
    assert (here.name, there.name) == ("first", "other.db:there")
    fitting = [dict(t.params) for t in there.trials_in(make_spec(space=SPACE, run={"command": "x"}).space)]
    assert fitting == [{"lr": 0.3, "hidden": 64}, {"lr": 0.4, "hidden": 64}]


def test_every_missing_study_is_named_with_the_nearest_name(path: Path) -> None:
    text = refused(path, learner("frist", "g.db:x", "now", "h.db", "h.db:secnod"))
    assert "5 mistakes" in text
    assert "no study 'frist' in this history; did you mean first?" in text
    assert "g.db; did you mean h.db?" in text
    assert "now is this study itself" in text
    assert "'h.db' names a file" in text
    assert "no study 'secnod'" in text


@pytest.mark.parametrize(
    ("params", "metric", "message"),
    [
        ([{"lr": 0.1}], "accuracy", "has no loss, which this study tunes (it has accuracy)"),
        ([{"depth": 3.0}], "loss", "has none of this study's parameters (it tunes depth)"),
        ([{"lr": 0.1, "hidden": 500.0}], "loss", "lies within this study's ranges"),
        ([{}], "loss", "has no complete trial"),
    ],
)
def test_a_study_that_does_not_fit_is_refused(
    path: Path, params: list[dict[str, Any]], metric: str, message: str
) -> None:
    run(path, "odd", *params, metric=metric)
    space = {**SPACE, "hidden": {**HIDDEN, "high": 100}}
    spec = make_spec(
        study={"name": "now"},
        run={"command": "x"},
        space=space,
        warm_start={"from": ["odd"]},  # type: ignore[dict-item]
    )
    assert message in refused(path, spec)


def test_a_file_that_is_damaged_foreign_or_newer_is_refused(path: Path, tmp_path: Path) -> None:
    run(tmp_path / "newer.db", "x", {"lr": 0.1})
    with sqlite3.connect(tmp_path / "newer.db") as db:
        db.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values ('tunesmith', 'm999', '')")
    db.close()
    with sqlite3.connect(tmp_path / "foreign.db") as db:
        db.execute("create table mine (x)")
    db.close()
    (tmp_path / "noise.db").write_bytes(b"\x00\xff" * 4000)
    run(tmp_path / "torn.db", "x", *[{"lr": 0.1 + n / 1000} for n in range(40)])
    whole = (tmp_path / "torn.db").read_bytes()
    (tmp_path / "torn.db").write_bytes(whole[:8192] + b"\xee" * (len(whole) - 8192))
    text = refused(path, learner(*(f"{name}.db:x" for name in ("newer", "foreign", "noise", "torn"))))
    assert "4 mistakes" in text
    assert "newer Tunesmith" in text
    assert "not a Tunesmith history" in text
    assert "noise.db cannot be opened" in text
    assert "torn.db" in text


def test_the_scale_comes_from_the_study_itself_or_from_the_entry_that_names_it(path: Path) -> None:
    run(path, "small", {"lr": 0.1}, scale={"width": 64})
    spec = learner("small", {"study": "first", "scale": {"width": 128}}, scale={"width": 1024})
    with Recorder(path, spec, project="", now=2.0) as recorder:
        assert [dict(study.scale) for study in recorder.earlier] == [{"width": 64}, {"width": 128}]
    silent = make_spec(
        study={"name": "again"}, run={"command": "x"}, space=SPACE, scale={"width": 9}, warm_start={"from": ["first"]}
    )  # type: ignore[dict-item]
    with pytest.raises(SpecError, match=r'first does not give its width.*study = "first", scale = { width'):
        Recorder(path, silent, project="", now=3.0)


def test_a_parameter_cannot_be_a_scale_and_a_wrong_key_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"scale.lr +is also a parameter"):
        learner(scale={"lr": 2.0})
    with pytest.raises(SpecError, match="did you mean from?"):
        make_spec(warm_start={"form": ["a"]})  # type: ignore[dict-item]
    with pytest.raises(SpecError, match=r"scale.width .*is not valid here"):
        learner(scale={"width": -1})


def test_studies_overlap_if_they_share_half_of_the_parameters(path: Path) -> None:
    run(path, "half", {"lr": 0.1, "a": 1.0, "b": 2.0})
    run(path, "none", {"a": 1.0, "b": 2.0})
    run(path, "other", {"lr": 0.1}, metric="accuracy")
    with History.open(path) as opened:
        assert [study.name for study in overlapping_studies(opened, learner()).studies] == ["half", "first"]
        assert [study.name for study in overlapping_studies(opened, learner("first")).studies] == ["half"]
