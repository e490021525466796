"""What only an NVIDIA GPU can show. About seven minutes on one, with 16 cores; charlm takes three of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fakes import gpu_checks as checks
from fakes.llm.server import serving
from fakes.trials import Bench, finish

from tunesmith.evaluator.evaluator import EditedCode, Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.gpu.gpus import find_gpus, open_nvml
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import FailureKind, Proposal, Source, Trial, TrialState

pytestmark = pytest.mark.gpu
GIB = 2**30


def failure_kinds(trials: list[Trial]) -> list[FailureKind | None]:
    return [trial.failure.kind if trial.failure else None for trial in trials]


def test_discovery_agrees_with_nvidia_smi(figures: list[str]) -> None:
    found, listed = find_gpus().gpus, checks.nvidia_smi_gpus()
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        assert len(found) == len(listed)
    assert found[0].name in [name for name, _ in listed]
    assert found[0].memory_gib == pytest.approx(listed[0][1], rel=0.02)
    figures.append(f"{len(found)} x {found[0].name}, {found[0].memory_gib:.0f} GiB")


def test_two_trials_at_once_on_half_a_gpu_each(tmp_path: Path, figures: list[str]) -> None:
    space = 'lr = { type = "choice", choices = [0.01, 0.1] }'
    trials = checks.study(tmp_path / "x", space=space, trials=2, gpus="0.5", parallel=2, lr="{lr}", seconds="8")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2, failure_kinds(trials)
    assert [trial.values["devices"] for trial in trials] == [1, 1]
    assert checks.overlap_s(trials) > 0
    figures.append(f"together for {checks.overlap_s(trials):.0f} s")


def test_out_of_memory_next_to_another_trial(tmp_path: Path, figures: list[str]) -> None:
    space = 'gib = { type = "choice", choices = [0.5, 4000.0] }'
    trials = checks.study(tmp_path / "x", space=space, trials=2, gpus="0.5", parallel=2, gib="{gib}", seconds="8")
    kinds = {trial.params["gib"]: trial.failure and trial.failure.kind for trial in trials}
    assert kinds == {0.5: None, 4000.0: FailureKind.OOM}
    figures.append(next(trial.failure.reason for trial in trials if trial.failure)[:60])


def test_out_of_memory_and_nan_are_told_apart(tmp_path: Path, figures: list[str]) -> None:
    space = 'lr = { type = "choice", choices = [0.1, 1e20] }'
    trials = checks.study(tmp_path / "nan", space=space, trials=2, gpus="1", lr="{lr}", seconds="3")
    assert sorted(failure_kinds(trials), key=str) == sorted([None, FailureKind.NAN], key=str)
    space = 'gib = { type = "choice", choices = [4000.0, 5000.0] }'
    trials = checks.study(tmp_path / "oom", space=space, trials=1, gpus="1", gib="{gib}", seconds="3")
    assert failure_kinds(trials) == [FailureKind.OOM]
    figures.append("nan, oom")


def test_memory_and_energy_agree_with_nvidia_smi(tmp_path: Path, figures: list[str]) -> None:
    if open_nvml() is None:
        pytest.skip('pip install "tunesmith[gpu]"')
    gpu = find_gpus().gpus[0]
    space = 'lr = { type = "choice", choices = [0.1, 0.2] }'
    metric = '["loss", "run/gpu_mem_gib", "run/gpu_kwh"]'
    with checks.watched(gpu.id) as seen:
        (trial,) = checks.study(
            tmp_path / "x", space=space, trials=1, gpus="1", gib="4", seconds="20", lr="{lr}", metric=metric
        )
    assert trial.failure is None, trial.failure
    assert trial.started_at is not None
    assert trial.ended_at is not None
    gib, joules = trial.values["run/gpu_mem_gib"], trial.values["run/gpu_kwh"] * 3.6e6
    others = seen.peak_mib() / 1024, seen.joules(trial.started_at, trial.ended_at)
    figures.append(f"{gib:.2f} GiB (nvidia-smi {others[0]:.2f}), {joules:.0f} J (nvidia-smi {others[1]:.0f})")
    assert gib == pytest.approx(others[0], abs=0.7)
    assert joules == pytest.approx(others[1], rel=0.25)


@pytest.mark.skipif(bool(sandbox_problem()), reason=sandbox_problem() or "bubblewrap works here")
def test_edited_code_trains_in_the_sandbox_and_sees_its_own_gpu(tmp_path: Path, figures: list[str]) -> None:
    bench = Bench(tmp_path)
    bench.write("print('loss=1')\n")
    document = {
        "study": {"name": "sandboxed", "metric": "loss"},
        "run": {"command": "python train.py --x {x}", "gpus": 1},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "edits": {"files": ["train.py"]},
    }
    evaluator = Evaluator(parse_spec(document), project=bench.project, folder=bench.study)
    proposal = Proposal(params={"x": 0.5}, source=Source.SAMPLER, seed=1, variant="edit-1")
    trial = Trial(number=0, proposal=proposal, state=TrialState.RUNNING)
    gpu = find_gpus().gpus[0].id
    code = EditedCode(files={"train.py": checks.SEES}, command="python train.py --x {x}")
    outcome = finish(evaluator.start(trial, Slot(index=0, gpus=(gpu,)), bench.seen.append, code=code), timeout_s=120)
    assert outcome.failure is None, outcome.failure
    seen = checks.seen_in_the_sandbox(bench.study / "trials" / "0000")
    figures.append(f"{seen['device']}, {seen['count']} GPU, nodes {', '.join(map(str, seen['nodes']))}"[:90])
    assert seen["device"] == "cuda"
    assert seen["count"] == 1
    assert seen["visible"] == gpu


@pytest.mark.skipif(shutil.which("gcc") is None, reason="Triton needs a C compiler")
def test_the_triton_example_of_the_judge_of_time(tmp_path: Path, figures: list[str]) -> None:
    pytest.importorskip("triton", reason="needs the package triton")
    trials = checks.finished(checks.timed_example(tmp_path / "x", on_cpu=False))
    wrong = [trial.failure for trial in trials if trial.failure and trial.failure.kind is not FailureKind.OOM]
    assert not wrong, wrong
    best = max((t for t in trials if t.outcome and t.values), key=lambda t: t.values["speedup"])
    values = best.values
    figures.append(
        f"{values['speedup']:.2f} times cuBLAS ({values['speedup_low']:.2f} to {values['speedup_high']:.2f}), "
        f"{values['seconds'] * 1e3:.2f} ms, difference {values['difference']:.1g}"
    )
    assert values["speedup"] > 0.05


@pytest.mark.skipif(bool(sandbox_problem()), reason=sandbox_problem() or "bubblewrap works here")
def test_charlm_in_bfloat16_with_edits_for_three_minutes(tmp_path: Path, figures: list[str]) -> None:
    replay = checks.replay_module()
    source = checks.ROOT / "examples" / "charlm"
    ideas = replay.ideas_of("charlm")  # type: ignore[attr-defined]  # loaded by its path
    model = replay.ScriptedModel(source, ideas, seed=0, per_answer=1, is_shuffled=False)  # type: ignore[attr-defined]
    with serving(model) as server:
        folder = checks.charlm_with_edits(
            tmp_path / "charlm", url=server.base_url, gpus=1, minutes=3, trials=40, seconds=10
        )
        trials = checks.finished(folder, timeout_s=400)
    with History.open(folder / ".tunesmith" / "history.db") as history:
        variants = history.variants(history.study("charlm").id)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    edited = [trial for trial in complete if trial.proposal.code]
    best = min(trial.values["val_bpb"] for trial in complete)
    figures.append(f"{len(trials)} trials, {len(edited)} of edits, {len(variants)} versions, best {best:.3f} bits")
    assert complete
    assert edited
