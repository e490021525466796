"""A tool that runs the default configuration for some seconds and says what the study would see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tunesmith.evaluator.preview.dry_run import DEFAULT_SECONDS, DryRun, dry_run
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.command import command_line
from tunesmith.study.errors import ToolRefused
from tunesmith.tools.checks.dry_run_findings import dry_run_findings
from tunesmith.tools.checks.finding import Finding, finding_lines
from tunesmith.tools.checks.study_checks import check_command
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool

MAX_SECONDS = 600


class CheckArguments(Arguments):
    """How long the default may run."""

    seconds: Annotated[
        float,
        Field(ge=1, le=MAX_SECONDS, description="The longest time, usually 30."),
    ] = DEFAULT_SECONDS


def check_text(context: ToolContext, args: CheckArguments) -> str:
    """Run the default configuration and return what it showed, one finding per line.

    Raises:
        ToolRefused: there is no study or no project, or the study is running.
        InputError: the run cannot start.
    """
    return findings_text(tried(context, args.seconds)[1])


def findings_text(findings: Sequence[Finding]) -> str:
    """Return findings, one per line."""
    return "\n".join(finding_lines(findings))


def tried(context: ToolContext, seconds: float) -> tuple[DryRun | None, list[Finding]]:
    """Return a dry run of the default and what it showed; no run where the command cannot start.

    Raises:
        ToolRefused: there is no study or no project, or the study is running.
        InputError: the run cannot start.
    """
    spec = context.study.spec
    if context.project is None or context.folder is None:
        raise ToolRefused("there is no project folder here, so nothing can run")
    if context.control is not None and context.control.is_running():
        raise ToolRefused("the study is running, so its trials show what it sees; read one with log or trial")
    command = check_command(spec, context.project)
    if command.level == "problem":
        return None, [command]
    interrupted = context.interruption.is_set if context.interruption is not None else lambda: False
    root = context.folder.parent
    try:
        run = dry_run(spec, project=context.project, study_root=root, seconds=seconds, is_cancelled=interrupted)
    except KeyboardInterrupt:
        raise ToolRefused("the person ended the dry run") from None
    return run, dry_run_findings(spec, run)


def check(context: ToolContext, args: CheckArguments) -> str:
    """Return the findings, marked as data, since they quote the script's output."""
    return fenced(check_text(context, args), "text", limit=8000)


def _preview(context: ToolContext, args: CheckArguments) -> str:
    """Return the command that would run."""
    spec = context.study.spec
    fidelity = spec.fidelity.min if spec.fidelity else None
    line = command_line(spec, spec.space.imputed, fidelity=fidelity)
    return f"run the default of {spec.study.name} for at most {args.seconds:g} s, recorded nowhere: {line}"


CHECK = StudyTool("check", CheckArguments, check, Effect.RUN, preview=_preview, runs_code=True)
