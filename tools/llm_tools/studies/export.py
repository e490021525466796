"""A tool that writes the study's results for other programs: a table, an Optuna storage, a program to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.interop.export.registry import TARGETS, Target, find_target
from tunesmith.tools.interop.study_export import StudyExport, build_export, counted
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool


class ExportArguments(Arguments):
    """Where the results go."""

    to: Annotated[str, Field(max_length=40, description=f"{', '.join(TARGETS)}.")]
    out: Annotated[str, Field(max_length=300, description="A new file of the project.")] = ""


def export(context: ToolContext, args: ExportArguments) -> str:
    """Write the export; return what it holds and what was left out."""
    target, exported, path = _prepared(context, args)
    try:
        remarks = target.export(exported, str(path))
    except OSError as error:
        raise ToolRefused(f"{path.name} cannot be written: {error.strerror or error}") from None
    return "\n".join([f"written: {path}: {target.takes}; {counted(exported.trials)}", *exported.remarks, *remarks])


def preview(context: ToolContext, args: ExportArguments) -> str:
    """Return what would be written, and where."""
    target, exported, path = _prepared(context, args)
    return f"Write {path}: {target.takes}; {counted(exported.trials)}"


def _prepared(context: ToolContext, args: ExportArguments) -> tuple[Target, StudyExport, Path]:
    """Return the target, the results and the file.

    Raises:
        ToolRefused: there are no results, or the file exists or is outside of the project.
        InputError: there is no such target.
    """
    target, spec = find_target(args.to), context.study.spec
    if context.project is None:
        raise ToolRefused("there is no project folder here, so no file can be written")
    root = context.project.resolve()
    path = (root / (args.out or f"{spec.study.name}{target.suffix}")).resolve()
    if not path.is_relative_to(root) or any(part.startswith(".") for part in path.relative_to(root).parts):
        raise ToolRefused(f"{args.out} is not a visible file of the project; give one such as results{target.suffix}")
    if path.exists():
        raise ToolRefused(f"{path.name} exists; give another name as out")
    if not path.parent.is_dir():
        raise ToolRefused(f"there is no folder {path.parent.relative_to(root)} in the project")
    view = context.study.view()
    exported = build_export(spec, view.every_trial, [], folder=str(context.project))
    if not exported.trials:
        raise ToolRefused("the study has no results to export yet")
    return target, exported, path


EXPORT = StudyTool("export", ExportArguments, export, Effect.RUN, preview=preview, previewed=frozenset({"to", "out"}))
