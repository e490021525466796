"""Keeps the hidden keys of [confirm] out of what models, trials and the history see of a study file.

Works on documents and on text; reads no file and knows no trial. Hidden are the command that judges at the end and the
data it reads (`ConfirmTable.HIDDEN_KEYS`): a search that knows them can fit them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from tunesmith.study.config.command_code import command_scripts, import_names
from tunesmith.study.config.tables.run import ConfirmTable

_TABLE = re.compile(r"^\s*\[\s*confirm\s*\]\s*(#.*)?$")
_ANY_TABLE = re.compile(r"^\s*\[")
_KEY = re.compile(r"^\s*(command|data)\s*=")


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


def hidden_data(document: Mapping[str, Any]) -> list[str]:
    """Return the paths of the data that only the hidden command may read."""
    data = hidden_table(document).get("data", [])
    return [name for name in data if isinstance(name, str)] if isinstance(data, list) else []


def hidden_names(document: Mapping[str, Any]) -> list[str]:
    """Return the paths that only the hidden command may read: its data, and the code that no other command names.

    Modules that it imports are named as the files that they would be; which of them exist is not known here.
    """
    hidden = hidden_table(document)
    if not hidden:
        return []
    known = {name for command in other_commands(document) for name in _code_names(command)}
    own = [name for name in _code_names(hidden["command"]) if name not in known]
    return [*hidden_data(document), *own]


def other_commands(document: Mapping[str, Any]) -> list[str]:
    """Return the commands of a study file that are not hidden."""
    return [_command(document, table) for table in ("run", "evaluate", "test")]


def _code_names(command: str) -> list[str]:
    return list(dict.fromkeys([*command_scripts(command), *import_names(command)]))


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
