"""Where one contract is tried: this machine, Slurm as submitit plays it, and Ray where it is installed."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.evaluator.executors.base import Executor, Launch
from tunesmith.evaluator.executors.local import LocalExecutor
from tunesmith.evaluator.executors.slurm import Request, SlurmExecutor

NETWORK = "TUNESMITH_TESTS_OWN_NETWORK"


@dataclass
class Cluster:
    """An executor, and launches in folders below `root` as the evaluator lays them out."""

    executor: Executor
    root: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def launch(
        self,
        script: str,
        *,
        program: str = "sh",
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Launch:
        folder = self.root / f"{next(self.numbers):04d}"
        work, artifacts, report = folder / "work", folder / "artifacts", folder / "report-1.jsonl"
        work.mkdir(parents=True)
        artifacts.mkdir()
        report.touch()
        for name, text in {**(files or {}), "script": textwrap.dedent(script)}.items():
            (work / name).write_text(text)
        self.executor.use(work)
        own = {"PATH": os.environ["PATH"], "MARK": str(folder), "ARTIFACTS": str(artifacts)}
        given = {"log_bytes": 2**20, "timeout_s": None, "file_bytes": 2**30, "grace_s": 0.4, **options}
        return Launch(
            argv=[program, "script"],
            cwd=work,
            environment={**own, "TUNESMITH_REPORT": str(report), **(environment or {})},
            log=folder / "log.txt",
            folder=folder,
            report=report,
            **given,
        )

    def artifacts(self, launch: Launch) -> Path:
        assert launch.folder is not None
        return launch.folder / "artifacts"


def request(cluster: str = "local") -> Request:
    return Request(cluster=cluster, time_s=600, cpus=1, gpus=0, options={})


@contextmanager
def local(root: Path) -> Iterator[Cluster]:
    executor = LocalExecutor(lambda: None)
    yield Cluster(executor, root)
    executor.close()


@contextmanager
def slurm(root: Path) -> Iterator[Cluster]:
    executor = SlurmExecutor(root, request(), lambda: None)
    yield Cluster(executor, root)
    executor.close()


CLUSTERS: dict[str, Callable[[Path], AbstractContextManager[Cluster]]] = {"local": local, "slurm": slurm}
