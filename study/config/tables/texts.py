"""Text parameters of [space]: files of the project that a model rewrites, such as a prompt. Reads no file.

A text is an editable file whose versions are edits: the history keeps each once, and its trials name it. In the space
it is a choice among the given files, so that samplers, tables and commands need not know of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.study.config.tables.field_types import project_file
from tunesmith.study.edit_paths import matches_pattern, path_problem
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean

TEXT = "text"
"""Type of a text parameter in [space]."""
OUTPUTS = "outputs.jsonl"
"""File in {artifacts} in which a trial says how it did on each example, where nothing else is named."""
_KEYS = ("type", "file", "outputs", "help", "when")
_SHAPE = 'expected the name of a file in the project, for example file = "prompt.md"'


@dataclass(frozen=True, slots=True)
class TextParameter:
    """A text that a model rewrites.

    Attributes:
        name: of the parameter; `{name}` in a command is the path of its file in the trial's copy.
        files: the given texts, of which the first is the default.
        outputs: the file in {artifacts} with a line for each example.
    """

    name: str
    files: tuple[str, ...]
    outputs: str = OUTPUTS


def text_parameters(document: Mapping[str, Any]) -> tuple[TextParameter, ...]:
    """Return the text parameters of a study file without mistakes."""
    return tuple(
        TextParameter(name, tuple(_listed(entry["file"])), entry.get("outputs", OUTPUTS))
        for name, entry in _entries(document).items()
    )


def with_texts_as_files(document: Mapping[str, Any], found: list[Mistake]) -> Mapping[str, Any]:
    """Return the document with each text as a choice among its files, which [edits] may change; collect mistakes."""
    entries = _entries(document)
    if not entries:
        return document
    mistakes = [m for name, entry in entries.items() for m in _mistakes(f"space.{name}", entry)]
    mistakes = mistakes or [*_shared_file_mistakes(entries), *_locked_file_mistakes(entries, document.get("edits"))]
    found += mistakes
    if mistakes:
        # A stand-in, so that the rest of the file is checked as well.
        stand_ins = {name: {"type": "choice", "choices": [name]} for name in entries}
        return {**document, "space": {**document["space"], **stand_ins}}
    choices = {name: _as_choice(entry) for name, entry in entries.items()}
    files = [file for entry in entries.values() for file in _listed(entry["file"])]
    edits = document.get("edits")
    if edits is None:
        edits = {"files": list(dict.fromkeys(files)), "strategy": "front"}
    elif isinstance(edits, Mapping) and isinstance(edits.get("files", []), list):
        edits = {**edits, "files": list(dict.fromkeys([*edits.get("files", []), *files]))}
    return {**document, "space": {**document["space"], **choices}, "edits": edits}


def _entries(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    space = document.get("space", {})
    tables = space.items() if isinstance(space, Mapping) else ()
    return {name: entry for name, entry in tables if isinstance(entry, Mapping) and entry.get("type") == TEXT}


def _as_choice(entry: Mapping[str, Any]) -> dict[str, Any]:
    files = _listed(entry["file"])
    others = {key: entry[key] for key in ("help", "when") if key in entry}
    return {"type": "choice", "choices": files, "default": files[0], **others}


def _listed(value: Any) -> list[str]:
    return [project_file(name) for name in ([value] if isinstance(value, str) else value)]


def _mistakes(key: str, entry: Mapping[str, Any]) -> Sequence[Mistake]:
    found = [
        Mistake(f"{key}.{name}", f"unknown key for type {TEXT}{did_you_mean(name, _KEYS)}")
        for name in entry
        if name not in _KEYS
    ]
    if "file" not in entry:
        return [*found, Mistake(f"{key}.file", f"is missing; {_SHAPE}")]
    for name in ("file", "outputs"):
        value = entry.get(name, OUTPUTS)
        texts = value if isinstance(value, list) and name == "file" else [value]
        if not texts or not all(isinstance(text, str) and text and _is_in_project(text) for text in texts):
            shape = _SHAPE if name == "file" else "expected the name of a file below {artifacts}"
            found.append(Mistake(f"{key}.{name}", f"{render_literal(value)} is not valid here; {shape}"))
        elif len(set(texts)) < len(texts):
            found.append(Mistake(f"{key}.{name}", f"lists a file twice: {render_literal(value)}; remove one"))
    return found


def _shared_file_mistakes(entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Mistake]:
    """Yield each file that two texts name: a version of one would change the other as well."""
    owners: dict[str, str] = {}
    for name, entry in entries.items():
        for file in _listed(entry["file"]):
            if owners.setdefault(file, name) != name:
                text = f"{render_literal(file)} is a text of {owners[file]} already; give each its own file"
                yield Mistake(f"space.{name}.file", text)


def _locked_file_mistakes(entries: Mapping[str, Mapping[str, Any]], edits: Any) -> Iterator[Mistake]:
    """Yield each file of which every version would be refused: one that is protected, or has a name that may not be."""
    protect = edits.get("protect", []) if isinstance(edits, Mapping) else []
    patterns = [pattern for pattern in protect if isinstance(pattern, str)] if isinstance(protect, list) else []
    for name, entry in entries.items():
        for file in _listed(entry["file"]):
            if problem := path_problem(file):
                yield Mistake(f"space.{name}.file", f"{render_literal(file)} could not be rewritten: {problem}")
            elif locked := next((p for p in patterns if matches_pattern(file, p)), ""):
                text = (
                    f"{render_literal(file)} may not change, says [edits].protect {render_literal(locked)}; remove one"
                )
                yield Mistake(f"space.{name}.file", text)


def _is_in_project(name: str) -> bool:
    try:
        project_file(name)
    except ValueError:
        return False
    return not any(c in name for c in "*?[")
