"""A tool that lists the studies of a project: those with a study file, and those that only the history has."""

from __future__ import annotations

from pathlib import Path

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import count
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.run_state import ending_text
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.studies.finding import study_files
from tunesmith.tools.llm_tools.tool import StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments

MAX_LISTED = 40
"""Maximum number of studies in an answer."""
THIS_ONE = ", this one"
"""Mark of the study that the conversation is about."""


def study_lines(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return a line for each study: its file, its trials, its best value, whether it runs."""
    if context.project is None:
        raise ToolRefused("there is no project folder here, so there are no other studies")
    files = {name: path.name for name, path in study_files(context.project).items()}
    known: dict[str, str] = {}
    if context.history is not None and context.history.is_file():
        with History.open(context.history) as history:
            names = history.listed_names()[:MAX_LISTED]
            known = {n: _record_text(history, history.study(n), context.history.parent / n) for n in names}
    current = context.reader.spec.study.name if context.reader is not None else ""
    lines = []
    for name in dict.fromkeys([*files, *known]):
        where = f" ({files[name]})" if name in files else ""
        mark = THIS_ONE if name == current else ""
        lines.append(f"{name}{where}{mark}: {known.get(name, 'has not run yet')}")
    return "\n".join(lines) or "there are no studies in this folder"


def _record_text(history: History, record: StudyRecord, folder: Path) -> str:
    trials = history.trials(record.id)
    best = incumbent(trials, record.spec)
    metric = record.spec.objectives[0].metric
    value = f", best {metric} {short_number(best.values[metric])} (#{best.number})" if best is not None else ""
    ended = ending_text(record.ended_by, record.spec) if record.ended_by else "not running"
    state = "running" if Inbox(folder).has_running_loop() else ended
    return f"{count(len(trials), 'trial')}{value}; {state}"


STUDIES = StudyTool("studies", NoArguments, study_lines)
