"""Fills the placeholders of a command template: `{lr}`, and `{nesterov?--nesterov}` for switches. Starts no process.

    {name}          the value of the parameter
    {name?yes}      `yes` when the parameter is true, nothing when it is false
    {name?yes:no}   `yes` when it is true, `no` when it is false
    {instance.size} the column "size" of the instance
    {mix.code}      the share "code" of the mixture "mix"

A word whose parameter is inactive is left out, and so is the option before it: `--momentum {momentum}` disappears.
Other braces, such as those of JSON, stay as they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from tunesmith.study.formatting import render_exact
from tunesmith.study.space.condition import Value

NAME = r"(?:instance\.[^\W\d]\w*|(?<!\$\{)[^\W\d]\w*\.[^\W\d][\w-]*|[^\W\d]\w*)"
"""A placeholder's name: of a column of the instance, of a share of a mixture, or of one part.

`${model.name}` is none: Hydra and OmegaConf read it.
"""

_PLACEHOLDER = re.compile(rf"\{{({NAME})(\?[^{{}}]*)?\}}")


def placeholders(template: str) -> list[str]:
    """Return the names of the placeholders, in order, each once."""
    return list(dict.fromkeys(match[1] for match in _PLACEHOLDER.finditer(template)))


def argv(template: str, values: Mapping[str, Value]) -> list[str]:
    """Return the words of the command. A value never splits into several words.

    Raises:
        ValueError: a quote in the template is not closed.
    """
    words: list[str] = []
    for word in shlex.split(template):
        names = placeholders(word)
        if all(name in values for name in names):
            filled = fill_words(word, values)
            if filled or not names:
                words.append(filled)
        elif words and words[-1].startswith("-") and _PLACEHOLDER.fullmatch(word):
            words.pop()
    return words


def shell_line(template: str, values: Mapping[str, Value]) -> str:
    """Return the template as a line for a shell, with every value quoted; an inactive parameter becomes empty."""

    def quoted(match: re.Match[str]) -> str:
        name = match[1]
        if match[2] is None:
            return shlex.quote(render_exact(values[name])) if name in values else ""
        return _switch(match[2], bool(values.get(name)))

    return _PLACEHOLDER.sub(quoted, template)


def fill_words(word: str, values: Mapping[str, Value]) -> str:
    """Return a text with its placeholders replaced, which all have values."""
    return _PLACEHOLDER.sub(
        lambda m: render_exact(values[m[1]]) if m[2] is None else _switch(m[2], bool(values[m[1]])), word
    )


def _switch(spelling: str, is_on: bool) -> str:
    yes, _, no = spelling[1:].partition(":")
    return yes if is_on else no
