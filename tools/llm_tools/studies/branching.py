"""A tool that writes a study which continues from a trial of another, and turns the chat to it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tunesmith.study.config.hidden import hidden_table_of, with_hidden_text
from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.studies.finding import study_names
from tunesmith.tools.llm_tools.studies.starting import StartArguments, start
from tunesmith.tools.llm_tools.studies.study_files import chosen_study, parse_study_text, project_folder, write_file
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import Number, find_trial, trial_line
from tunesmith.tools.toml_text import render_study


class BranchArguments(Arguments):
    """A new study that starts from a trial."""

    number: Number
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,79}$", description="The new study's name.")]
    trials: Annotated[int | None, Field(ge=1, le=100_000, description="Its budget; null keeps it.")] = None
    start: Annotated[bool, Field(description="Also start it.")] = False


def branch(context: ToolContext, args: BranchArguments) -> str:
    """Write a study that starts from a trial of this one and learns from all of its trials."""
    target, text = _branched(context, args)
    write_file(target, text)
    written = f"written: {target.name}, which starts from trial {args.number}"
    chosen = chosen_study(context, args.name)
    if chosen is None or not args.start:
        return f"{written}; run it with: tunesmith run {target.name}"
    return f"{written}; {start(chosen, StartArguments(check=False))}"


def _branched(context: ToolContext, args: BranchArguments) -> tuple[Path, str]:
    """Return the file of the new study and its text.

    Raises:
        ToolRefused: there is no such trial, the name is taken, or the study cannot be written as a file.
    """
    facts = context.study
    spec, view = facts.spec, facts.view()
    trial = find_trial(view, args.number)
    if args.name in study_names(project_folder(context), context.history):
        raise ToolRefused(f"there is a study {args.name} already; choose another name")
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    document["study"] = {**document["study"], "name": args.name}
    for name, value in trial.params.items():
        if name in document["space"]:
            document["space"][name] = {**document["space"][name], "default": value}
    before = [source for source in document.get("warm_start", {}).get("from", []) if source != spec.study.name]
    document["warm_start"] = {"from": [*before, spec.study.name]}
    if args.trials is not None:
        document["budget"] = {**document.get("budget", {}), "trials": args.trials}
    target = project_folder(context) / f"{args.name}.toml"
    if target.exists():
        raise ToolRefused(f"{target.name} exists already; choose another name")
    try:
        text = with_hidden_text(render_study(document), _hidden_table(context))
    except TypeError:
        raise ToolRefused("a choice of this study is None, which a study file cannot express") from None
    parse_study_text(text)
    return target, text


def _hidden_table(context: ToolContext) -> dict[str, Any]:
    """Return what the study's own file keeps from the history, and from models."""
    try:
        return hidden_table_of(context.file.read_text(encoding="utf-8")) if context.file is not None else {}
    except (OSError, UnicodeDecodeError):
        return {}


def _preview(context: ToolContext, args: BranchArguments) -> str:
    """Return the new study's file, its first trial and its budget."""
    target, _ = _branched(context, args)
    view = context.study.view()
    trial = find_trial(view, args.number)
    trials = args.trials if args.trials is not None else context.study.spec.budget.trials
    budget = f"{trials} trials" if trials is not None else "the limits of this study"
    then = ", and start the run" if args.start else ""
    return "\n".join(
        [
            f"Write {target.name}, a study that continues from #{args.number}{then}:",
            f"first     {render_params(trial.params)}",
            f"knows     all trials of {context.study.spec.study.name}; {trial_line(trial, view)}",
            f"limits    {budget}",
        ]
    )


BRANCH = StudyTool(
    "branch",
    BranchArguments,
    branch,
    Effect.RUN,
    preview=_preview,
    previewed=frozenset({"number", "name", "trials", "start"}),
)
