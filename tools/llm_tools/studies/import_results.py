"""A tool that takes results of other programs or of another history, from which the study learns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.interop.importing.plan import ImportPlan, ImportRequest, plan_import
from tunesmith.tools.interop.study_export import counted
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.studies.finding import study_names
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool


class ImportArguments(Arguments):
    """Where the results are."""

    path: Annotated[str, Field(max_length=300, description="A file, a folder, or the URL of an Optuna storage.")]
    named: Annotated[str, Field(max_length=200, description="Which study, if it has several.")] = ""
    columns: Annotated[
        dict[str, str], Field(max_length=200, description='By column, such as {"learning_rate": "lr"}.')
    ] = Field(default_factory=dict)


def import_results(context: ToolContext, args: ImportArguments) -> str:
    """Take the results into the history; return what was taken and what was left out."""
    plan, request = _planned(context, args)
    if context.take_in is None:
        raise ToolRefused("nothing can be imported from here; a person can do it with: tunesmith import")
    context.take_in(request)
    learns = f"{plan.learner.study.name} learns from them when it next starts; its own figures leave them out"
    done = f"imported as study {plan.name}: {counted(plan.imported.trials)}; {learns}"
    return "\n".join([done, *plan.lines(changed_by="columns")])


def _planned(context: ToolContext, args: ImportArguments) -> tuple[ImportPlan, ImportRequest]:
    """Return what would be imported.

    Raises:
        ToolRefused: the study runs, or there is no project.
        InputError: the source cannot be read, or does not fit the study.
    """
    spec = context.study.spec
    if context.project is None:
        raise ToolRefused("there is no project folder here, so nothing can be imported")
    if context.control is not None and context.control.is_running():
        raise ToolRefused("only the run writes the history while the study runs; end it first, then start it again")
    source = args.path if "://" in args.path else str(context.project / args.path)
    twice = [name for name in args.columns.values() if list(args.columns.values()).count(name) > 1]
    if twice:
        raise ToolRefused(f"two columns are mapped to {twice[0]}; leave one out")
    request = ImportRequest(source, args.named or None, args.columns)
    plan = plan_import(spec, request)
    if plan.name in study_names(context.project, context.history):
        raise ToolRefused(f"these results were taken in before, as study {plan.name}")
    return plan, request


def _preview(context: ToolContext, args: ImportArguments) -> str:
    plan, _ = _planned(context, args)
    head = f"Let {plan.learner.study.name} learn from trials that ran elsewhere ({counted(plan.imported.trials)}):"
    return "\n".join([head, *plan.lines(changed_by="columns")])


IMPORT = StudyTool(
    "import_results",
    ImportArguments,
    import_results,
    Effect.RUN,
    preview=_preview,
    previewed=frozenset({"path", "named", "columns"}),
)
