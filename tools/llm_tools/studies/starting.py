"""A tool that starts a run. A study without any result is tried first: its metric may be missing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tunesmith.evaluator.preview.dry_run import DEFAULT_SECONDS
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.errors import InputError, ToolRefused
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.analysis.run_state import used_up
from tunesmith.tools.checks.finding import finding_lines, has_problem
from tunesmith.tools.llm_tools.approvals.study_table import run_lines
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.script.check import tried
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool

FIRST_TRIED = (
    f"first     a dry run of at most {DEFAULT_SECONDS:g} s; nothing starts if it fails or ends without the metric"
)
FINDINGS_CHARS = 6000
"""Longest text of what a dry run showed."""


class StartArguments(Arguments):
    """Whether the study is tried first."""

    check: Annotated[bool, Field(description="False: without a dry run first.")] = True


def start(context: ToolContext, args: StartArguments) -> str:
    """Start a run in the background, or say why the study would not work.

    Raises:
        ToolRefused: it runs already, or runs cannot be started from here.
    """
    _ = context.study
    if context.start is None:
        raise ToolRefused("runs cannot be started from here; a person can start one with: tunesmith run")
    if context.control is not None and context.control.is_running():
        raise ToolRefused("the study is already running")
    tried_first = _dry_run(context) if args.check and is_untried(context) else _Tried("")
    record = context.study.record()
    _, used = used_up(context.study.spec.budget.starting_at(time.time()), record.spent) if record else ("", "")
    note = f"; {used}, so it tries nothing new until that limit is raised" if used else ""
    return tried_first.text if tried_first.is_hopeless else f"{context.start()}{note}{tried_first.text}"


def is_untried(context: ToolContext) -> bool:
    """Return whether a study has no result yet, so that its default is tried before it starts."""
    spec = context.study.spec
    results = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.RUNNING)
    return spec.run.executor == "local" and not any(t.state in results for t in context.study.view().every_trial)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What a dry run of the default says to the model; `is_hopeless` if a run would fail in the same way."""

    text: str
    is_hopeless: bool = False


def _dry_run(context: ToolContext) -> _Tried:
    try:
        run, findings = tried(context, DEFAULT_SECONDS)
    except InputError as error:
        return _Tried(f"\n(the default could not be tried first: {error})")
    if not has_problem(findings):
        return _Tried("")
    shown = fenced("\n".join(finding_lines(findings)), "text", limit=FINDINGS_CHARS)
    # A run that was cut short may report its metric later.
    if run is not None and not run.ended:
        return _Tried(f"\nwhat the first {DEFAULT_SECONDS:g} s of the default showed:\n{shown}")
    text = f"not started, because the default does not work; start it again once this is mended:\n{shown}"
    return _Tried(text, is_hopeless=True)


def _preview(context: ToolContext, args: StartArguments) -> str:
    """Return what would run, and its limits."""
    if context.control is not None and context.control.is_running():
        raise ToolRefused("the study is already running")
    spec = context.study.spec
    first = [FIRST_TRIED] if args.check and is_untried(context) else []
    return "\n".join([f"Start the run of {spec.study.name}:", *run_lines(spec), *first])


START = StudyTool(
    "start",
    StartArguments,
    start,
    Effect.RUN,
    preview=_preview,
    previewed=frozenset(StartArguments.model_fields),
    runs_code=True,
)
