"""Trials that share GPUs or run on a cluster: packing, second attempts, and what the history says of them."""

from __future__ import annotations

import math
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.machine import slurm_commands
from fakes.machine.gpus import TRAIN, played_gpus
from fakes.studies import SPACE, complete, failed
from fakes.trials import PYTHON

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Finished, LoopEvent, Started
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.loop.slots.gpu_packing import GpuJob, expected_gib, fits
from tunesmith.evaluator.executors import slurm
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.gpu import gpu_meter
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.energy import energy_line, gpu_line
from tunesmith.study.trials.trial import FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.units import JOULES_PER_KWH


def run(
    folder: Path, settings: dict[str, Any], *, on_event: Callable[[LoopEvent], None] = lambda event: None, **tables: Any
) -> tuple[list[Trial], History]:
    """Run a study in this process and return its trials with the history, open."""
    spec = parse_spec(
        {
            "study": {"name": "toy", "metric": "loss"},
            "run": settings,
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "budget": {"trials": 4},
            "planner": {"sampler": "random"},
            **tables,
        }
    )
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "train.py").write_text(TRAIN)
    history = project / ".tunesmith" / "history.db"
    Loop(spec, RunOptions(project=project, history=history, cpus=1), on_event=on_event).run()
    opened = History.open(history)
    return list(opened.trials(opened.study("toy").id)), opened


@pytest.mark.parametrize(
    ("gib", "kinds", "attempts"), [(6, {"complete"}, 2), (12, {"oom"}, 2)], ids=["fits by itself", "never fits"]
)
def test_a_trial_that_runs_out_of_memory_on_a_shared_gpu_runs_again_alone_on_it(
    tmp_path: Path, gib: float, kinds: set[str], attempts: int
) -> None:
    notes: list[str] = []
    neighbours: list[int] = []
    running: set[int] = set()

    def on_event(event: LoopEvent) -> None:
        if isinstance(event, Started):
            if event.trial.attempt == attempts:
                neighbours.append(len(running))
            running.add(event.trial.number)
        elif isinstance(event, Finished):
            running.discard(event.trial.number)
        elif text := getattr(event, "text", ""):
            running.discard(int(text.split()[0][1:])) if "runs again" in text else None
            notes.append(text)

    with played_gpus(tmp_path / "gpu", {"memory": 10}):
        trials, opened = run(tmp_path, {"command": f"{PYTHON} train.py {gib} 0.4", "gpus": 0.5}, on_event=on_event)
        counted = [t.outcome.usage.gpu_s for t in trials if t.outcome]
        assert opened.study("toy").spent.gpu_hours * 3600 > sum(counted) + 1e-6, (
            "the GPU time of first attempts counts too"
        )
        opened.close()
    assert {t.failure.kind.value if t.failure else t.state.value for t in trials} == kinds
    second = [t for t in trials if t.attempt == attempts]
    assert second
    assert neighbours == [0] * len(second)
    assert any("ran out of memory on a GPU shared with another trial" in text for text in notes)


def test_trials_are_packed_by_the_memory_that_others_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_meter, "SAMPLE_S", 0.1)
    running: set[int] = set()
    at_once: dict[int, int] = {}

    def on_event(event: LoopEvent) -> None:
        if isinstance(event, Started):
            running.add(event.trial.number)
            at_once[event.trial.number] = len(running)
        elif isinstance(event, Finished):
            running.discard(event.trial.number)

    settings = {"command": f"{PYTHON} train.py 6 0.4", "gpus": "auto", "co2_g_per_kwh": 400}
    with played_gpus(tmp_path / "gpu", {"memory": 24, "watt": 300, "busy": 80}):
        trials, opened = run(tmp_path, settings, on_event=on_event, budget={"trials": 9})
    assert Counter(t.state.value for t in trials) == {"complete": 9}
    # Three times 1.15 * 6 GiB fit into 92% of 24 GiB; until three trials are measured, each runs by itself.
    assert [at_once[number] for number in range(3)] == [1, 1, 1]
    assert max(at_once.values()) == 3
    spent = opened.study("toy").spent
    energy_j = sum(t.outcome.usage.energy_j or 0 for t in trials if t.outcome)
    assert spent.kwh == pytest.approx(energy_j / JOULES_PER_KWH)
    # One second on a GPU shared by three trials is one GPU second.
    assert spent.gpu_hours * 3600 == pytest.approx(energy_j / 300, rel=0.1)
    opened.close()
    assert trials[0].outcome is not None
    assert gpu_line(trials[0].outcome.usage).startswith("peak 6.0 GiB, 80% busy, ")
    assert energy_line(3.1, 400) == "3.10 kWh (1.24 kg CO2)"


def test_a_budget_of_energy_ends_the_study(tmp_path: Path) -> None:
    with played_gpus(tmp_path / "gpu", {"memory": 24, "watt": 300}):
        settings = {"command": f"{PYTHON} train.py 6 0.3", "gpus": 1}
        trials, opened = run(tmp_path, settings, budget={"kwh": 150 / JOULES_PER_KWH})
    assert opened.study("toy").ended_by == "kwh"
    assert len(trials) < 4
    assert opened.study("toy").spent.kwh >= 150 / JOULES_PER_KWH
    opened.close()


def test_a_trial_whose_node_is_lost_runs_again_and_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slurm"
    monkeypatch.setenv("PATH", f"{slurm_commands.install(folder)}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.setattr(slurm, "QUERY_S", 0.2)
    lost: list[int] = []

    def on_event(event: LoopEvent) -> None:
        if type(event).__name__ == "Observed" and not lost:
            lost.append(event.trial.number)  # type: ignore[union-attr]  # an Observed event has a trial
            os.killpg(int((folder / "pid-1").read_text()), signal.SIGKILL)
            (folder / "state-1").write_text("NODE_FAIL")

    command = "sh -c 'echo loss=1; sleep 0.5; echo loss=0.5'"
    settings = {"command": command, "executor": "slurm", "parallel": 1}
    trials, opened = run(tmp_path, settings, on_event=on_event, budget={"trials": 2})
    opened.close()
    assert [(t.number, t.attempt, t.failure, t.values.get("loss")) for t in trials] == [
        (0, 2, None, 0.5), (1, 1, None, 0.5),
    ]  # fmt: skip


def gpu(index: int, gpu: str, gib: float | None = None, *, exclusive: bool = False) -> GpuJob:
    return GpuJob(slot=Slot(index=index, gpus=(gpu,)), expected_gib=gib, is_exclusive=exclusive)


@pytest.mark.parametrize(
    ("new", "others", "memory", "expected"),
    [
        (gpu(0, "0", None), [], {"0": 10}, True),
        (gpu(0, "0", 5), [gpu(1, "0", 4)], {"0": 10}, True),
        (gpu(0, "0", 5), [gpu(1, "0", 5)], {"0": 10}, False),
        (gpu(0, "0", None), [gpu(1, "0", 1)], {"0": 10}, False),
        (gpu(0, "0", 1), [gpu(1, "0", None)], {"0": 10}, False),
        (gpu(0, "0", math.inf), [gpu(1, "0", 1)], {"0": 10}, False),
        (gpu(0, "0", 9), [gpu(1, "1", 9)], {"0": 10, "1": 10}, True),
        (gpu(0, "0", 1, exclusive=True), [gpu(1, "0", 1)], {"0": 10}, False),
        (gpu(0, "0", 1), [gpu(1, "0", 1, exclusive=True)], {"0": 10}, False),
        (gpu(0, "0"), [gpu(1, "0")], None, True),
        (gpu(0, "0"), [gpu(1, "0", exclusive=True)], None, False),
    ],
)
def test_a_trial_fits_if_the_expected_memory_of_all_trials_fits(
    new: GpuJob, others: Sequence[GpuJob], memory: dict[str, float | None] | None, expected: bool
) -> None:
    assert fits(new, others, memory) is expected


def trial(hidden: int, outcome: Outcome | None = None, gib: float | None = None) -> Trial:
    params = {"lr": 0.01, "hidden": hidden, "optimizer": "adam"}
    if outcome is not None:
        outcome = replace(outcome, usage=replace(outcome.usage, gpu_mem_gib=gib))
    state = TrialState.WAITING if outcome is None else outcome.state
    return Trial(
        number=0, proposal=Proposal(params=params, source=Source.SAMPLER, seed=1), state=state, outcome=outcome
    )


def test_expected_memory_follows_the_nearest_three_trials() -> None:
    space = parse_spec({"study": {"name": "s", "metric": "loss"}, "run": {"command": "x"}, "space": SPACE}).space
    small = [trial(8 + i, complete(0.1), 2.0) for i in range(3)]
    large = [trial(400 + i, complete(0.1), 10.0 + i) for i in range(3)]
    assert expected_gib(trial(9), [*small, *large], space) == pytest.approx(1.15 * 2)
    assert expected_gib(trial(500), [*small, *large], space) == pytest.approx(1.15 * 12)
    assert expected_gib(trial(500), large[:2], space) is None
    assert expected_gib(trial(500), [*large, trial(510, failed(FailureKind.OOM))], space) == math.inf
    assert expected_gib(trial(500), [*large[:2], trial(510, failed(FailureKind.CRASH), 1.0)], space) is None
