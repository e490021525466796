"""Which names an edit may give to a file. Pure text; reads no file.

A name is printed, written to a diff and compared with the protected files, so one that a person, git or a file system
could read in two ways is refused: control and bidirectional characters, "..", names that differ from another file only
in case or by characters that look alike.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatch

MAX_PATH_CHARS = 200
"""Maximum length of the path of an edited file, relative to the project."""
MAX_NAME_CHARS = 100
"""Maximum length of one name in a new path."""

_NEW_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DEVICE_NAME = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_RUN_BY_TOOLS = frozenset(
    {"conftest.py", "setup.py", "sitecustomize.py", "usercustomize.py", "noxfile.py", "tasks.py", "fabfile.py",
     "dodo.py", "setup.cfg", "tox.ini", "pytest.ini", "pyproject.toml", "makefile", "gnumakefile", "dockerfile",
     "justfile", "package.json", "study.toml"}
)  # fmt: skip
"""Files that Python, pytest, pip, make, or Tunesmith itself run or read without being named in a command."""
_RUN_BY_TOOLS_SUFFIXES = (".pth", ".egg-link", ".so", ".pyd", ".dll", ".dylib", ".pyc", ".pyo")


def matches_pattern(path: str, pattern: str) -> bool:
    """Return whether a path matches a pattern such as train.py, lib or eval/*.py."""
    name = os.path.normpath(pattern)
    return path == name or path.startswith(f"{name}/") or fnmatch(path, name)


def path_problem(path: str) -> str:
    """Return why a path cannot be that of a file in the project; "" for a usable one."""
    if not path or len(path) > MAX_PATH_CHARS:
        return f"the path has {len(path):,} characters; 1 to {MAX_PATH_CHARS} are allowed"
    if not path.isprintable() or _has_surrogate(path):
        return "the path contains control or invisible characters"
    if path != unicodedata.normalize("NFC", path):
        return "the path is not in Unicode's composed form (NFC)"
    if "\\" in path or '"' in path:
        return 'the path contains a backslash or a quotation mark; separate folders by "/"'
    names = path.split("/")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        return "the path is absolute; give it relative to the project"
    if any(name in ("", ".", "..") for name in names):
        return 'the path contains "..", "." or an empty name; write it in its shortest form'
    if any(name != name.strip() for name in names):
        return "a name in the path begins or ends with a space"
    return ""


def new_path_problem(path: str, known: Iterable[str] = ()) -> str:
    """Return why an edit may not create a file; "" if it may.

    Args:
        path: of the new file.
        known: the files that exist, and the protected ones; their folders may have any name.
    """
    if problem := path_problem(path):
        return problem
    known = [name for name in known if name]
    folders = {folder for name in known for folder in _folders(name)}
    parts = path.split("/")
    fresh = [part for index, part in enumerate(parts) if "/".join(parts[: index + 1]) not in folders]
    if any(part.startswith(".") for part in parts) or "__pycache__" in parts:
        return "hidden files, and files in __pycache__, may not be created"
    if any(not _NEW_NAME.fullmatch(part) or len(part) > MAX_NAME_CHARS or part.endswith(".") for part in fresh):
        return f"a new name may have letters a to z, digits, '_', '-' and '.', at most {MAX_NAME_CHARS}; choose another"
    if any(_DEVICE_NAME.match(part) for part in fresh):
        return "the name is reserved on some systems; choose another"
    if parts[-1].lower() in _RUN_BY_TOOLS or path.lower().endswith(_RUN_BY_TOOLS_SUFFIXES):
        return f"{parts[-1]} would be run or read without being named; choose another name"
    return _twin_problem(path, known)


def looks_like(path: str) -> str:
    """Return a text that is equal for paths that differ only in case, in accents or in the width of characters."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", path).casefold())
    return "".join(character for character in folded if not unicodedata.combining(character))


def _twin_problem(path: str, known: Iterable[str]) -> str:
    """Return which known file or folder has a name that could be taken for the path.

    Python imports the package `data/` in place of the module `data.py`, so the two are twins as well.
    """
    known = list(known)
    files = {looks_like(name): name for name in known}
    folders = {looks_like(folder): folder for name in known for folder in _folders(name)}
    own = [*_folders(path), path]
    modules = [f"{folder}.py" for folder in _folders(path) if folder not in folders.values()]
    twins = [files.get(looks_like(name), "") for name in [*modules, *own]]
    twins += [folder for name in own if (folder := folders.get(looks_like(name), name)) != name]
    twin = next(filter(None, twins), "")
    return f"the name is too similar to {twin}; choose another" if twin else ""


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _has_surrogate(path: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in path)
