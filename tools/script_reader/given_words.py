"""Takes in the words of a command as a person starts the script: they become defaults, or stay as they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.reading import Setting

_OPTION = re.compile(r"^(?:--?|\+{0,2})([A-Za-z][\w./@-]*)(?:=(.*))?$", re.DOTALL)


def with_given(
    settings: Sequence[Setting], given: Sequence[str]
) -> tuple[list[Setting], tuple[str, ...], dict[str, str]]:
    """Return the settings with what the words give them, and the words that stay in the command.

    A number for a setting becomes its default; its word is returned by the setting's name, since it stays as well
    where the setting is not varied. Any other word stays, and its setting is not a setting any more.
    """
    numbers: dict[str, str] = {}
    kept: list[str] = []
    values: dict[str, str | None] = {}
    words = list(given)
    by_flag = {_flag(setting): setting for setting in settings if setting.word}
    while words:
        word = words.pop(0)
        match = _OPTION.match(word)
        setting = by_flag.get(match[1].replace("_", "-").lower()) if match else None
        if match is None or setting is None:
            kept.append(shlex.quote(word))
            continue
        value = match[2]
        if value is None and setting.kind != "bool" and words:
            value = words.pop(0)
        values[setting.name] = value
        if _typed(setting, value) is not None:
            numbers[setting.name] = setting.word.replace(f"{{{setting.name}}}", str(value))
        else:
            kept.append(shlex.quote(word))
            if value is not None and match[2] is None:
                kept.append(shlex.quote(value))
    changed = [
        replace(s, default=_typed(s, values[s.name])) if s.name in values else s
        for s in settings
        if s.name not in values or _typed(s, values[s.name]) is not None
    ]
    return [replace(s, required=False) if s.name in values else s for s in changed], tuple(kept), numbers


def _flag(setting: Setting) -> str:
    return re.split(r"[ ={?]", setting.word.lstrip("{"))[0].rpartition("?")[2].lstrip("-").replace("_", "-").lower()


def _typed(setting: Setting, text: str | None) -> Value:
    """Return the number that a word gives a setting; None for anything else."""
    if text is None or setting.kind not in ("int", "float"):
        return None
    try:
        return int(text) if setting.kind == "int" else float(text)
    except ValueError:
        return None
