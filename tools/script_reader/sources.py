"""Loads a training script with the modules of its project that it imports. Parses; never imports or runs them."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tunesmith.evaluator.filling import notebook, python_source
from tunesmith.study.errors import ProjectError
from tunesmith.tools.script_reader.literals import constants

MAX_MODULES = 40
"""Number of modules of the project that are read."""
MAX_MODULE_BYTES = 400_000
"""Size of a module beyond which it is not read."""
MAX_PACKAGE_FILES = 150
"""Number of files from which a package is a library that is installed."""
MAX_ABOVE = 3
"""Number of folders above the script's own in which the project's root is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A Python file. `path` is relative to the project's root."""

    path: str
    file: Path
    tree: ast.Module
    names: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A script and what it imports from its project.

    Attributes:
        root: the folder that the script is started from.
        script: the script's path, relative to the root.
        modules: the script first, then the modules that it imports.
        given: further words of the command, as a person starts it.
    """

    root: Path
    script: str
    modules: tuple[Module, ...]
    given: tuple[str, ...] = ()

    @property
    def main(self) -> Module:
        """The script itself."""
        return self.modules[0]

    @property
    def is_notebook(self) -> bool:
        """Whether the script is a Jupyter notebook."""
        return self.script.endswith(".ipynb")

    def imports(self, *packages: str) -> bool:
        """Return whether the script or a module imports one of these packages."""
        return any(package in packages for module in self.modules for package, _ in imported(module.tree))

    def find_class(self, name: str) -> tuple[Module, ast.ClassDef] | None:
        """Return the class of this name, and the module that defines it."""
        return next(
            (
                (module, node)
                for module in self.modules
                for node in ast.walk(module.tree)
                if isinstance(node, ast.ClassDef) and node.name == name
            ),
            None,
        )

    def find_function(self, name: str) -> tuple[Module, ast.FunctionDef] | None:
        """Return the function of this name, and the module that defines it."""
        return next(
            (
                (module, node)
                for module in self.modules
                for node in ast.walk(module.tree)
                if isinstance(node, ast.FunctionDef) and node.name == name
            ),
            None,
        )


def load_sources(path: Path, given: tuple[str, ...] = (), root: Path | None = None) -> Sources:
    """Return the script and the modules that it imports from its project.

    Args:
        path: of the script or notebook.
        given: further words of its command.
        root: the folder that it is started from; found out if left out.

    Raises:
        ProjectError: the script is missing, or is not valid Python.
    """
    script = path.absolute()
    tree = _parsed(script, path)
    root = _root(script, tree) if root is None else root.absolute()
    modules = [_module(root, script, tree)]
    modules += _instantiated(root, tree)
    waiting, seen = deque(modules), {module.file for module in modules}
    while waiting and len(modules) < MAX_MODULES:
        module = waiting.popleft()
        for file in _imported_files(root, script.parent, module):
            if file in seen or len(modules) >= MAX_MODULES:
                continue
            seen.add(file)
            found = _readable(file)
            if found is not None:
                modules.append(_module(root, file, found))
                waiting.append(modules[-1])
    return Sources(root=root, script=str(script.relative_to(root)), modules=tuple(modules), given=given)


def _instantiated(root: Path, tree: ast.Module) -> list[Module]:
    """Return the modules whose classes a Hydra configuration names as `_target_`."""
    if not any(package in ("hydra", "omegaconf") for package, _ in imported(tree)):
        return []
    found: dict[Path, Module] = {}
    for folder in ("conf", "config", "configs"):
        for file in sorted((root / folder).rglob("*.y*ml"))[:MAX_MODULES]:
            for match in re.finditer(
                r"_target_:\s*[\"']?([\w.]+)\.\w+", file.read_text(encoding="utf-8", errors="replace")
            ):
                for path in _files_of((root,), match[1].split(".")):
                    if path not in found and (parsed := _readable(path)) is not None:
                        found[path] = _module(root, path, parsed)
    return list(found.values())


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the top package and the whole dotted name of each absolute import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.module
            yield from ((node.module.partition(".")[0], f"{node.module}.{alias.name}") for alias in node.names)


def _module(root: Path, file: Path, tree: ast.Module) -> Module:
    return Module(path=str(file.relative_to(root)), file=file, tree=tree, names=constants(tree))


def _parsed(script: Path, shown: Path) -> ast.Module:
    text = _text(script, shown)
    try:
        return python_source.parse(notebook.code(text) if script.suffix == ".ipynb" else text)
    except SyntaxError as error:
        raise ProjectError(f"{shown} is not valid Python: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        kind = "notebook" if script.suffix == ".ipynb" else "Python"
        raise ProjectError(f"{shown} is not valid {kind}: {error}") from None


def _text(script: Path, shown: Path) -> str:
    try:
        return script.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(f"{shown} does not exist; give the path of the training script") from None
    except IsADirectoryError:
        raise ProjectError(f"{shown} is a folder; give the training script in it") from None
    except UnicodeDecodeError:
        raise ProjectError(f"{shown} is not a Python script: it is not UTF-8 text") from None
    except OSError as error:
        raise ProjectError(f"{shown} cannot be read: {error.strerror}") from None


def _root(script: Path, tree: ast.Module) -> Path:
    """Return the folder that the script is started from: its own, or one above that its imports or files need."""
    packages = {package for package, _ in imported(tree)}
    own = script.parent
    needs = {package for package in packages if not _has_module(own, package)}
    for folder in list(own.parents)[:MAX_ABOVE]:
        if folder == folder.parent or folder in (Path.home(), Path("/tmp")):  # noqa: S108  # a folder, not a file in it
            break
        if any(_is_small_package(folder / package) or (folder / f"{package}.py").is_file() for package in needs):
            return folder
        if folder / "configs" in _hydra_folders(script, tree):
            return folder
    return own


def _is_small_package(folder: Path) -> bool:
    """Return whether a folder is a package of the project, not a library that its examples show."""
    return folder.is_dir() and 0 < sum(1 for _ in islice(folder.rglob("*.py"), MAX_PACKAGE_FILES)) < MAX_PACKAGE_FILES


def _hydra_folders(script: Path, tree: ast.Module) -> set[Path]:
    """Return the folders above the script's own in which Hydra looks for its configuration."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "config_path" and isinstance(node.value, ast.Constant):
            text = str(node.value.value)
            if text.startswith(".."):
                folder = (script.parent / text).resolve()
                found |= {folder, folder.parent / "configs"}
    return found


def _has_module(folder: Path, package: str) -> bool:
    return (folder / f"{package}.py").is_file() or (folder / package).is_dir()


def _imported_files(root: Path, home: Path, module: Module) -> Iterator[Path]:
    """Yield the files of the project that a module imports."""
    for _, dotted in imported(module.tree):
        yield from _files_of((home, root), dotted.split("."))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level and node.level <= len(module.file.parents):
            base = module.file.parents[node.level - 1]
            parts = (node.module or "").split(".") if node.module else []
            yield from _files_of((base,), parts)
            for alias in node.names:
                yield from _files_of((base,), [*parts, alias.name])


def _files_of(folders: tuple[Path, ...], parts: list[str]) -> Iterator[Path]:
    for folder in folders:
        file = folder.joinpath(*parts)
        for candidate in (file.with_suffix(".py"), file / "__init__.py"):
            if parts and candidate.is_file() and candidate.is_relative_to(folders[-1]):
                yield candidate


def _readable(file: Path) -> ast.Module | None:
    try:
        if file.stat().st_size > MAX_MODULE_BYTES:
            return None
        return python_source.parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
