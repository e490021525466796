"""Finds what no trial may see: data for a judge only ([evaluate], [test] and [confirm] have `data`), and histories.

Of [confirm] the scripts and modules of its command are private as well, and no message names either. Nothing of all
this is copied into a workspace, and the sandbox hides it wherever it shows a folder around it. Looks at files; changes
none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.evaluator.files.command_files import command_files, imported_files
from tunesmith.evaluator.sandbox.mounts import is_too_wide
from tunesmith.study.config.hidden import hidden_data, hidden_table, other_commands
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError

JUDGE, TEST, HIDDEN = "judge", "test", "hidden"
"""Names of the folders in which [evaluate], [test] and the command of [confirm] run."""
TEXT_JUDGE = "text_judge"
"""The name for the files of [judge], which no command of a trial reads."""
MAX_STUDY_FILES = 100
"""Number of study files of a project whose hidden data is kept from trials."""
SIDECARS = ("-wal", "-shm", "-journal", ".lock")
"""What is appended to a history's name for the files next to it: SQLite's, which hold its newest rows, and our lock."""
_SQLITE = b"SQLite format 3\0"
_TABLES = (b"studies", b"trials", b"observations")
_OUR_TABLE = re.compile(rb"create table [\"'`\[]?(studies|trials|observations)\b")
_RUNS = "has a file that [run].command runs, and trials do not have the data; remove it there"
_SCHEMA_BYTES = 2**20
"""Bytes at the beginning of a database in which the descriptions of its tables are looked for."""


def judge_data(spec: StudySpec, project: Path) -> dict[str, dict[str, Path]]:
    """Return the files and folders for the command in each folder, by the name in study.toml.

    Raises:
        ProjectError: one does not exist, holds far more than data, or is what trials run or are shown.
    """
    tables = {JUDGE: spec.evaluate, TEST: spec.test}
    found: dict[str, dict[str, Path]] = {}
    shown, run = _shown(spec, project), command_files(spec.run.command, project)
    for folder, table in tables.items():
        key = "[evaluate].data" if folder == JUDGE else "[test].data"
        found[folder] = {name: _existing(name, project, key) for name in (table.data if table else ())}
        for name, path in found[folder].items():
            if any(is_within(file, [path]) for file in run):
                raise ProjectError(f"{key}: {name} {_RUNS}")
            if _is_shown(path, shown):
                raise ProjectError(f"{key}: {name} is shown to every trial by [run].data; remove it there")
    found[HIDDEN] = _hidden_data(spec, project)
    names = spec.judge.private_files if spec.judge else []
    found[TEXT_JUDGE] = {name: _existing(name, project, "[judge]") for name in names}
    return found


def _hidden_data(spec: StudySpec, project: Path) -> dict[str, Path]:
    """Return the data of [confirm] by name; messages give places in the list, since models read them."""
    found: dict[str, Path] = {}
    shown = _shown(spec, project)
    for index, name in enumerate(spec.confirm.data if spec.confirm else (), start=1):
        path, where = _path(name, project), f"[confirm].data: entry {index}"
        if not path.exists():
            raise ProjectError(f"{where} does not exist; correct its path or remove it")
        if _is_more_than_data(path, project):
            raise ProjectError(f"{where} is far more than data; name a file or folder within it")
        if any(is_within(file, [path]) for file in command_files(spec.run.command, project)):
            raise ProjectError(f"{where} {_RUNS}")
        if _is_shown(path, shown):
            raise ProjectError(f"{where} is shown to every trial by [run].data; remove it there")
        found[name] = path
    return found


def hidden_scripts(spec: StudySpec, project: Path) -> dict[str, Path]:
    """Return the files of code in the project that only the command of [confirm] runs, by their relative path."""
    data = [_path(name, project) for name in hidden_data(spec.document)]
    found = [path for path in _hidden_code(spec.document, project) if path.is_relative_to(project)]
    files = [file for path in found for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    kept = [p for p in files if p.is_file() and p.parent.name != "__pycache__" and not is_within(p, data)]
    return {str(p.relative_to(project)): p for p in kept}


def hidden_paths(project: Path) -> list[Path]:
    """Return what the study files at the top of a project keep for the command of [confirm]: data and code.

    Every study file counts, not only the one that runs: its trials run from a copy of the whole project.
    """
    found: list[Path] = []
    for file in sorted(project.glob("*.toml"))[:MAX_STUDY_FILES]:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            continue
        found += [_path(name, project) for name in hidden_data(document)]
        found += _hidden_code(document, project)
    return _with_targets(found)


def _hidden_code(document: Mapping[str, Any], project: Path) -> list[Path]:
    """Return the scripts, modules and packages that the command of [confirm] names and no other command runs.

    What another command's code imports is needed there, so it is not hidden.
    """
    command = hidden_table(document).get("command")
    if command is None:
        return []
    path = _python_path(document)
    own = command_files(command, project, path=path)
    others = [file for other in other_commands(document) for file in command_files(other, project, path=path)]
    known = [*others, *imported_files(others, project)] if own else []
    return [path for path in own if not any(file.is_relative_to(path) for file in known)]


def _python_path(document: Mapping[str, Any]) -> str:
    run = document.get("run")
    variables = run.get("env") if isinstance(run, Mapping) else None
    found = variables.get("PYTHONPATH") if isinstance(variables, Mapping) else None
    return found if isinstance(found, str) else ""


def private_paths(data: Mapping[str, Mapping[str, Path]]) -> list[Path]:
    """Return every path of such data, as it was written and with links resolved."""
    return _with_targets([path for names in data.values() for path in names.values()])


def configured_paths(spec: StudySpec, project: Path) -> list[Path]:
    """Return the same paths from study.toml, whether or not they exist, and those that `hidden_paths` finds."""
    names = [name for table in (spec.evaluate, spec.test, spec.confirm) if table for name in table.data]
    names += spec.judge.private_files if spec.judge else []
    return list(dict.fromkeys([*_with_targets([_path(name, project) for name in names]), *hidden_paths(project)]))


def _with_targets(paths: Sequence[Path]) -> list[Path]:
    """Return paths as they are written and with links resolved, each once."""
    return list(dict.fromkeys([*paths, *map(Path, map(os.path.realpath, paths))]))


def _shown(spec: StudySpec, project: Path) -> list[Path]:
    """Return what [run].data shows to every trial, with links resolved."""
    return [Path(os.path.realpath(project / os.path.expanduser(text))) for text in spec.run.data]


def _is_shown(path: Path, shown: Iterable[Path]) -> bool:
    return any(is_within(other, [path, Path(os.path.realpath(path))]) for other in shown)


def is_within(path: Path, tops: Iterable[Path]) -> bool:
    """Return whether a path is one of these or lies below one, also with its links resolved."""
    real = Path(os.path.realpath(path))
    return any(path.is_relative_to(top) or real.is_relative_to(top) for top in tops)


def with_sidecars(history: Path) -> list[Path]:
    """Return a history file and the files next to it."""
    return [history, *(history.with_name(history.name + suffix) for suffix in SIDECARS)]


def is_history(path: Path) -> bool:
    """Return whether a file is a history of Tunesmith, under any name, or belongs to one."""
    base = next((path.name.removesuffix(end) for end in SIDECARS if path.name.endswith(end)), None)
    if base is not None:
        return _is_history_file(path.with_name(base))
    return _is_history_file(path)


def study_folders(parent: Path) -> list[Path]:
    """Return the folders of studies in a folder, which lie next to their history."""
    try:
        return [Path(entry.path) for entry in os.scandir(parent) if is_study_folder(entry.path)]
    except OSError:
        return []


def is_study_folder(path: str | Path) -> bool:
    """Return whether a folder is one in which Tunesmith keeps a study's trials."""
    return all(os.path.isdir(os.path.join(path, *parts)) for parts in (("snapshots",), ("trials", "0000")))


def _is_history_file(path: Path) -> bool:
    """Return whether a file is a database with our tables. A new one has them only in the file that SQLite adds."""
    if _beginning(path, len(_SQLITE)) != _SQLITE:
        return False
    text = _beginning(path, _SCHEMA_BYTES) + _beginning(path.with_name(f"{path.name}-wal"), _SCHEMA_BYTES)
    return set(_OUR_TABLE.findall(text.lower())) == set(_TABLES)


def _beginning(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def _path(name: str, project: Path) -> Path:
    return Path(os.path.normpath(project / os.path.expanduser(name)))


def _existing(name: str, project: Path, key: str) -> Path:
    path = _path(name, project)
    if not path.exists():
        raise ProjectError(f"{key}: {path} does not exist; correct the path or remove it")
    if _is_more_than_data(path, project):
        raise ProjectError(f"{key}: {path} is far more than data; name a file or folder within it")
    return path


def _is_more_than_data(path: Path, project: Path) -> bool:
    return project.is_relative_to(path) or is_too_wide(path) or is_too_wide(path.resolve())


def links_in_project(data: Mapping[str, Path], project: Path) -> dict[str, Path]:
    """Return what lies in the project, by its relative path: there, a copy of the project needs a link to it."""
    inside = {path: path.relative_to(project) for path in data.values() if path.is_relative_to(project)}
    return {str(relative): Path(os.path.realpath(path)) for path, relative in inside.items()}


def stamps(paths: Sequence[Path]) -> str:
    """Return text that changes when one of these files changes."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    found = [(str(file), file.stat()) for file in files if file.is_file()]
    return "\n".join(f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in found)
