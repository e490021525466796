"""Seconds, memory and dollars of an unchanged script as objectives and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.machine.gpus import played_gpus
from fakes.trials import PYTHON, Bench, finish

import tunesmith as ts
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.files.workspace import artifacts_folder
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.study.trials.observed.resources import resource_values, usage_in_sequence
from tunesmith.study.trials.results import study_front
from tunesmith.study.trials.trial import FailureKind, Outcome, Proposal, Source, Trial, TrialState, Usage

TRAIN = """
import sys
x = float(sys.argv[1])
if x > 0.9:
    sys.exit("too large")
print("run/seconds=999 seconds=998")
print(f"loss={(x - 0.3) ** 2}")
"""


def run(folder: Path, *, trials: int = 4, settings: dict[str, Any] | None = None, **tables: Any) -> list[Trial]:
    spec = parse_spec(
        {
            "study": {"name": "toy", "metric": "loss"},
            "run": {"command": f"{PYTHON} train.py {{x}}", **(settings or {})},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}},
            "budget": {"trials": trials},
            "planner": {"sampler": "random"},
            **tables,
        }
    )
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(TRAIN)
    history = folder / ".tunesmith" / "history.db"
    Loop(spec, RunOptions(project=folder, history=history, cpus=1), on_event=lambda _: None).run()
    with History.open(history) as opened:
        found = opened.trials(opened.study("toy").id)
        assert opened.front(opened.study("toy")) == study_front(found, spec)
        return found


def test_an_unchanged_script_is_tuned_for_what_is_measured_and_not_for_what_it_says(tmp_path: Path) -> None:
    names = ["loss", "run/seconds", "run/usd"]
    found = run(tmp_path, settings={"usd_per_hour": 3600}, study={"name": "toy", "metric": names}, trials=6)
    complete = [t for t in found if t.state is TrialState.COMPLETE]
    assert complete
    for trial in complete:
        assert trial.outcome is not None
        assert trial.values["run/seconds"] == trial.outcome.usage.wall_s > 0
        assert trial.values["run/usd"] == pytest.approx(trial.values["run/seconds"])
    # A trial that failed would have taken longer, so it has no such value.
    assert all("run/seconds" not in t.values for t in found if t.state is TrialState.FAILED)


def test_seconds_alone_are_an_objective_and_memory_is_a_bound(tmp_path: Path) -> None:
    bounds = [{"metric": "run/rss_gib", "max": 8.0}, {"metric": "loss", "max": 1.0}]
    found = run(tmp_path, study={"name": "toy", "metric": "run/seconds"}, constraints=bounds)
    assert [t.failure.kind for t in found if t.failure and t.failure.kind is FailureKind.NO_METRIC] == []
    assert all(0 < t.values["run/rss_gib"] < 8 for t in found if t.state is TrialState.COMPLETE)


def test_a_bound_that_comes_later_also_counts_for_earlier_trials(tmp_path: Path) -> None:
    before = run(tmp_path)
    assert all("run/seconds" not in t.values for t in before)
    after = run(tmp_path, trials=5, constraints=[{"metric": "run/seconds", "max": 60}])
    complete = [t for t in after if t.state is TrialState.COMPLETE]
    assert len(complete) > 2
    assert all(t.outcome is not None and t.values["run/seconds"] == t.outcome.usage.wall_s for t in complete)


@pytest.mark.parametrize(
    ("gpu", "metric", "says"),
    [
        ({"memory": 80, "watt": 300}, "run/gpu_kwh", ""),
        ({"memory": 80, "old": True}, "run/gpu_kwh", "does not report it"),
        ({"memory": 80, "old": True}, "run/gpu_mem_gib", ""),
        (None, "run/gpu_kwh", "NVML"),
        (None, "run/gpu_mem_gib", "NVML"),
    ],
)
def test_what_this_machine_cannot_measure_is_refused_at_the_start(
    tmp_path: Path, gpu: dict[str, Any] | None, metric: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = {"name": "toy", "metric": ["loss", metric]}
    project = tmp_path / "project"
    if gpu is None:
        # GPUs that a scheduler assigned, on a machine without NVML.
        monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with pytest.raises(ProjectError, match=says):
            run(project, settings={"gpus": 1}, study=study)
        assert not (project / ".tunesmith").exists()
        return
    with played_gpus(tmp_path / "gpu", gpu):
        if says:
            with pytest.raises(ProjectError, match=says):
                run(project, settings={"gpus": 1}, study=study)
            return
        assert any(metric in t.values for t in run(project, trials=1, settings={"gpus": 1}, study=study))


def test_a_tuner_measures_seconds_and_takes_what_the_caller_measured() -> None:
    space = {"x": ts.Float(0, 1)}
    with ts.Tuner(space, metric=["run/seconds", "loss", "run/rss_gib"]) as tuner:
        tuner.tell(tuner.ask(), {"loss": 0.2, "run/rss_gib": 2.0})
        tuner.tell(tuner.ask(), {"loss": 0.1, "run/rss_gib": 3.0, "run/seconds": 77.0})
        with pytest.raises(SpecError, match="run/rss_gib.*measures run/seconds only"):
            tuner.tell(tuner.ask(), 0.3)
        first, second = tuner.trials[:2]
    assert 0 <= first.values["run/seconds"] < 60
    assert first.values["loss"] == 0.2
    assert second.values["run/seconds"] == 77.0
    with ts.Tuner(space, metric=["run/seconds", "loss"]) as tuner:
        tuner.tell(tuner.ask(), 0.3)
        assert tuner.trials[0].values["loss"] == 0.3


def test_runs_that_continue_each_other_add_up() -> None:
    parts = [Usage(wall_s=3, peak_rss_gib=2, energy_j=100), Usage(wall_s=4, peak_rss_gib=1, energy_j=50)]
    whole = usage_in_sequence(parts)
    assert resource_values(["run/seconds", "run/rss_gib", "loss"], whole, None) == {"run/seconds": 7, "run/rss_gib": 2}
    assert resource_values(["run/usd"], whole, 1800) == {"run/usd": pytest.approx(3.5)}
    unmeasured = usage_in_sequence([parts[0], Usage(wall_s=1)])
    assert resource_values(["run/gpu_kwh"], unmeasured, None) == {}


@pytest.mark.parametrize("kept", [True, False])
def test_a_trial_that_continues_another_has_the_seconds_of_both(tmp_path: Path, kept: bool) -> None:
    bench = Bench(tmp_path)
    bench.write("print('loss=0.5')\n")
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"}, study={"metric": ["loss", "run/seconds"]})
    params = {"lr": 0.01, "hidden": 64, "optimizer": "adam"}
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=7)
    outcome = Outcome(state=TrialState.STOPPED, usage=Usage(wall_s=500.0))
    earlier = Trial(number=0, proposal=proposal, state=TrialState.STOPPED, outcome=outcome)
    artifacts = artifacts_folder(bench.study, 0)
    artifacts.mkdir(parents=True)
    if kept:
        (artifacts / "checkpoint").write_text("x")
    trial = Trial(number=1, proposal=proposal, state=TrialState.RUNNING)
    ended = finish(evaluator.start(trial, Slot(index=0), bench.seen.append, earlier=[earlier]))
    assert ended.usage.wall_s < 500
    assert ended.values["run/seconds"] == pytest.approx(ended.usage.wall_s + (500 if kept else 0))
