"""GPUs through a fake NVML: which exist, what each trial used, and trials that share one. Needs no real GPU."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fakes.machine.gpus import TRAIN, played_gpus
from fakes.trials import PYTHON, Bench, finish

from tunesmith.evaluator.executors.handle import ExecutorHandle
from tunesmith.evaluator.executors.slots import Slot, pin_to_cores
from tunesmith.evaluator.gpu import gpu_meter, gpus
from tunesmith.evaluator.gpu.gpu_meter import GpuMeter
from tunesmith.evaluator.gpu.gpus import NOT_MEASURED, Gpu, find_gpus, gpu_loads, open_nvml
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Outcome


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(gpu_meter, "SAMPLE_S", 0.1)
    bench = Bench(tmp_path)
    bench.write(TRAIN)
    return bench


def trials(bench: Bench, *gib: float, gpu: str = "0", seconds: float = 0.5) -> list[Outcome]:
    """Run one trial per number at once on one GPU, each holding that many GiB of its memory."""
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py {{lr}} {seconds}", "gpus": 1 / len(gib)})
    slots = [Slot(index=index, gpus=(gpu,)) for index in range(len(gib))]
    runs = [bench.start(evaluator, i, slot, lr=held) for i, (slot, held) in enumerate(zip(slots, gib, strict=True))]
    return [finish(run) for run in runs]


def test_gpus_are_found_through_nvml(tmp_path: Path) -> None:
    with played_gpus(tmp_path, {"memory": 80}, {"memory": 24}):
        assert find_gpus().gpus == (
            Gpu(id="0", name="Played 9000", memory_gib=80), Gpu(id="1", name="Played 9000", memory_gib=24),
        )  # fmt: skip
        os.environ["CUDA_VISIBLE_DEVICES"] = "GPU-1,7"
        assert find_gpus().gpus == (Gpu(id="GPU-1", name="Played 9000", memory_gib=24), Gpu(id="7"))
        del os.environ["CUDA_VISIBLE_DEVICES"]


def test_a_trial_is_charged_with_its_memory_time_and_energy(tmp_path: Path, bench: Bench) -> None:
    with played_gpus(tmp_path, {"memory": 80, "watt": 300, "busy": 90}):
        usage = trials(bench, 12.5)[0].usage
    assert usage.gpu_mem_gib == pytest.approx(12.5)
    assert usage.gpu_busy == pytest.approx(0.9)
    assert usage.energy_j == pytest.approx(300 * usage.wall_s, rel=0.15)
    assert usage.gpu_s == usage.wall_s


def test_trials_that_share_a_gpu_divide_its_energy_but_not_its_memory(tmp_path: Path, bench: Bench) -> None:
    with played_gpus(tmp_path, {"memory": 80, "watt": 300, "busy": 90}):
        one, two = (outcome.usage for outcome in trials(bench, 10, 30))
    assert (one.gpu_mem_gib, two.gpu_mem_gib) == (pytest.approx(10), pytest.approx(30))
    assert (one.energy_j or 0) + (two.energy_j or 0) == pytest.approx(300 * max(one.wall_s, two.wall_s), rel=0.2)


def test_an_old_gpu_in_a_container_is_measured_by_its_power_and_total_memory(tmp_path: Path, bench: Bench) -> None:
    with played_gpus(tmp_path, {"memory": 80, "watt": 200, "old": True, "hides": True}):
        usage = trials(bench, 7)[0].usage
    assert usage.gpu_mem_gib == pytest.approx(7)
    assert usage.gpu_busy is None
    assert usage.energy_j == pytest.approx(200 * usage.wall_s, rel=0.3)


def test_without_nvml_nothing_is_measured_and_nothing_breaks(tmp_path: Path, bench: Bench) -> None:
    with played_gpus(tmp_path, {"memory": 80}) as file:
        os.environ["FAKE_NVML"] = str(file.with_name("nowhere"))
        assert open_nvml() is None
        bench.write("print('loss=1')")
        usage = trials(bench, 1)[0].usage
    assert (usage.gpu_mem_gib, usage.gpu_busy, usage.energy_j) == (None, None, None)


def test_a_gpu_that_falls_off_the_bus_is_not_measured_and_fails_no_trial(tmp_path: Path) -> None:
    with played_gpus(tmp_path, {"memory": 80, "watt": 300}) as file:
        now = iter([0.0, 1.0, 2.0])
        meter = GpuMeter(open_nvml(), clock=lambda: next(now))
        reading = meter.begin(os.getpid(), ["0", "5"])
        file.write_text(json.dumps([]))
        use = meter.end(reading)
    assert (use.mem_gib, use.energy_j) == (None, None)


SMI = """#!/bin/sh
case "$1" in
*utilization*) echo "0, NVIDIA H100 80GB HBM3, 512, 81559, 37"; echo "1, NVIDIA H100 80GB HBM3, [N/A], 81559, [N/A]" ;;
*) echo "0, NVIDIA H100 80GB HBM3, 81559"; echo "1, NVIDIA H100 80GB HBM3, [N/A]"; echo "a warning" ;;
esac
"""


def test_without_nvml_gpus_and_their_load_are_found_through_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpus, "open_nvml", lambda: None)
    inventory = find_gpus({})
    assert [(gpu.id, gpu.memory_gib) for gpu in inventory.gpus] == [("0", 81559 / 1024), ("1", None)]
    assert inventory.note == NOT_MEASURED
    loads = gpu_loads(timeout_s=20)
    assert [(gpu.index, gpu.used_mib, gpu.busy_percent) for gpu in loads] == [
        ("0", "512", "37"),
        ("1", "[N/A]", "[N/A]"),
    ]


def test_without_nvidia_smi_there_is_no_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_loads(timeout_s=20) == []


def test_auto_needs_the_memory_of_the_gpus(tmp_path: Path, bench: Bench) -> None:
    spec = bench.evaluator({"command": "x", "gpus": "auto"}).spec
    with played_gpus(tmp_path, {"memory": 80}, {"memory": 80}) as file:
        handle = ExecutorHandle(spec, folder=tmp_path, cpus=1, wake=lambda: None)
        assert [slot.gpus for slot in handle.slots(spec)] == [("0",), ("1",)] * 4
        os.environ["FAKE_NVML"] = str(file.with_name("nowhere"))
        os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        with pytest.raises(ProjectError, match=r'"auto", but how much memory .*tunesmith\[gpu\]'):
            ExecutorHandle(spec, folder=tmp_path, cpus=1, wake=lambda: None)
        del os.environ["CUDA_VISIBLE_DEVICES"]


def test_each_trial_is_pinned_to_its_cores(bench: Bench) -> None:
    core = max(os.sched_getaffinity(0))
    bench.write("import os; print(f'loss={max(os.sched_getaffinity(0))}'); assert len(os.sched_getaffinity(0)) == 1")
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py"})
    outcome = finish(bench.start(evaluator, 0, Slot(index=0, cores=(core,))))
    assert outcome.values == {"loss": core}, outcome.failure


@pytest.mark.parametrize(
    ("slots", "cores", "expected"),
    [(2, 4, [(0, 1), (2, 3)]), (3, 4, [(0,), (1,), (2, 3)]), (1, 2, [(0, 1)]), (3, 2, [(), (), ()])],
)
def test_cores_are_divided_among_slots(slots: int, cores: int, expected: list[tuple[int, ...]]) -> None:
    found = pin_to_cores([Slot(index=index) for index in range(slots)], range(cores))
    assert [slot.cores for slot in found] == expected
