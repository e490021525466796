"""The executors that must keep one contract: local, Slurm (submitit's local cluster), and Ray if it is installed."""

from __future__ import annotations

import importlib.util
import itertools
import os
import secrets
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tunesmith.evaluator.executors.base import CommandSpec, Executor
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slurm import SlurmExecutor, SlurmResources

DATA = "of the project\n"


@dataclass
class Cluster:
    """An executor, and commands in folders below `root` that are laid out as the evaluator does."""

    executor: Executor
    root: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.project.mkdir(parents=True)
        (self.project / "data.txt").write_text(DATA)
        (self.project / ".gitignore").write_text("large\n")
        (self.project / "large").mkdir()
        (self.project / "large" / "data.bin").write_bytes(b"x" * 2_000_000)
        self.executor.use_project(self.project)

    @property
    def project(self) -> Path:
        return self.root / "project"

    def command(
        self,
        script: str,
        *,
        program: str = "sh",
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> CommandSpec:
        folder = self.root / f"{next(self.numbers):04d}"
        work, artifacts, report = folder / "work", folder / "artifacts", folder / "report-1.jsonl"
        shutil.copytree(self.project, work)
        artifacts.mkdir()
        report.touch()
        own = {"PATH": os.environ["PATH"], "MARK": secrets.token_hex(8), "ARTIFACTS": str(artifacts)}
        given = {"log_bytes": 2**20, "timeout_s": None, "file_bytes": 2**30, "grace_s": 0.4, **options}
        return CommandSpec(
            argv=[program, "-c", textwrap.dedent(script)],
            cwd=work,
            environment={**own, "TUNESMITH_REPORT": str(report), **(environment or {})},
            log=folder / "log.txt",
            folder=folder,
            report=report,
            **given,
        )

    def artifacts(self, spec: CommandSpec) -> Path:
        assert spec.folder is not None
        return spec.folder / "artifacts"


def slurm_resources(cluster: str = "local") -> SlurmResources:
    return SlurmResources(cluster=cluster, time_s=600, cpus=1, gpus=0, options={})


@contextmanager
def local(root: Path) -> Iterator[Cluster]:
    executor = LocalExecutor(lambda: None)
    yield Cluster(executor, root)
    executor.close()


@contextmanager
def slurm(root: Path) -> Iterator[Cluster]:
    executor = SlurmExecutor(root, slurm_resources(), lambda: None)
    yield Cluster(executor, root)
    executor.close()


@contextmanager
def ray(root: Path) -> Iterator[Cluster]:
    with ray_nodes(1, cpus=4) as nodes:
        yield from _ray(root, nodes.address)


@contextmanager
def ray_nodes(count: int, *, cpus: int, gpus: int = 0) -> Iterator[Any]:
    """Yield a Ray cluster of several nodes on this machine. Skips if it could be reached from other machines."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed; run `make test-targets`")
    if set(psutil.net_if_addrs()) != {"lo"}:
        pytest.skip("ray would listen beyond this machine; `make test-targets` gives it a separate network")
    import ray as ray_package
    from ray.cluster_utils import Cluster as Nodes

    options = {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": 100 * 2**20}
    nodes = Nodes(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    for _ in range(count - 1):
        nodes.add_node(**options)
    try:
        yield nodes
    finally:
        ray_package.shutdown()
        nodes.shutdown()


def _ray(root: Path, address: str) -> Iterator[Cluster]:
    from tunesmith.evaluator.executors.ray import RayExecutor, RayResources

    executor = RayExecutor(address, RayResources(), scratch=root / "ray", wake=lambda: None)
    try:
        yield Cluster(executor, root)
    finally:
        executor.close()


CLUSTERS: dict[str, Callable[[Path], AbstractContextManager[Cluster]]] = {"local": local, "slurm": slurm, "ray": ray}
