"""Looks for data that the judge reads and that trials can read too: edited code would train on the answers."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from tunesmith.evaluator.files.private_files import configured_paths, is_within
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import argv, placeholders
from tunesmith.tools.checks.finding import Finding

MAX_FILES = 5000
"""Number of the project's files that are compared with names in the judge's script."""
MAX_SCRIPTS = 20
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


def _readable_names(spec: StudySpec, project: Path, command: str) -> list[str]:
    """Return the data files that a judge's command or script names, except [evaluate].data and [test].data."""
    words = argv(command, {name: 0 for name in placeholders(command)})
    named = set(words)
    for script in _scripts(project, words):
        named |= _texts(script)
    ends = {os.path.basename(text) for text in named if text}
    private = configured_paths(spec, project)
    found = []
    for path in _files(project):
        relative = str(path.relative_to(project))
        if (relative in named or path.name in ends) and not is_within(path, private):
            found.append(relative)
    return sorted(found)


def _files(project: Path) -> Iterator[Path]:
    count = 0
    for folder, folders, names in os.walk(project):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            count += 1
            if not name.endswith(_CODE) and not name.startswith("."):
                yield Path(folder, name)
        if count > MAX_FILES:
            return


def _scripts(project: Path, words: list[str]) -> Iterator[Path]:
    """Yield the Python files that a command runs, and the project's modules that these import."""
    waiting = [project / word for word in words if word.endswith(".py")]
    seen: set[Path] = set()
    while waiting and len(seen) < MAX_SCRIPTS:
        script = waiting.pop()
        if script in seen or not script.is_file():
            continue
        seen.add(script)
        yield script
        for node in ast.walk(_tree(script)):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            waiting += [base / f"{name.replace('.', '/')}.py" for name in modules for base in (project, script.parent)]


def _texts(script: Path) -> set[str]:
    nodes = ast.walk(_tree(script))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _tree(script: Path) -> ast.Module:
    try:
        return ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ast.Module(body=[], type_ignores=[])
