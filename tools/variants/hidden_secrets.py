"""Puts secrets back into edits: a model reads "[redacted]" in place of a key, and copies it into what it writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tunesmith.history.redact import HIDDEN, redact
from tunesmith.study.search_replace import split_lines
from tunesmith.study.variant import Edit, EditRefused


def with_secrets(edit: Edit, files: Mapping[str, str]) -> Edit:
    """Return an edit whose texts have the secrets of the file's lines in place of "[redacted]".

    Raises:
        EditRefused: it is not clear which secret is meant.
    """
    if HIDDEN not in edit.search + edit.replace:
        return edit
    secrets = list(_secret_lines(files.get(edit.path, "")))
    return replace(edit, search=_restored(edit.search, secrets), replace=_restored(edit.replace, secrets))


def _secret_lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each line that contains secrets as a model reads it, with the secrets in their order."""
    for line in split_lines(text):
        shown = redact(line)
        if shown != line:
            between = ("(.*?)".join(re.escape(part) for part in shown.split(HIDDEN)), line)
            found = re.fullmatch(*between)
            if found:
                yield shown, list(found.groups())


def _restored(text: str, secrets: list[tuple[str, list[str]]]) -> str:
    return "\n".join(_restored_line(line, secrets) if HIDDEN in line else line for line in text.split("\n"))


def _restored_line(line: str, secrets: list[tuple[str, list[str]]]) -> str:
    """Return a line with the secrets of the line that it shows, or of the one that has the same text before them."""
    before = line.split(HIDDEN)[0].strip()
    same = [values for shown, values in secrets if shown.strip() == line.strip()]
    alike = [values for shown, values in secrets if shown.split(HIDDEN)[0].strip() == before]
    count = line.count(HIDDEN)
    for values in (*same, *alike, *([secrets[0][1]] if len(secrets) == 1 else [])):
        if len(values) == count:
            parts = line.split(HIDDEN)
            return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))
    raise EditRefused(f"{HIDDEN} hides a secret that is not in this file; leave such lines out of the edit")
