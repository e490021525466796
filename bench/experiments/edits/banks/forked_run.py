"""Runs an edited script and its judge in a child of this process, which has the heavy libraries imported already."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import runpy
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.bench.experiments.edits.banks.bank import FILE, PROJECTS
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv

LIMIT_S = 60
"""Seconds after which a run is ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """Result of one run: the metric, nan when it failed; CPU seconds; the reason of a failure."""

    value: float
    cpu_s: float
    reason: str = ""


@cache
def spec_of(project: str) -> StudySpec:
    """Return the study of a project."""
    return load_spec(PROJECTS[project])


def warm_up(project: str) -> None:
    """Import what every run imports, and keep the project's data, so that a run costs little more than its training.

    No backward pass: its threads do not survive a fork.
    """
    os.environ.update(spec_of(project).run.env)
    if project == "boosting":
        importlib.import_module("sklearn.ensemble")
        importlib.import_module("sklearn.feature_selection")
    else:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        module = torch.nn.Linear(2, 2)
        torch.optim.SGD(module.parameters(), lr=0.1)
        with torch.no_grad():
            torch.export.export(module, (torch.zeros(2, 2),))
    sys.path.insert(0, str(PROJECTS[project]))
    data = importlib.import_module("data")
    for name in ("training", "held_out", "training_text", "held_out_text"):
        if hasattr(data, name):
            setattr(data, name, cache(getattr(data, name)))
            getattr(data, name)()


def run_source(project: str, source: str, params: Mapping[str, Any], env: Mapping[str, str]) -> Run:
    """Train with `source` as train.py, judge, and return the result."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        shutil.copytree(PROJECTS[project], work, ignore=shutil.ignore_patterns("__pycache__", ".tunesmith", "*.json"))
        (work / FILE).write_text(source, encoding="utf-8")
        (Path(folder) / "artifacts").mkdir()
        child = os.fork()
        if not child:
            _run_and_exit(project, Path(folder), params, env)
        _, _, usage = os.wait4(child, 0)
        kept = Path(folder) / "result.json"
        result: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"reason": "it was ended"}
    cpu_s = usage.ru_utime + usage.ru_stime
    return Run(float(result.get("value", "nan")), cpu_s, str(result.get("reason", "")))


def _run_and_exit(project: str, folder: Path, params: Mapping[str, Any], env: Mapping[str, str]) -> None:
    """Run in the child and write the result next to its work."""
    result: dict[str, Any] = {}
    try:
        signal.alarm(LIMIT_S)
        result["value"] = _metric(project, folder, params, env)
    except BaseException as error:  # noqa: BLE001  # whatever an edited script does
        last = traceback.extract_tb(error.__traceback__)[-1]
        result["reason"] = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"[:300]
    (folder / "result.json").write_text(json.dumps(result))
    os._exit(0)


def _metric(project: str, folder: Path, params: Mapping[str, Any], env: Mapping[str, str]) -> float:
    spec = spec_of(project)
    assert spec.evaluate is not None  # noqa: S101  # all projects of banks have a judge
    artifacts = str(folder / "artifacts")
    os.chdir(folder / "work")
    sys.path.insert(0, str(folder / "work"))
    os.environ.update({**spec.run.env, **env, "TUNESMITH_ARTIFACTS": artifacts})
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        _run_script(argv(spec.run.command, params))
    _check_protected(project, folder / "work")
    output = io.StringIO()
    with redirect_stdout(output):
        _run_script(argv(spec.evaluate.command, {"artifacts": artifacts}))
    found = re.search(rf"{spec.study.metric}=(\S+)", output.getvalue())
    value = float(found[1]) if found else float("nan")
    if value != value:  # noqa: PLR0124  # nan
        raise ValueError("the metric is nan")
    return value


def _check_protected(project: str, work: Path) -> None:
    """Fail a run that wrote a file of the project that it may not write, as a trial does: its judge is one of them."""
    for path in PROJECTS[project].glob("*.py"):
        if path.name != FILE and (work / path.name).read_bytes() != path.read_bytes():
            raise PermissionError(f"{path.name} is protected")


def _run_script(words: list[str]) -> None:
    script = next(number for number, word in enumerate(words) if word.endswith(".py"))
    sys.argv = words[script:]
    runpy.run_path(words[script], run_name="__main__")
