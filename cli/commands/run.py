"""`tunesmith run`: checks the input, connects the loop to a display, and prints the summary at the end."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.agent.loop.factory import recorded_deadline
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Ended
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.planner.model import RecordingFiles
from tunesmith.cli.display.format import show
from tunesmith.cli.display.until_closed import Display, UntilClosed
from tunesmith.cli.exits import DONE, INTERRUPTED, NOTHING_COMPLETE
from tunesmith.cli.session.full_disk import run_through_full_disks
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.cli.session.overrides import Overrides, require_end
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, HistoryLocked

MIN_TRIALS_FOR_IMPORTANCE = 20
"""Trials from which importance decides which parameters get a column."""


def run_study(  # noqa: PLR0913  # one argument per option
    study: Path,
    overrides: Overrides,
    *,
    history: Path | None,
    as_json: bool,
    recording: RecordingFiles | None = None,
    unsafe_edits: bool = False,
    keep_going: bool = False,
    moved: bool = False,
) -> int:
    """Run or resume a study; return the exit status.

    Raises:
        InputError: the study file or the command line is wrong, or another process holds the history.
    """
    spec = overrides.apply_to(load_spec(study))
    require_end(spec)
    project = study_file(study).absolute().parent
    database = history_file(study, history)
    display = UntilClosed(_display(spec, () if as_json else _leading(spec, database), as_json=as_json))

    options = RunOptions(
        project=project,
        history=database,
        cpus=len(os.sched_getaffinity(0)),
        recording=recording,
        unsafe_edits=unsafe_edits,
        keep_going=keep_going,
        moved=moved,
    )

    def open_loop(after_full_disk: bool) -> Loop:  # noqa: FBT001  # called in one place
        return Loop(spec, replace(options, after_full_disk=after_full_disk), on_event=display.show)

    try:
        ended = run_through_full_disks(open_loop, database, _deadline(spec, database), display.show)
    finally:
        display.close()
    if not as_json:
        try:
            _print_end(database, ended)
        except HistoryLocked as error:
            show(f"The study ended, but its summary cannot be read: {error}; `tunesmith report` writes it later")
    return _exit_status(ended)


def _deadline(spec: StudySpec, database: Path) -> float | None:
    """Return when the run ends by [budget].until, in seconds since the epoch; None without it."""
    now = time.time()
    try:
        return recorded_deadline(spec, database, now)
    except (HistoryLocked, DiskFull):  # the run itself waits for the end of that
        return spec.budget.starting_at(now).until


def _print_end(database: Path, ended: Ended) -> None:
    """Print the summary of a study that just ended, and write its report if a trial is complete."""
    from tunesmith.cli.display.end_summary import end_lines, wrap_for_terminal
    from tunesmith.cli.display.format import short_path
    from tunesmith.cli.session.report_files import page_problem, write_report_files
    from tunesmith.tools.analysis.broken_environment import last_of_study, pause_lines
    from tunesmith.tools.analysis.run_state import EXHAUSTED, exhausted_text, nothing_started_text
    from tunesmith.tools.report import report_input

    with History.open(database) as history:
        record = history.study(ended.record.name)
        report = report_input(history, record)
        lines = end_lines(report, history.trial_counts(record.id))
        last = last_of_study(history.trials(record.id))
    if report.summary.best is not None:
        written = short_path(write_report_files(report, database.parent / record.name))
        lines.append(f"Report: {written}" + (f" ({page_problem()})" if page_problem() else ""))
    if ended.pause_reason and last is not None:
        lines += ["", f"{ended.pause_reason[:1].upper()}{ended.pause_reason[1:]}", *pause_lines(last)]
    idle = "" if ended.finished else nothing_started_text(ended.by, record.spec, ended.budget, ended.record.spent)
    if ended.finished and ended.by == EXHAUSTED:
        idle = exhausted_text(record.spec)
    lines += ["", idle] if idle else []
    if ended.by == "interrupted":
        lines.append("Interrupted. Run the same command again to resume.")
    show("\n".join(["", *(wrap_for_terminal(line) for line in lines)]))


def _exit_status(ended: Ended) -> int:
    if ended.by == "interrupted":
        return INTERRUPTED
    if ended.pause_reason:
        return NOTHING_COMPLETE
    return DONE if ended.best is not None else NOTHING_COMPLETE


def _leading(spec: StudySpec, database: Path) -> tuple[str, ...]:
    """Return the parameters of a resumed study by importance: they get the first columns."""
    try:
        opened = History.open_if_any(database)
    except HistoryLocked:
        return ()  # the run itself waits for the program that locks it
    if opened is None:
        return ()
    with opened as history:
        record = history.find(spec.study.name)
        if record is None or record.spent.trials < MIN_TRIALS_FOR_IMPORTANCE or record.spec.space != spec.space:
            return ()
        from tunesmith.tools.analysis.importance import importance  # scipy: 0.3 s

        return importance(spec.space, history.trials(record.id), spec.objectives[0]).names


def _display(spec: StudySpec, leading: Sequence[str], *, as_json: bool) -> Display:
    if as_json:
        from tunesmith.cli.display.json_lines import JsonLines

        return JsonLines(sys.stdout)
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from tunesmith.cli.display.live import LiveTable

        return LiveTable(spec, clock=time.time, leading=leading)
    from tunesmith.cli.display.plain import PlainLines

    width = shutil.get_terminal_size((120, 24)).columns
    return PlainLines(spec, sys.stdout, width=width, leading=leading)
