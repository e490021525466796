"""Finds the project's files of code that a command runs, and what these import. Looks at files; runs nothing."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from tunesmith.study.config.command_code import Imported, command_imports, command_scripts

_SOURCE = "src"
"""Folder in which a project that is installed in place has its packages."""
MAX_READ = 500
"""Number of Python files that are read for what they import."""


def command_files(command: str, project: Path, *, path: str = "") -> list[Path]:
    """Return the scripts, modules and packages (folders) of the project that a command names and that exist.

    Args:
        command: a command line of study.toml.
        project: the folder of study.toml.
        path: folders where Python looks for modules as well, as in PYTHONPATH.
    """
    scripts = [_within(project, name) for name in command_scripts(command)]
    more = [folder for folder in path.split(":") if folder]
    modules = [file for one in command_imports(command) for file in _named(one, project, more)]
    return [p for p in dict.fromkeys([*scripts, *modules]) if p.exists() and not project.is_relative_to(p)]


def imported_files(files: list[Path], project: Path) -> Iterator[Path]:
    """Yield Python files, and the project's modules that these import, also indirectly, each once."""
    waiting = [file for path in files for file in (path, path / "__init__.py", path / "__main__.py")]
    seen: set[Path] = set()
    while waiting and len(seen) < MAX_READ:
        file = waiting.pop(0)
        if file in seen or file.suffix != ".py" or not file.is_file():
            continue
        seen.add(file)
        yield file
        for node in ast.walk(parsed(file)):
            waiting += _imported(node, file, project)


def parsed(file: Path) -> ast.Module:
    """Return a file's syntax tree; an empty one where it cannot be read as Python."""
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _named(one: Imported, project: Path, more: list[str]) -> list[Path]:
    """Return the module that an import names, in the first folder that has it; a package is its folder."""
    for base in dict.fromkeys([*one.folders, *more, _SOURCE]):
        folder = _within(project, base)
        found = _module(folder, f"{one.module}.{one.name}") if one.name else None
        found = found or _module(folder, one.module)
        if found is not None and found.is_relative_to(project):
            return [found]
    return []


def _module(folder: Path, name: str) -> Path | None:
    path = folder.joinpath(*name.split("."))
    if "" in name.split("."):
        return None
    file = path.with_name(f"{path.name}.py")
    return file if file.is_file() else path if any(path.glob("*.py")) else None


def _imported(node: ast.AST, file: Path, project: Path) -> Iterator[Path]:
    """Yield the files that an import may run: the module's, those of its parents, and of a name taken from it."""
    if isinstance(node, ast.Import):
        bases, names = [file.parent, project], [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        bases = [file.parents[node.level - 1]] if 0 < node.level <= len(file.parents) else [file.parent, project]
        names = [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
    else:
        return
    for base in bases:
        for name in names:
            for count in range(1, name.count(".") + 2):
                path = base.joinpath(*name.split(".")[:count])
                yield from (path.with_name(f"{path.name}.py"), path / "__init__.py")
        yield base / "__init__.py" if isinstance(node, ast.ImportFrom) and node.level else file


def _within(project: Path, name: str) -> Path:
    return Path(os.path.normpath(project / os.path.expanduser(name)))
