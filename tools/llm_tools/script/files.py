"""Tools that read files: sources of the project and logs of trials. Their content is shown as fenced data."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field

from tunesmith.evaluator.files.private_files import configured_paths, hidden_paths, is_within
from tunesmith.evaluator.files.snapshot import SECRETS
from tunesmith.history.redact import redact
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.config.hidden import without_hidden_text
from tunesmith.study.errors import InputError, ToolRefused
from tunesmith.study.formatting import one_line, strip_control
from tunesmith.study.search_replace import split_lines
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import Number, find_trial

SOURCE_CHARS = 3500
"""Characters of a source per page."""
LOG_BYTES = 64 * 1024
"""Bytes of a log that are read from its end."""
MAX_LISTED = 20
"""Maximum number of files that an error message lists."""
_READABLE = frozenset(
    {".py", ".toml", ".md", ".txt", ".json", ".yaml", ".yml", ".cfg", ".ini", ".sh", ".jl", ".r", ".R", ".c", ".cpp"}
)
"""Sources and settings. Data and checkpoints are excluded: as text they are useless, large or private."""
_PRIVATE = (
    *SECRETS, "*secret*.*", "*credential*.*", "*password*.*", "*passwd*", "*apikey*.*", "*api_key*.*",
    "*service*account*.json", "auth.json", "token.*", "tokens.json", "kubeconfig*", "*.kubeconfig", "*.tfvars",
    "*.tfstate", "keys.*", "*private*key*",
)  # fmt: skip
"""Names of files and folders that hold keys; they are never shown. Of Python files, only names of SECRETS count."""


class SourceArguments(Arguments):
    """A file of the project."""

    path: Annotated[str, Field(max_length=300, description="Such as train.py.")]
    offset: Annotated[int, Field(ge=0, description="Characters to skip.")] = 0


class LogArguments(Arguments):
    """The end of a trial's log."""

    number: Number
    lines: Annotated[int, Field(ge=1, le=200, description="At most 200.")] = 40


def source(context: ToolContext, args: SourceArguments) -> str:
    """Return a page of a file of the project."""
    path = source_path(context, args.path)
    text = redact(shown_text(path, path.read_bytes().decode("utf-8", errors="replace")))
    page = text[args.offset : args.offset + SOURCE_CHARS]
    end = args.offset + len(page)
    more = f"\n({args.offset} to {end} of {len(text)} characters; offset={end} gives more)" if end < len(text) else ""
    return fenced(page, "file", limit=SOURCE_CHARS, keep="start") + more


def log_text(context: ToolContext, args: LogArguments) -> str:
    """Return the last lines of a trial's log, also while the trial runs, without secrets and control characters.

    Raises:
        ToolRefused: there is no such trial, or it has no log.
    """
    find_trial(context.study.view(), args.number)
    if context.folder is None:
        raise ToolRefused("this study stores no logs")
    path = context.folder / "trials" / f"{args.number:04d}" / "log.txt"
    if not path.is_file():
        raise ToolRefused(f"trial {args.number} has no log: it has not started, or its folder was removed")
    with _opened(path) as file:
        file.seek(max(os.fstat(file.fileno()).st_size - LOG_BYTES, 0))
        text = redact(file.read(LOG_BYTES).decode("utf-8", errors="replace"))
    kept = "\n".join(split_lines(strip_control(text))[-args.lines :])
    if not kept.strip():
        raise ToolRefused(f"trial {args.number} has printed nothing")
    return kept


def log(context: ToolContext, args: LogArguments) -> str:
    """Return the end of a trial's log, marked as data."""
    return fenced(log_text(context, args), "log", limit=8000)


def _opened(path: Path) -> BinaryIO:
    """Open a trial's log. A trial that ran without the sandbox may have put a link or a pipe in its place.

    Raises:
        ToolRefused: it is neither readable nor an ordinary file.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise ToolRefused(f"{path.parent.name}/{path.name} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ToolRefused(f"{path.parent.name}/{path.name} is no longer an ordinary file")
    return file


def judge_paths(context: ToolContext, project: Path) -> Sequence[Path]:
    """Return the files and folders that only a judge may read, of [evaluate], [test] or [confirm]."""
    if context.reader is None:
        return hidden_paths(project)
    try:
        return configured_paths(context.reader.spec, project)
    except InputError:  # there is no study yet, or its file has mistakes
        return hidden_paths(project)


def shown_text(path: Path, text: str) -> str:
    """Return the text of a file of the project without what a study file keeps from models ([confirm].command)."""
    return without_hidden_text(text) if ".toml" in path.name else text


def is_private(path: Path) -> bool:
    """Return whether a file, or a folder on the way to it, is named like one that holds keys."""
    patterns = SECRETS if path.suffix == ".py" else _PRIVATE
    return any(fnmatch(part.lower(), pattern) for part in path.parts for pattern in patterns)


def source_path(context: ToolContext, name: str) -> Path:
    """Return the path of a source file of the project; hidden files and data for the judge only are excluded.

    Raises:
        ToolRefused: there is no such file; the message lists the files at the project's top.
    """
    if context.project is None:
        raise ToolRefused("this study has no project folder, so there are no sources to read")
    root, private = context.project.resolve(), judge_paths(context, context.project)
    path = (root / name).resolve()
    inside = (
        path.is_relative_to(root)
        and not is_within(path, private)
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    if inside and is_private(path.relative_to(root)):
        raise ToolRefused(f"{one_line(name, 80)} may hold keys or passwords, so it is not shown")
    if inside and path.is_file() and path.suffix in _READABLE:
        return path
    sources = [p for p in root.iterdir() if p.suffix in _READABLE and not is_within(p, private)]
    files = sorted(p.name for p in sources if not p.name.startswith(".") and not is_private(Path(p.name)))[:MAX_LISTED]
    raise ToolRefused(f"there is no such source file in the project; its top folder has {', '.join(files) or 'none'}")


SOURCE = StudyTool("source", SourceArguments, source)
LOG = StudyTool("log", LogArguments, log)
