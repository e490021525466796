"""Whole studies on a Ray cluster on this machine, one with a node that dies; and the files that Ray moves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes.machine.clusters import ray_nodes
from fakes.projects import make_project
from fakes.trials import wait_until

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Finished, LoopEvent
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.evaluator.executors.ray import RayExecutor, RayResources
from tunesmith.evaluator.executors.ray_files import inside, pack_project, write_chunk
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import ProjectError
from tunesmith.study.trials.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def run(
    project: Path, address: str, *, on_event: Callable[[LoopEvent], None] = lambda event: None, **run: Any
) -> list[Trial]:
    project.mkdir(exist_ok=True)
    spec = parse_spec(
        {
            "study": {"name": "toy", "metric": "loss"},
            "run": {"command": "sh -c 'echo loss={x}; sleep 0.5; echo loss={x}'", "executor": "ray", **run},
            "executor": {"address": address},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "budget": {"trials": 30},
            "planner": {"sampler": "random"},
        }
    )
    history = project / ".tunesmith" / "history.db"
    Loop(spec, RunOptions(project=project, history=history, cpus=1), on_event=on_event).run()
    with History.open(history) as opened:
        return list(opened.trials(opened.study("toy").id))


def test_a_node_that_dies_loses_no_result_and_duplicates_none(tmp_path: Path) -> None:
    with ray_nodes(3, cpus=2) as nodes:
        ended: list[int] = []

        def on_event(event: LoopEvent) -> None:
            ended.extend([event.trial.number] if isinstance(event, Finished) else [])
            if len(ended) == 12 and len(nodes.list_all_nodes()) == 3:
                nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)

        trials = run(tmp_path / "study", nodes.address, on_event=on_event)
    assert [t.number for t in trials] == list(range(30))
    assert {t.state.value for t in trials} == {"complete"}
    assert sorted(ended) == list(range(30))
    # Two ran on it, unless one had just ended.
    assert sum(t.attempt == 2 for t in trials) <= 2


def test_ray_places_trials_by_gpus_and_a_whole_gpu_has_one_trial(tmp_path: Path) -> None:
    with ray_nodes(2, cpus=4, gpus=2) as nodes:
        command = "sh -c 'echo loss={x} id=$CUDA_VISIBLE_DEVICES.5; sleep 0.3'"
        trials = run(tmp_path / "study", nodes.address, command=command, gpus=1)
        # Four GPUs on two nodes, each node counting its own from 0.
        assert {t.slot for t in trials} == {0, 1, 2, 3}
        assert {t.values["id"] for t in trials} == {0.5, 1.5}
        with pytest.raises(ProjectError, match="no node of the cluster has 3 GPUs and 1 CPUs"):
            run(tmp_path / "other", nodes.address, command=command, gpus=3)


def test_kill_9_of_the_loop_ends_its_trials_on_the_cluster(tmp_path: Path) -> None:
    with ray_nodes(1, cpus=2) as nodes:
        project = make_project(
            tmp_path / "p", parallel=2, more="--sleep 60", tables=f"[executor]\naddress = '{nodes.address}'"
        )
        text = (project / "study.toml").read_text().replace("[space]", 'executor = "ray"\n[space]')
        (project / "study.toml").write_text(text)
        loop = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.cli.main", "run"], cwd=project, stdout=subprocess.DEVNULL
        )

        def trials() -> list[psutil.Process]:
            return [p for p in psutil.process_iter(["cmdline"]) if "--sleep" in (p.info["cmdline"] or [])]

        wait_until(lambda: len(trials()) >= 2, timeout_s=40)
        loop.kill()
        loop.wait()
        wait_until(lambda: not trials(), timeout_s=15)


def test_an_address_without_a_cluster_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    executor = RayExecutor("127.0.0.1:1", RayResources(), scratch=tmp_path, wake=lambda: None)
    (tmp_path / "project").mkdir()
    with pytest.raises(ProjectError, match="Ray at 127.0.0.1:1 cannot be used"):
        executor.use_project(tmp_path / "project")
    executor.close()


def test_files_that_a_worker_sends_stay_in_the_trials_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "trial", tmp_path / "outside"
    (folder / "work").mkdir(parents=True)
    outside.mkdir()
    (outside / "data.bin").write_text("the user's own")
    (folder / "work" / "data.bin").symlink_to(outside / "data.bin")
    (folder / "work" / "linked").symlink_to(outside)
    for path in ("../outside/new", "work/linked/new", "work/../../outside/new"):
        with pytest.raises(ValueError, match="leads out"):
            inside(folder, path)
        write_chunk(folder, path, 0, b"evil")
    write_chunk(folder, "work/data.bin", 0, b"of the ")
    write_chunk(folder, "work/data.bin", 7, b"trial")
    assert (folder / "work" / "data.bin").read_text() == "of the trial"
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"data.bin": "the user's own"}


def test_the_archive_of_a_project_holds_its_data_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zipfile import ZipFile

    from tunesmith.evaluator.executors import ray_files

    monkeypatch.setattr(ray_files, "PROJECT_BYTES", 1000)
    project, data = tmp_path / "project", tmp_path / "data"
    (project / "code").mkdir(parents=True)
    data.mkdir()
    (data / "a").write_bytes(b"x" * 600)
    (data / "b").write_bytes(b"x" * 600)
    (project / "code" / "train.py").write_text("pass")
    (project / "a").symlink_to(data / "a")
    (project / "b").symlink_to(data / "b")
    links = pack_project(project, tmp_path / "project.zip")
    assert len(links) == 1
    assert set(links.items()) <= {("a", str(data / "a")), ("b", str(data / "b"))}
    names = {name for name in ZipFile(tmp_path / "project.zip").namelist() if not name.endswith("/")}
    assert names == {".tunesmith", "project/code/train.py", f"project/{'ab'.replace(next(iter(links)), '')}"}
