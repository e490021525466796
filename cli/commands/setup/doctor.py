"""`tunesmith doctor`: checks this machine and a study before a long run. Changes nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.evaluator.executors.slots import plan_slots
from tunesmith.evaluator.gpu.gpus import find_gpus
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.evaluator.sandbox.limits import disk_limit_text, memory_limit_text
from tunesmith.history.database.filesystem import network_filesystem
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import InputError
from tunesmith.tools.checks.finding import Finding, finding_lines, has_problem
from tunesmith.tools.checks.judge_data import judge_data_findings
from tunesmith.tools.checks.study_checks import (
    check_arms,
    check_command,
    check_mixtures,
    check_parameters,
    check_rules,
)

NEEDED_DISK_BYTES = 2 * 2**30
PACKAGES = ("optuna", "pydantic", "sqlite-utils", "numpy", "scipy", "plotly", "rich", "typer")
EXECUTORS = {"ray": "ray", "slurm": "submitit"}
OPTIONAL = {"torch": "sampler optuna-gp and the examples", "scikit-learn": "the examples"}


def examine(study: Path, *, history: Path | None, as_json: bool) -> bool:
    """Print the findings; return True if none of them is a problem."""
    findings = [*_machine(), *_study(study, history)]
    if as_json:
        show(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show("\n".join(finding_lines(findings)))
    return not has_problem(findings)


def _machine() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} at {sys.executable}"
    yield Finding(level="ok", what="python", detail=python)
    missing = [name for name in PACKAGES if not _version(name)]
    if missing:
        yield Finding(level="problem", what="packages", detail=f"missing: {', '.join(missing)}; reinstall tunesmith")
    else:
        yield Finding(level="ok", what="packages", detail=", ".join(f"{n} {_version(n)}" for n in PACKAGES))
    for name, purpose in OPTIONAL.items():
        found = _version(name)
        detail = f"{name} {found}" if found else f"{name} is not installed; only {purpose} need it"
        yield Finding(level="ok" if found else "warning", what="optional", detail=detail)
    cores = len(os.sched_getaffinity(0))
    yield Finding(level="ok", what="cpu", detail=f"{cores} core{'s' if cores > 1 else ''}")
    yield from _gpus()
    problem = sandbox_problem()
    yield Finding(level="warning" if problem else "ok", what="sandbox", detail=problem or "trials can run in a sandbox")
    is_enforced, memory = memory_limit_text()
    yield Finding(level="ok" if is_enforced else "warning", what="limits", detail=memory)
    yield Finding(level="ok", what="limits", detail=disk_limit_text())


def _gpus() -> Iterator[Finding]:
    found = find_gpus()
    for gpu in found.gpus:
        memory = "" if gpu.memory_gib is None else f", {gpu.memory_gib:.1f} GiB"
        yield Finding(level="ok", what="gpu", detail=f"{gpu.id}: {gpu.name or 'NVIDIA'}{memory}")
    if found.note:
        yield Finding(level="warning", what="gpu", detail=found.note)
    elif not found.gpus:
        yield Finding(level="ok", what="gpu", detail="none found (NVIDIA only)")


def _study(study: Path, history: Path | None) -> Iterator[Finding]:
    file = study_file(study)
    if study.is_dir() and not file.exists():
        hint = "no study.toml here; `tunesmith init SCRIPT` writes one"
        yield Finding(level="warning", what="study", detail=hint)
        return
    try:
        spec = load_spec(study)
    except InputError as error:
        yield Finding(level="problem", what="study", detail=str(error))
        return
    yield Finding(
        level="ok", what="study", detail=f"{spec.study.name}: {len(spec.space.declared)} parameters, no mistakes"
    )
    yield check_command(spec, file.absolute().parent)
    yield check_parameters(spec)
    yield from check_rules(spec)
    yield from check_arms(spec)
    yield from check_mixtures(spec)
    yield from judge_data_findings(spec, file.absolute().parent)
    yield from _model(spec)
    if spec.run.sandbox and (problem := sandbox_problem()):
        yield Finding(level="problem", what="sandbox", detail=f"[run].sandbox requires it, but {problem}")
    yield _slots(spec)
    yield _disk(history_file(study, history))
    yield from _network_disk(history_file(study, history))
    yield from _history(history_file(study, history))


def _model(spec: StudySpec) -> Iterator[Finding]:
    """Check that the LLM could be called, without calling it: a call costs money."""
    planner = spec.planner
    if planner.model is None:
        detail = "none, the sampler proposes every trial; set [planner].model to add one"
        yield Finding(level="ok", what="LLM", detail=detail)
        return
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.client.options import RequestOptions

    options = RequestOptions.from_planner(planner)
    for name in [planner.model, *planner.fallbacks]:
        try:
            down = LangChainModel(name, base_url=planner.base_url, options=options).check()
        except InputError as error:
            yield Finding(level="problem", what="LLM", detail=str(error))
            continue
        refused = "" if down or planner.base_url is None else _refused(planner.base_url)
        if down is not None or refused:
            detail = down.reason if down else f"{name}: {refused}"
            yield Finding(level="warning", what="LLM", detail=f"{detail}; without it the sampler proposes every trial")
        else:
            where = f" at {planner.base_url}" if planner.base_url else ", and its key is set"
            yield Finding(level="ok", what="LLM", detail=f"{name}{where}; not called, since a call may cost money")


def _refused(base_url: str) -> str:
    """Return why no server answers at an address; "" if one does."""
    parts = urlsplit(base_url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=3).close()
    except (OSError, ValueError) as error:
        return f"no server answers at {base_url} ({getattr(error, 'strerror', None) or error})"
    return ""


def _slots(spec: StudySpec) -> Finding:
    package = EXECUTORS.get(spec.run.executor)
    if package is not None:
        found = _version(package)
        missing = f'{package} is not installed; pip install "tunesmith[{spec.run.executor}]"'
        detail = f"trials run by {package} {found}, which assigns them to machines" if found else missing
        return Finding(level="ok" if found else "problem", what="executor", detail=detail)
    machine = find_gpus()
    try:
        ids = [gpu.id for gpu in machine.gpus]
        slots = plan_slots(spec.run, ids, len(os.sched_getaffinity(0)), note=machine.note)
    except InputError as error:
        return Finding(level="problem", what="slots", detail=str(error))
    return Finding(level="ok", what="slots", detail=f"{len(slots)} trial{'s' if len(slots) > 1 else ''} at once")


def _disk(history: Path) -> Finding:
    folder = next(parent for parent in [history.parent, *history.absolute().parents] if parent.exists())
    free = shutil.disk_usage(folder).free
    level = "ok" if free >= NEEDED_DISK_BYTES else "warning"
    return Finding(level=level, what="disk", detail=f"{free / 2**30:.1f} GiB free at {folder}")


def _network_disk(history: Path) -> Iterator[Finding]:
    kind = network_filesystem(history)
    if kind:
        detail = (
            f"{history} is on a network disk ({kind}), where SQLite can lose data; put it on a local disk: --history"
        )
        yield Finding(level="warning", what="disk", detail=detail)


def _history(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding(level="ok", what="history", detail=f"{path} does not exist yet; the first run makes it")
        return
    try:
        with History.open(path) as history:
            verdict = history.integrity()
            names = ", ".join(history.names())
    except InputError as error:
        yield Finding(level="problem", what="history", detail=str(error))
        return
    if verdict != "ok":
        yield Finding(level="problem", what="history", detail=f"{path} is damaged: {verdict}; restore it from a backup")
    else:
        yield Finding(level="ok", what="history", detail=f"{path} is intact and holds {names}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
