"""What a trial's values become besides the command line: entries of files, environment variables. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import NAME, fill_words, placeholders
from tunesmith.study.space.condition import Value

Entry = TypeVar("Entry", bound=str | float)

_WHOLE = re.compile(rf"\{{({NAME})\}}")


def used_placeholders(spec: StudySpec) -> list[str]:
    """Return the placeholders of what runs: the command, [run.files], [run].env, and what is timed; each once."""
    entries = [str(entry) for table in spec.run.files.values() for entry in table.values()]
    bench = [spec.serve.bench] if spec.serve is not None else []
    timed = spec.evaluate.texts.values() if spec.evaluate is not None else []
    texts = [spec.run.command, *bench, *timed, *entries, *spec.run.env.values()]
    # The judge of time draws new inputs each time, so that a repetition is one on another seed.
    seed = ["seed"] if spec.evaluate is not None and spec.evaluate.is_time else []
    return list(dict.fromkeys([*(name for text in texts for name in placeholders(text)), *seed]))


def file_entries(
    spec: StudySpec, values: Mapping[str, Value], *, only_filled: bool = False
) -> dict[str, dict[str, Value]]:
    """Return what is written into each file, by path and key; an entry of an inactive parameter is left out.

    Args:
        spec: the study.
        values: of the placeholders.
        only_filled: whether entries without placeholders are left out as well.
    """
    return {
        path: {key: filled(entry, values) for key, entry in _active(table, values, only_filled=only_filled).items()}
        for path, table in spec.run.files.items()
    }


def environment(spec: StudySpec, values: Mapping[str, Value], *, only_filled: bool = False) -> dict[str, str]:
    """Return [run].env with its placeholders filled; the arguments are those of `file_entries`."""
    active = _active(spec.run.env, values, only_filled=only_filled)
    return {name: str(filled(text, values)) for name, text in active.items()}


def filled(entry: str | float, values: Mapping[str, Value]) -> Value:
    """Return an entry's value: of `{lr}` the number itself, of a text with more in it the text."""
    if not isinstance(entry, str):
        return entry
    if (whole := _WHOLE.fullmatch(entry)) and whole[1] in values:
        return values[whole[1]]
    return fill_words(entry, values)


def _active(table: Mapping[str, Entry], values: Mapping[str, Value], *, only_filled: bool) -> dict[str, Entry]:
    names = {key: placeholders(str(entry)) for key, entry in table.items()}
    return {
        key: entry
        for key, entry in table.items()
        if all(name in values for name in names[key]) and (names[key] or not only_filled)
    }
