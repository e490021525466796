"""Looks for data that the judge reads and that trials can read too: edited code would train on the answers."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tunesmith.evaluator.files.command_files import command_files, imported_files, parsed
from tunesmith.evaluator.files.private_files import configured_paths, hidden_paths, is_within
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv, placeholders
from tunesmith.study.formatting import count
from tunesmith.tools.checks.finding import Finding

MAX_FILES = 5000
"""Number of the project's files that are compared with names in the judge's script."""
MAX_SCRIPTS = 20
MAX_TEXT_BYTES = 2**20
"""Size of a file up to which its text is searched."""
_TEXT = frozenset({".py", ".sh", ".md", ".txt", ".yaml", ".yml", ".json", ".cfg", ".ini", ".ipynb", ".rst"})
_CODE = (".py", ".pyc", ".sh", ".toml", ".md", ".lock", ".ipynb")


def judge_data_findings(spec: StudySpec, project: Path) -> Iterator[Finding]:
    """Yield a warning for data of the judge that trials can read; nothing for a study without [evaluate]."""
    for key, table in (("evaluate", spec.evaluate), ("test", spec.test)):
        if table is None:
            continue
        if table.data and not spec.run.sandbox:
            detail = (
                f"trials run without the sandbox, so they can read the files of [{key}].data; set [run] sandbox = true"
            )
            yield Finding(level="warning", what="judge", detail=detail)
        names = _readable_names(spec, project, table.command)
        if names:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
            listed = ", ".join(f'"{name}"' for name in names[:5])
            detail = (
                f"the command of [{key}] names {shown}, which every trial can read too: if these are the answers, keep "
                f"them for that command with [{key}] data = [{listed}]"
            )
            yield Finding(level="warning", what="judge", detail=detail)
    yield from _hidden_findings(spec, project)


def _hidden_findings(spec: StudySpec, project: Path) -> Iterator[Finding]:
    """Yield warnings for what [confirm] keeps to its command; a model may ask for them, so they name nothing of it."""
    confirm = spec.confirm
    if confirm is None or confirm.command is None:
        return
    if confirm.data and not spec.run.sandbox:
        detail = "trials run without the sandbox, so they can read [confirm].data; set [run] sandbox = true"
        yield Finding(level="warning", what="judge", detail=detail)
    readable = _readable_names(spec, project, confirm.command)
    if readable:
        detail = (
            f"the command of [confirm] reads {count(len(readable), 'data file')} of the project that every trial can "
            "read too; list what only it may read in [confirm] data"
        )
        yield Finding(level="warning", what="judge", detail=detail)
    secrets = [confirm.command, *confirm.data]
    telling = [str(p.relative_to(project)) for p in _texts_of(project) if _mentions(p, secrets)]
    if telling:
        detail = (
            f"{', '.join(telling[:5])} mentions the command of [confirm] or its data, and trials and models can read it"
        )
        yield Finding(level="warning", what="judge", detail=detail)


def _texts_of(project: Path) -> Iterator[Path]:
    """Yield the project's files of code and text that trials and models may read; study files are shown without it."""
    private = hidden_paths(project)
    for path in _all_files(project):
        if path.suffix in _TEXT and not is_within(path, private):
            yield path


def _mentions(path: Path, texts: list[str]) -> bool:
    try:
        content = path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= MAX_TEXT_BYTES else ""
    except OSError:
        return False
    return any(text in content for text in texts)


def _readable_names(spec: StudySpec, project: Path, command: str) -> list[str]:
    """Return the data files that a judge's command or script names, except [evaluate].data and [test].data."""
    words = argv(command, {name: 0 for name in placeholders(command)})
    named = set(words)
    for script in islice(imported_files(command_files(command, project), project), MAX_SCRIPTS):
        named |= _texts(script)
    private = configured_paths(spec, project)
    ends = {os.path.basename(text) for text in named if text and not _is_private(project, text, private)}
    found = []
    for path in _files(project):
        relative = str(path.relative_to(project))
        if (relative in named or path.name in ends) and not is_within(path, private):
            found.append(relative)
    return sorted(found)


def _is_private(project: Path, text: str, private: list[Path]) -> bool:
    """Return whether a text of a script is the path of a private file: one elsewhere with its name is not meant."""
    return bool(os.path.dirname(text)) and is_within(Path(os.path.normpath(project / text)), private)


def _files(project: Path) -> Iterator[Path]:
    """Yield the project's files of data."""
    return (path for path in _all_files(project) if not path.name.endswith(_CODE))


def _all_files(project: Path) -> Iterator[Path]:
    seen = 0
    for folder, folders, names in os.walk(project):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            seen += 1
            if not name.startswith("."):
                yield Path(folder, name)
        if seen > MAX_FILES:
            return


def _texts(script: Path) -> set[str]:
    nodes = ast.walk(parsed(script))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
