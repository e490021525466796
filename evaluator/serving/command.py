"""Builds the command of a trial of a server: our own process with the plan, and what the sandbox must show for it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.executors.base import CommandResult
from tunesmith.evaluator.serving.plan import ServePlan
from tunesmith.evaluator.serving.verdict import STATUS, read_verdict
from tunesmith.study.config.tables.serve import ReadyLog, ServeTable
from tunesmith.study.formatting import strip_control
from tunesmith.study.trials.trial import Failure, FailureKind

_OWN = "tunesmith"


def serve_argv(serve: ServeTable, server: Sequence[str], bench: Sequence[str], *, path: str | None) -> list[str]:
    """Return the words that run a trial.

    Args:
        serve: the table.
        server: the words of its command.
        bench: the words of the benchmark.
        path: the PATH on which programs are looked up.
    """
    ready = serve.ready
    plan = ServePlan(
        server=[_program(server[0], path), *server[1:]],
        bench=_bench_words(bench, path),
        ready_path="" if isinstance(ready, ReadyLog) else ready,
        ready_log=ready.log if isinstance(ready, ReadyLog) else "",
        start_timeout_s=serve.start_timeout,
        port=serve.port or 0,
        max_errors=serve.max_errors,
    )
    # The programs follow as words, so that the sandbox shows what they need.
    return [*_own_python("tunesmith.evaluator.serving.trial"), plan.to_json(), plan.server[0], plan.bench[0]]


def own_rooms() -> list[Path]:
    """Return the folders of Tunesmith's rooms that are links, as in a checkout; the sandbox does not follow them."""
    package = Path(__file__).parents[2]
    return sorted({entry.resolve() for entry in package.iterdir() if entry.is_symlink() and entry.is_dir()})


def served_failure(failure: Failure, result: CommandResult) -> Failure:
    """Return the failure with the kind and the reason that the trial's own process gave, if it gave one."""
    verdict = read_verdict(strip_control(result.tail)) if result.status == STATUS else None
    if verdict is None or failure.kind not in (FailureKind.CRASH, FailureKind.OOM):
        return failure
    return replace(failure, kind=FailureKind(verdict[0]), reason=verdict[1])


def _bench_words(words: Sequence[str], path: str | None) -> list[str]:
    """Return the words of the benchmark; `tunesmith` is this Tunesmith, even where PATH has none."""
    if Path(words[0]).name == _OWN:
        return [*_own_python("tunesmith.cli.main"), *words[1:]]
    return [_program(words[0], path), *words[1:]]


def _own_python(module: str) -> list[str]:
    """Return words that run a module's `main` with our own interpreter, without PYTHONPATH."""
    above = str(Path(__file__).parents[3])
    code = f"import sys; sys.path.append({above!r}); from {module} import main; main()"
    return [sys.executable, "-I", "-c", code]


def _program(name: str, path: str | None) -> str:
    if os.sep in name:
        return name
    return shutil.which(name, path=path) or name
