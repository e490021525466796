"""Tools for study files: list scripts, draft study.toml, write it, branch from a trial, start a run.

Every written study file has been parsed without a mistake before.
"""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError, SpecError, ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.tools.llm_tools.approvals.study_table import run_lines, study_diff, study_table
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.script.files import SourceArguments
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments, Number, find_trial
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml
from tunesmith.tools.toml_text import render_study

MAX_SCRIPTS = 40
"""Maximum number of scripts that are listed."""
STUDY_FILE = "study.toml"


class WriteStudyArguments(Arguments):
    """A study file."""

    text: Annotated[str, Field(min_length=1, max_length=40_000, description="The whole file.")]
    replace: Annotated[bool, Field(description="Replace an existing one.")] = False
    start: Annotated[bool, Field(description="Also start the run.")] = False


class BranchArguments(Arguments):
    """A new study that starts from a trial."""

    number: Number
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,79}$", description="The new study's name.")]
    trials: Annotated[int | None, Field(ge=1, le=100_000, description="Its budget; null keeps it.")] = None


def script_lines(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the Python files of the project, with the parameters and the metric found in each."""
    root = _project(context)
    found = [*sorted(root.glob("*.py")), *sorted(root.glob("*/*.py"))]
    visible = [p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts)][:MAX_SCRIPTS]
    lines = [f"{path.relative_to(root)}: {_findings_text(path)}" for path in visible]
    here = f"{STUDY_FILE} exists already" if (root / STUDY_FILE).exists() else f"there is no {STUDY_FILE} yet"
    return "\n".join([here, *lines]) if lines else f"{here}; there are no Python files in {root.name}"


def draft(context: ToolContext, args: SourceArguments) -> str:
    """Return a draft of study.toml from the parameters and metrics found in a script."""
    root = _project(context)
    path = (root / args.path).resolve()
    if not path.is_relative_to(root.resolve()) or path.suffix != ".py":
        raise ToolRefused("give the path of a Python file in the project, such as train.py")
    reading = read_script(path, root=root.resolve())
    draft = study_toml(reading, name=root.resolve().name)
    return f"A draft from rules of thumb; improve it by what the script does:\n{fenced(draft, 'toml', limit=8000)}"


def write(context: ToolContext, args: WriteStudyArguments) -> str:
    """Validate a study file, write it, and start it where that was asked for."""
    target, spec = _written_study(context, args)
    _write(target, args.text)
    written = f"written: {STUDY_FILE}, {len(spec.space)} parameters"
    if not args.start:
        return f"{written}; start runs it"
    if context.reload is None:
        raise ToolRefused(f"{written}; runs cannot be started from here; a person can start one with: tunesmith run")
    return f"{written}; {start(context.reload(), NoArguments())}"


def _written_study(context: ToolContext, args: WriteStudyArguments) -> tuple[Path, StudySpec]:
    """Return the file that would be written and its study.

    Raises:
        ToolRefused: the text is not a valid study, or a file would be replaced that should not be.
    """
    target = _project(context) / STUDY_FILE
    spec = parse_study_text(args.text)
    if target.exists() and not args.replace:
        raise ToolRefused(f"{STUDY_FILE} exists already; read it, and set replace=true to replace it")
    if args.start and context.control is not None and context.control.is_running():
        raise ToolRefused("the study is running; write the file without start=true")
    return target, spec


def branch(context: ToolContext, args: BranchArguments) -> str:
    """Write a study that starts from a trial of this one and learns from all of its trials."""
    facts = context.study
    spec, view = facts.spec, facts.view()
    trial = find_trial(view, args.number)
    if args.name == spec.study.name:
        raise ToolRefused(f"{args.name} is the name of this study; choose another name")
    document: dict[str, Any] = copy.deepcopy(dict(spec.document))
    document["study"] = {**document["study"], "name": args.name}
    for name, value in trial.params.items():
        if name in document["space"]:
            document["space"][name] = {**document["space"][name], "default": value}
    before = [source for source in document.get("warm_start", {}).get("from", []) if source != spec.study.name]
    document["warm_start"] = {"from": [*before, spec.study.name]}
    if args.trials is not None:
        document["budget"] = {**document.get("budget", {}), "trials": args.trials}
    target = _project(context) / f"{args.name}.toml"
    if target.exists():
        raise ToolRefused(f"{target.name} exists already; choose another name")
    try:
        text = render_study(document)
    except TypeError:
        raise ToolRefused("a choice of this study is None, which a study file cannot express") from None
    parse_study_text(text)
    _write(target, text)
    return f"written: {target.name}, which starts from trial {args.number}; run it with: tunesmith run {target.name}"


def start(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Start a run in the background."""
    _ = context.study
    if context.start is None:
        raise ToolRefused("runs cannot be started from here; a person can start one with: tunesmith run")
    if context.control is not None and context.control.is_running():
        raise ToolRefused("the study is already running")
    return context.start()


def _write_preview(context: ToolContext, args: WriteStudyArguments) -> str:
    """Return a new study as a table, and a changed one as a diff."""
    target, spec = _written_study(context, args)
    then = " and start the run" if args.start else ""
    if target.exists():
        before = target.read_text(encoding="utf-8", errors="replace")
        changes = study_diff(before, args.text)
        return "\n".join([f"Change {target.name}{then}:", *(changes or ["nothing changes"])])
    return "\n".join([f"Write {target.name}{then}:", *study_table(spec)])


def _start_preview(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return what would run, how long about, and its limits."""
    if context.control is not None and context.control.is_running():
        raise ToolRefused("the study is already running")
    spec = context.study.spec
    return "\n".join([f"Start the run of {spec.study.name}:", *run_lines(spec)])


def parse_study_text(text: str) -> StudySpec:
    """Return the study that a text describes; it must have a limit.

    Raises:
        ToolRefused: the text is not valid TOML or not a valid study; the message names every mistake.
    """
    try:
        spec = parse_spec(tomllib.loads(text), where=STUDY_FILE)
    except tomllib.TOMLDecodeError as error:
        raise ToolRefused(f"this is not valid TOML: {error}") from None
    except SpecError as error:
        raise ToolRefused(str(error)) from None
    if not spec.budget.ends:
        raise ToolRefused('nothing would end this study; set [budget] trials = 40, hours = 8 or until = "07:00"')
    return spec


def _project(context: ToolContext) -> Path:
    if context.project is None:
        raise ToolRefused("there is no project folder here, so there are no files to read or write")
    return context.project


def _findings_text(path: Path) -> str:
    try:
        reading = read_script(path)
    except ProjectError:
        return "nothing to tune"
    metric = f"; prints {reading.metrics[0].name}" if reading.metrics else ""
    return f"{len(reading.settings)} parameters from {reading.system}{metric}"


def _write(target: Path, text: str) -> None:
    try:
        write_atomic(target, text)
    except OSError as error:
        raise ToolRefused(f"{target.name} cannot be written: {error.strerror}") from None


SCRIPTS = StudyTool("scripts", NoArguments, script_lines)
READ_SCRIPT = StudyTool("read_script", SourceArguments, draft)
WRITE_STUDY = StudyTool(
    "write_study",
    WriteStudyArguments,
    write,
    Effect.RUN,
    preview=_write_preview,
    previewed=frozenset({"text", "replace", "start"}),
    loses=True,
)
BRANCH = StudyTool("branch", BranchArguments, branch, Effect.RUN)
START = StudyTool("start", NoArguments, start, Effect.RUN, preview=_start_preview)
