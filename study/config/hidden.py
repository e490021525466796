"""Keeps the hidden keys of [confirm] out of what models, trials and the history see of a study file.

Works on documents and on text; reads no file and knows no trial. Hidden are the command that judges at the end and the
data it reads (`ConfirmTable.HIDDEN_KEYS`): a search that knows them can fit them.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from tunesmith.study.config.tables.run import ConfirmTable

_TABLE = re.compile(r"^\s*\[\s*confirm\s*\]\s*(#.*)?$")
_ANY_TABLE = re.compile(r"^\s*\[")
_KEY = re.compile(r"^\s*(command|data)\s*=")
_SCRIPTS = (".py", ".sh", ".bash", ".zsh", ".jl", ".r", ".R", ".pl", ".rb", ".lua", ".js", ".mjs", ".ts", ".php", ".m")
_OPERATORS = set(";&|<>")


def without_hidden(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study file's content without the hidden keys; [confirm] itself stays."""
    table = document.get("confirm")
    if not isinstance(table, Mapping):
        return dict(document)
    kept = {key: value for key, value in table.items() if key not in ConfirmTable.HIDDEN_KEYS}
    return {name: kept if name == "confirm" else other for name, other in document.items()}


def hidden_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hidden keys of a study file with their values; {} without a command."""
    table = document.get("confirm")
    if not isinstance(table, Mapping) or not isinstance(table.get("command"), str):
        return {}
    return {key: table[key] for key in ConfirmTable.HIDDEN_KEYS if key in table}


def hidden_table_of(text: str) -> dict[str, Any]:
    """Return the hidden keys in the text of a study file; {} without any, and where it is not valid TOML."""
    try:
        return hidden_table(tomllib.loads(text.removeprefix("\ufeff")))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def without_hidden_text(text: str) -> str:
    """Return the text of a study file without the hidden keys; text without them is returned as it is.

    The lines of the keys go. Where what is left would mean another study, or a comment mentions the command or its
    data, the file is laid out anew without its comments.
    """
    hidden = hidden_table_of(text)
    if not hidden:
        return text
    whole = without_hidden(tomllib.loads(text.removeprefix("\ufeff")))
    left = _without_lines(text)
    try:
        found = tomllib.loads(left.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError):
        found = {}
    return left if found == whole and not any(word in left for word in _words(hidden)) else tomli_w.dumps(whole)


def with_hidden_text(text: str, hidden: Mapping[str, Any]) -> str:
    """Return the text of a study file with these hidden keys in its [confirm]; text that has some is returned as it is.

    Args:
        text: of a study file, as a model wrote it.
        hidden: as `hidden_table` returns them; {} for none.
    """
    if not hidden or hidden_table_of(text):
        return text
    lines = tomli_w.dumps(dict(hidden))
    kept = text.splitlines(keepends=True)
    for index, line in enumerate(kept):
        if _TABLE.match(line):
            end = "" if line.endswith("\n") else "\n"
            return "".join([*kept[: index + 1], end, lines, *kept[index + 1 :]])
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    if "confirm" in document:
        return tomli_w.dumps({**document, "confirm": {**document["confirm"], **hidden}})
    return f"{text.rstrip()}\n\n[confirm]\n{lines}"


def hidden_names(document: Mapping[str, Any]) -> list[str]:
    """Return the paths that only the hidden command may read: its data, and the scripts that no other command names."""
    hidden = hidden_table(document)
    if not hidden:
        return []
    others = [_command(document, table) for table in ("run", "evaluate", "test")]
    known = {script for command in others for script in command_scripts(command)}
    own = [script for script in command_scripts(hidden["command"]) if script not in known]
    data = hidden.get("data", [])
    return [*(name for name in data if isinstance(name, str)), *own] if isinstance(data, list) else own


def command_scripts(command: str) -> list[str]:
    """Return the paths of the scripts that a command runs: words with a script's suffix, and of `-m a.b` a/b.py.

    A program that is named by its path, as in `./judge {artifacts}`, is a script as well.
    Words with spaces may be commands of a shell, as in `bash -c 'cd tools && python judge.py'`, and are searched, too.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    found, folder = [], ""
    for before, word, after in zip([";", *words], words, [*words[1:], ""], strict=False):
        inner = _shell_scripts(word) if len(word.split()) > 1 else []
        is_program = set(before) <= _OPERATORS and word.startswith(("./", "../"))
        own = [word] if (word.endswith(_SCRIPTS) or is_program) and not _OPERATORS & set(word) else []
        own += [f"{after.replace('.', '/')}.py"] if word == "-m" and after else []
        found += [os.path.join(folder, name) for name in [*own, *inner]]
        folder = os.path.join(folder, after) if word == "cd" else folder
    return list(dict.fromkeys(found))


def _shell_scripts(text: str) -> list[str]:
    """Return the scripts that text for a shell runs; operators such as && and > part words there without spaces."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return command_scripts(shlex.join(lexer))
    except ValueError:
        return command_scripts(shlex.join(text.split()))


def _command(document: Mapping[str, Any], name: str) -> str:
    table = document.get(name)
    command = table.get("command") if isinstance(table, Mapping) else None
    return command if isinstance(command, str) else ""


def _words(hidden: Mapping[str, Any]) -> list[str]:
    """Return the texts that no comment may mention."""
    data = hidden.get("data", [])
    return [hidden["command"], *(name for name in data if isinstance(name, str) and name)]


def _without_lines(text: str) -> str:
    """Return the text without the lines of the hidden keys in the table [confirm], lists of several lines included."""
    kept: list[str] = []
    is_inside, depth = False, 0
    for line in text.splitlines(keepends=True):
        if depth > 0:
            depth += _depth(line)
            continue
        if _ANY_TABLE.match(line):
            is_inside = bool(_TABLE.match(line))
        if is_inside and _KEY.match(line):
            depth = _depth(line.partition("=")[2])
            continue
        kept.append(line)
    return "".join(kept)


def _depth(text: str) -> int:
    """Return how many brackets a piece of TOML opens beyond those it closes; texts in quotes do not count."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*", "", text)
    return bare.count("[") - bare.count("]")
