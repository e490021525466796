"""Tools for study files: list scripts, draft study.toml, write it.

Every written study file has been parsed without a mistake before.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tunesmith.evaluator.files.private_files import is_within
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.hidden import hidden_table_of, with_hidden_text, without_hidden_text
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError, SpecError, ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.tools.llm_tools.approvals.study_table import study_diff, study_table
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.script.files import SourceArguments, judge_paths
from tunesmith.tools.llm_tools.studies.finding import study_files
from tunesmith.tools.llm_tools.studies.starting import FIRST_TRIED, StartArguments, start
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml

MAX_SCRIPTS = 40
"""Maximum number of scripts that are listed."""
STUDY_FILE = "study.toml"
_NO_STUDIES = ("pyproject.toml", "Cargo.toml", "pixi.toml", "ruff.toml")
"""Files of other programs."""


class WriteStudyArguments(Arguments):
    """A study file."""

    text: Annotated[str, Field(min_length=1, max_length=40_000, description="The whole file.")]
    replace: Annotated[bool, Field(description="Replace it.")] = False
    start: Annotated[bool, Field(description="Also start the run.")] = False
    file: Annotated[str, Field(max_length=80, description="For a further study.")] = ""


def script_lines(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the Python files of the project, with the parameters and the metric found in each."""
    root = project_folder(context)
    found = [*sorted(root.glob("*.py")), *sorted(root.glob("*/*.py"))]
    private = judge_paths(context, root)
    named = [p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    visible = [p for p in named if not is_within(p, private)][:MAX_SCRIPTS]
    lines = [f"{path.relative_to(root)}: {_findings_text(path)}" for path in visible]
    here = f"{STUDY_FILE} exists already" if (root / STUDY_FILE).exists() else f"there is no {STUDY_FILE} yet"
    return "\n".join([here, *lines]) if lines else f"{here}; there are no Python files in {root.name}"


def draft(context: ToolContext, args: SourceArguments) -> str:
    """Return a draft of study.toml from the parameters and metrics found in a script."""
    root = project_folder(context)
    path = (root / args.path).resolve()
    is_private = is_within(path, judge_paths(context, root))
    if not path.is_relative_to(root.resolve()) or path.suffix != ".py" or is_private:
        raise ToolRefused("give the path of a Python file in the project, such as train.py")
    reading = read_script(path, root=root.resolve())
    draft = study_toml(reading, name=root.resolve().name)
    return f"A draft from rules of thumb; improve it by what the script does:\n{fenced(draft, 'toml', limit=8000)}"


def write(context: ToolContext, args: WriteStudyArguments) -> str:
    """Validate a study file, write it, and start it where that was asked for."""
    target, spec = _written_study(context, args)
    write_file(target, _kept_text(target, args.text))
    written = f"written: {target.name}, {len(spec.space.declared)} parameters"
    chosen = chosen_study(context, spec.study.name)
    if not args.start:
        return f"{written}; start runs it"
    if chosen is None:
        raise ToolRefused(f"{written}; runs cannot be started from here; a person can start one with: tunesmith run")
    return f"{written}; {start(chosen, StartArguments())}"


def _kept_text(target: Path, text: str) -> str:
    """Return the new text of a study file with the hidden keys of the old one, which a model never sees.

    Raises:
        ToolRefused: they cannot be put into the new text.
    """
    before = target.read_text(encoding="utf-8", errors="replace") if target.exists() else ""
    kept = with_hidden_text(text, hidden_table_of(before))
    parse_study_text(kept, where=target.name)
    return kept


def chosen_study(context: ToolContext, name: str) -> ToolContext | None:
    """Return the context of a study that was just written, to which a chat turns; None where nothing reads it again."""
    if context.select is not None:
        return context.select(name)
    return context.reload() if context.reload is not None else None


def _written_study(context: ToolContext, args: WriteStudyArguments) -> tuple[Path, StudySpec]:
    """Return the file that would be written and its study.

    Raises:
        ToolRefused: the text is not a valid study, or a file would be replaced that should not be.
    """
    target = _target(context, args.file)
    spec = parse_study_text(args.text, where=target.name)
    if target.exists() and not args.replace:
        raise ToolRefused(
            f"{target.name} exists already; read it and set replace=true to replace it, or give another name as file"
        )
    owner = study_files(target.parent).get(spec.study.name)
    if owner is not None and owner != target:
        raise ToolRefused(f"{spec.study.name} is the study of {owner.name} already; give it another name")
    is_other = context.file is not None and context.file != target
    if args.start and not is_other and context.control is not None and context.control.is_running():
        raise ToolRefused("the study is running; write the file without start=true")
    return target, spec


def _target(context: ToolContext, file: str) -> Path:
    """Return the study file to write: the one of that name, else the study's own, else study.toml."""
    root = project_folder(context)
    if not file:
        return context.file if context.file is not None else root / STUDY_FILE
    target = root / file
    if target.parent != root or target.suffix != ".toml" or file.startswith(".") or file in _NO_STUDIES:
        raise ToolRefused(f"{file} cannot be a study file; give a name such as next.toml")
    return target


def _write_preview(context: ToolContext, args: WriteStudyArguments) -> str:
    """Return a new study as a table, and a changed one as a diff."""
    target, spec = _written_study(context, args)
    then = " and start the run" if args.start else ""
    first = [FIRST_TRIED] if args.start and spec.run.executor == "local" else []
    if target.exists():
        before = target.read_text(encoding="utf-8", errors="replace")
        # Without the hidden keys, which both have: a model may read it in the conversation.
        changes = study_diff(without_hidden_text(before), without_hidden_text(_kept_text(target, args.text)))
        return "\n".join([f"Change {target.name}{then}:", *(changes or ["nothing changes"])])
    return "\n".join([f"Write {target.name}{then}:", *study_table(spec), *first])


def parse_study_text(text: str, *, where: str = STUDY_FILE) -> StudySpec:
    """Return the study that a text describes; it must have a limit.

    Args:
        text: TOML.
        where: the file's name, for messages.

    Raises:
        ToolRefused: the text is not valid TOML or not a valid study; the message names every mistake.
    """
    try:
        spec = parse_spec(tomllib.loads(text), where=where)
    except tomllib.TOMLDecodeError as error:
        raise ToolRefused(f"this is not valid TOML: {error}") from None
    except SpecError as error:
        raise ToolRefused(str(error)) from None
    if not spec.budget.ends:
        raise ToolRefused('nothing would end this study; set [budget] trials = 40, hours = 8 or until = "07:00"')
    return spec


def project_folder(context: ToolContext) -> Path:
    """Return the folder of the study files.

    Raises:
        ToolRefused: there is none.
    """
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


def write_file(target: Path, text: str) -> None:
    """Write a study file.

    Raises:
        ToolRefused: it cannot be written.
    """
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
    previewed=frozenset({"text", "replace", "start", "file"}),
    loses=True,
)
