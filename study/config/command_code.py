"""Which scripts and modules of a project a command line runs, by name. Reads no file."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_SCRIPTS = (".py", ".sh", ".bash", ".zsh", ".jl", ".r", ".R", ".pl", ".rb", ".lua", ".js", ".mjs", ".ts", ".php", ".m",
            ".ipynb")  # fmt: skip
_OPERATORS = set(";&|<>")
_PYTHON = re.compile(r"(python|pypy)[\d.]*t?")
_FLAGS = re.compile(r"-[bBdEiIOPqsSuvx]*([cmWX])(.*)", re.DOTALL)
"""Options of Python up to one that takes a word, which may follow it at once: -c, -uc, -mjudge."""
_LOADERS = frozenset({"import_module", "__import__", "run_module"})


@dataclass(frozen=True, slots=True)
class Imported:
    """A module that a command imports.

    Attributes:
        module: its dotted name.
        name: what is taken from it, which may be a module as well; "" for the module itself.
        folders: where it is looked for, relative to the project.
    """

    module: str
    name: str = ""
    folders: tuple[str, ...] = ("",)


def command_scripts(command: str) -> list[str]:
    """Return the paths of the scripts that a command runs: words with a script's suffix, and of `-m a.b` a/b.py.

    A program that is named by its path, as in `./judge {artifacts}`, is a script as well, as is what Python is given.
    Words with spaces may be commands of a shell, as in `bash -c 'cd tools && python judge.py'`, and are searched, too.
    """
    words = _words(command)
    found, folder = [], ""
    for index, word in enumerate(words):
        before, after = words[index - 1] if index else ";", words[index + 1] if index + 1 < len(words) else ""
        inner = _shell_scripts(word) if len(word.split()) > 1 else []
        is_program = set(before) <= _OPERATORS and word.startswith(("./", "../"))
        own = [word] if (word.endswith(_SCRIPTS) or is_program) and not _OPERATORS & set(word) else []
        own += [f"{after.replace('.', '/')}.py"] if word == "-m" and after else []
        own += [text for kind, text in _given_to_python(words[index:]) if kind == "script" and text not in own]
        found += [os.path.join(folder, name) for name in [*own, *inner]]
        folder = os.path.join(folder, after) if word == "cd" else folder
    return list(dict.fromkeys(found))


def command_imports(command: str) -> list[Imported]:
    """Return the modules that a command names: after -m, and in Python code such as that of -c 'import judge'."""
    words = _words(command)
    found: list[Imported] = []
    folders, folder = [""], ""
    for index, word in enumerate(words):
        after = words[index + 1] if index + 1 < len(words) else ""
        own = [Imported(after)] if word == "-m" and after else []
        own += [Imported(text) for kind, text in _given_to_python(words[index:]) if kind == "m"]
        for text in (word, *(text for kind, text in _given_to_python(words[index:]) if kind == "c")):
            own += _imports_in(text)
        if len(word.split()) > 1 and not own:
            own += command_imports(_shell_line(word))
        if word.startswith("PYTHONPATH="):
            folders += [part for part in word.removeprefix("PYTHONPATH=").split(":") if part]
        bases = tuple(dict.fromkeys(folders))
        found += [replace(one, folders=_below(folder, (*one.folders, *bases))) for one in own]
        folder = os.path.join(folder, after) if word == "cd" else folder
    return list(dict.fromkeys(found))


def import_names(command: str) -> list[str]:
    """Return the paths that the imported modules would have as files of the project, those of Python left out."""
    found: list[str] = []
    for one in command_imports(command):
        if one.module.partition(".")[0] in sys.stdlib_module_names:
            continue
        modules = [f"{one.module}.{one.name}", one.module] if one.name else [one.module]
        found += [os.path.join(base, f"{name.replace('.', '/')}.py") for name in modules for base in one.folders]
    return list(dict.fromkeys(found))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _shell_line(text: str) -> str:
    """Return text for a shell with spaces around operators such as && and >, which part words without them there."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return shlex.join(lexer)
    except ValueError:
        return shlex.join(text.split())


def _shell_scripts(text: str) -> list[str]:
    """Return the scripts that text for a shell runs."""
    return command_scripts(_shell_line(text))


def _given_to_python(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what Python, if that is the first word, is given: ("c", code), ("m", module) or ("script", path)."""
    if not words or not _PYTHON.fullmatch(os.path.basename(words[0])):
        return
    others = iter(words[1:])
    for word in others:
        flags = _FLAGS.fullmatch(word)
        if flags is not None:
            text = flags[2] or next(others, "")
            if flags[1] in "cm":
                yield flags[1], text
                return
        elif not word.startswith("-"):
            if len(word.split()) == 1 and not _OPERATORS & set(word):
                yield "script", word
            return


def _imports_in(text: str) -> list[Imported]:
    """Return the modules that Python code imports; none for other text."""
    if "import" not in text and not any(name in text for name in _LOADERS):
        return []
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    # Code may put folders into sys.path; a text that names no folder finds no module.
    folders = ("", *(name for name in texts if "\n" not in name and len(name.split()) == 1))
    found = [
        *(one for node in ast.walk(tree) for one in _imports_of(node)),
        *(i for t in texts for i in _imports_in(t)),
    ]
    return [replace(one, folders=folders) for one in found]


def _imports_of(node: ast.AST) -> Iterator[Imported]:
    if isinstance(node, ast.Import):
        yield from (Imported(alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (Imported(node.module, "" if alias.name == "*" else alias.name) for alias in node.names)
    elif isinstance(node, ast.Call) and node.args:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if name in _LOADERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield Imported(first.value)


def _below(folder: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.join(folder, name) for name in names))
