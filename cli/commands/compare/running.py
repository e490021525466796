"""Runs the studies of a comparison one after another: tuning, then what was chosen on fresh seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import LoopEvent, Note
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.bench.methods.results import MethodResult, read_result, takes_seed
from tunesmith.bench.methods.studies import MethodStudy, Plan, method_studies
from tunesmith.bench.methods.verdicts import final_value
from tunesmith.cli.session.full_disk import run_through_full_disks
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.history.queries.study_names import COMPARISON
from tunesmith.history.read import History
from tunesmith.study.commands import Confirm, Pin
from tunesmith.study.config.load import load_spec
from tunesmith.study.errors import ProjectError
from tunesmith.study.units import short_number
from tunesmith.tools.control.inbox import Inbox

Results: TypeAlias = dict[str, dict[str, list[MethodResult]]]
"""Results by task and method, in the order of the command line and of the choice."""


@dataclass(frozen=True, slots=True)
class MethodRun:
    """The study of one method, and the history that holds it."""

    study: MethodStudy
    history: Path
    notes: list[str] = field(default_factory=list)


def method_runs(studies: Sequence[Path], plan: Plan, history_option: Path | None) -> Iterator[MethodRun]:
    """Yield the runs of every task, task by task.

    Raises:
        SpecError: a study file or the plan has mistakes.
        ProjectError: two tasks have the same name.
    """
    names: set[str] = set()
    for path in studies:
        spec = load_spec(path)
        if spec.study.name in names:
            raise ProjectError(f"two of the studies are called {spec.study.name}; give them different names")
        names.add(spec.study.name)
        project, history = study_file(path).absolute().parent, history_file(path, history_option)
        for study in method_studies(spec, project, plan):
            yield MethodRun(study, history)


def finish(run: MethodRun, plan: Plan) -> bool:
    """Tune one method and run what was chosen on fresh seeds; return False after Ctrl-C."""
    inbox = Inbox(run.history.parent / run.study.spec.study.name)
    result = result_of(run)
    if result is None:
        inbox.submit(Pin(name=plan.by, value=run.study.value), by=COMPARISON)
    if result is None or result.unfinished or result.trials < (run.study.spec.budget.trials or 0):
        if not _run_loop(run):
            return False
        result = result_of(run)
    if result is None or result.chosen is None or not takes_seed(run.study):
        return True
    missing = plan.seeds - len(result.fresh)
    if missing <= 0:
        return True
    inbox.submit(Confirm(number=result.chosen, seeds=missing), by=COMPARISON)
    return _run_loop(run)


def _run_loop(run: MethodRun) -> bool:
    """Run a study to its end; return False after Ctrl-C."""
    options = RunOptions(project=run.study.project, history=run.history, cpus=len(os.sched_getaffinity(0)))

    def keep(event: LoopEvent) -> None:
        if isinstance(event, Note):
            run.notes.append(event.text)

    def open_loop(after_full_disk: bool) -> Loop:  # noqa: FBT001  # called in one place
        return Loop(run.study.spec, replace(options, after_full_disk=after_full_disk), on_event=keep)

    ended = run_through_full_disks(open_loop, run.history, None, keep)
    if ended.pause_reason:
        run.notes.append(ended.pause_reason)
    return ended.by != "interrupted"


def result_of(run: MethodRun) -> MethodResult | None:
    """Return what a method reached so far; None before its first run."""
    opened = History.open_if_any(run.history)
    if opened is None:
        return None
    with opened as history:
        return read_result(history, run.study)


def results_of(runs: Sequence[MethodRun]) -> Results:
    """Return what all methods reached, by task and method."""
    found: Results = {}
    for run in runs:
        result = result_of(run)
        if result is not None:
            found.setdefault(run.study.task, {}).setdefault(run.study.method, []).append(result)
    return found


def progress_line(run: MethodRun) -> str:
    """Return one line on what a method reached."""
    study, result = run.study, result_of(run)
    head = f"{study.task}, {study.method}, repeat {study.repeat}"
    if result is None or result.tuned is None:
        return f"{head}: no trial is complete{'; ' + run.notes[-1] if run.notes else ''}"
    value = final_value(result)
    confirmed = f", {short_number(value)} on {len(result.fresh)} fresh seeds" if result.fresh and value else ""
    return f"{head}: {result.objective.metric} {short_number(result.tuned)} in {result.trials} trials{confirmed}"
