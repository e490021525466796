"""A tool of the chat that changes the person's own files, after they approved the diff: a fix, or a new hyperparameter.

A fix is one replacement in the script. A new hyperparameter is an option in the script and, in study.toml, its range
and its place in the command; both are one call. Every change is a git commit of only these files, or leaves backups.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tunesmith.study.commands import Block
from tunesmith.study.errors import ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import one_line
from tunesmith.study.search_replace import find_matches, replace_match
from tunesmith.study.variant import unified_diff
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.script.files import shown_text, source_path
from tunesmith.tools.llm_tools.studies.starting import StartArguments, start
from tunesmith.tools.llm_tools.studies.study_files import STUDY_FILE, parse_study_text
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.variants.git import GitFailed, Repository
from tunesmith.tools.variants.rules import is_protected

MAX_BYTES = 1_000_000
"""Size above which a file is read neither as a script nor as a study file."""


class ChangeArguments(Arguments):
    """Replacements in files of the project."""

    blocks: Annotated[list[Block], Field(min_length=1, max_length=10, description="All or none are applied.")]
    why: Annotated[str, Field(max_length=200, description="In a sentence.")] = ""
    start: Annotated[bool, Field(description="Also start the run.")] = False


def change(context: ToolContext, args: ChangeArguments) -> str:
    """Change the files, and start the run where that was asked for."""
    changed = _change(context, args)
    if not args.start:
        return changed
    reloaded = context.reload() if context.reload is not None else context
    return f"{changed}\n{start(reloaded, StartArguments())}"


def _change(context: ToolContext, args: ChangeArguments) -> str:
    """Write the changed files; return how they were kept and how the change is undone."""
    before, after = _changed_texts(context, args)
    project, names = _project(context), ", ".join(after)
    repository = _repository_with(project, before)
    copies = [] if repository is not None else [_backup(project / name, text) for name, text in before.items()]
    _write_all(project, before, after, copies)
    if repository is None:
        undo = "; ".join(f"mv {_relative(copy, project)} {name}" for copy, name in zip(copies, before, strict=True))
        return f"changed: {names}; backups: {', '.join(_relative(copy, project) for copy in copies)}; undo: {undo}"
    try:
        commit = _commit(repository, list(after), one_line(args.why, 72) or f"Change {names}")
    except GitFailed as error:
        return f"changed: {names}, without a commit ({error}); undo: git checkout HEAD -- {' '.join(after)}"
    return f"changed: {names}; commit {commit} of only these files; undo: git revert {commit}"


def preview(context: ToolContext, args: ChangeArguments) -> str:
    """Return the diff of every file that would change."""
    before, after = _changed_texts(context, args)
    then = " and start the run" if args.start else ""
    # A model may read it in the conversation, so what a study file keeps from models is left out.
    texts = [{name: shown_text(Path(name), text) for name, text in files.items()} for files in (before, after)]
    return f"Change {', '.join(after)} in your project{then}:\n{unified_diff(*texts).rstrip()}"


def _changed_texts(context: ToolContext, args: ChangeArguments) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files as they are and as they would be, by path.

    Raises:
        ToolRefused: a file may not be changed, a text is not found exactly once, or the result is not valid.
    """
    project = _project(context)
    if context.control is not None and context.control.is_running():
        raise ToolRefused(
            "the study is running, and its trials must stay comparable; end it first, then start it again"
        )
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for number, block in enumerate(args.blocks, start=1):
        path = source_path(context, block.path)
        name = path.relative_to(project.resolve()).as_posix()
        _refuse_protected(context, name)
        if name not in before:
            before[name] = after[name] = _text(path)
        after[name] = _replaced(after[name], block, f"block {number}, {name}")
    unchanged = [name for name, text in after.items() if before[name] == text]
    if unchanged:
        raise ToolRefused(f"nothing would change in {', '.join(unchanged)}")
    study = context.file.name if context.file is not None else STUDY_FILE
    for name, text in after.items():
        _check(name, text, study=study)
    return before, after


def _project(context: ToolContext) -> Path:
    if context.project is None:
        raise ToolRefused("there is no project folder here, so there are no files to change")
    return context.project


def _refuse_protected(context: ToolContext, name: str) -> None:
    edits = context.reader.spec.edits if context.reader is not None else None
    if edits is not None and is_protected(name, edits.protect):
        raise ToolRefused(f"[edits].protect keeps {name} as it is; only the person may change it, in an editor")


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise ToolRefused(f"{path.name} is larger than a script; change it in an editor")
        return content.decode("utf-8")
    except OSError as error:
        raise ToolRefused(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ToolRefused(f"{path.name} is not UTF-8 text; change it in an editor") from None


def _replaced(text: str, block: Block, where: str) -> str:
    if not block.search.strip():
        raise ToolRefused(f"{where}: the search text is empty; copy the lines that change")
    matches = find_matches(text, block.search, block.replace)
    if len(matches) != 1:
        found = "is not in the file; read it with source and copy the lines exactly"
        several = f"occurs {len(matches)} times; copy more lines around it"
        raise ToolRefused(f"{where}: the search text {several if matches else found}")
    return replace_match(text, matches[0])


def _check(name: str, text: str, *, study: str) -> None:
    """Refuse a changed file that would not load.

    Args:
        name: its path in the project.
        text: what it would hold.
        study: the name of the study file.

    Raises:
        ToolRefused: it is Python with a syntax error, or a study file with mistakes.
    """
    if name.endswith(".py"):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise ToolRefused(f"{name} would not be valid Python, line {line}: {one_line(str(error), 200)}") from None
    if name == study:
        parse_study_text(text, where=name)


def _write_all(project: Path, before: Mapping[str, str], after: Mapping[str, str], copies: Sequence[Path]) -> None:
    """Write every file, or leave all as they were and remove their copies.

    Raises:
        ToolRefused: a file cannot be written.
    """
    written: list[str] = []
    try:
        for name, text in after.items():
            write_atomic(project / name, text)
            written.append(name)
    except OSError as error:
        for name in written:
            with suppress(OSError):
                write_atomic(project / name, before[name])
        for copy in copies:
            copy.unlink(missing_ok=True)
        raise ToolRefused(f"nothing was changed: a file cannot be written: {error.strerror}") from None


def _repository_with(project: Path, before: Mapping[str, str]) -> Repository | None:
    """Return the repository if its HEAD has every file as it is now.

    Otherwise a commit would take the person's own changes along, or would not keep the files as they were.
    """
    try:
        repository = Repository(project)
        paths = {f"{repository.prefix}{name}": text.encode() for name, text in before.items()}
        return repository if all(repository.content(path) == text for path, text in paths.items()) else None
    except GitFailed:
        return None


def _commit(repository: Repository, names: Sequence[str], message: str) -> str:
    """Commit only these files, and nothing else that is staged; return the commit's short id.

    Raises:
        GitFailed: git refuses, such as during a merge.
    """
    paths = [f":(literal){repository.prefix}{name}" for name in names]
    repository.run("commit", "-q", "--only", "-m", message, "--", *paths, variables=repository.identity())
    return repository.run("rev-parse", "--short", "HEAD").strip()


def _backup(path: Path, text: str) -> Path:
    """Write the text of a file next to it, under a name that no file has.

    Raises:
        ToolRefused: it cannot be written.
    """
    names = (path.with_name(f"{path.name}.bak{index or ''}") for index in itertools.count())
    copy = next(name for name in names if not name.exists())
    try:
        write_atomic(copy, text)
    except OSError as error:
        raise ToolRefused(f"nothing was changed: no backup of {path.name} can be written: {error.strerror}") from None
    return copy


def _relative(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix()


CHANGE_FILES = StudyTool(
    "change_files", ChangeArguments, change, Effect.EDIT, preview=preview, previewed=frozenset({"blocks", "start"})
)
