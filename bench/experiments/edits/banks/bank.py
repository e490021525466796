"""A bank: a small project, recorded ideas for its code, and what each was measured to be worth. Plain data."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tunesmith.study.config.load import load_spec
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.rules import gate_rules

HERE = Path(__file__).resolve().parent
PROJECTS: Mapping[str, Path] = {
    "charlm": HERE.parents[3] / "examples" / "charlm",
    "vision": HERE / "vision",
    "boosting": HERE / "boosting",
}
FILE = "train.py"
MEASURED = tuple(name for name in PROJECTS if (HERE / name / "measured.json").exists())
"""The projects whose bank was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An idea as a model answered it, and what the gate says to it on the project's own code.

    Attributes:
        kind: what it was written to be: good, neutral, bad, broken, cheating or duplicate.
        same_as: the idea that it repeats in other words; "" for none or for the code as it is.
        params: the configuration that it was written for, where that differs from the default.
        state: whether it may run.
        reason: why not.
    """

    name: str
    kind: str
    edits: tuple[Edit, ...]
    params: Mapping[str, Any]
    same_as: str
    state: VariantState
    reason: str


def documents(project: str) -> list[dict[str, Any]]:
    """Return the recorded answers for a project, in the order in which a strong model would give them."""
    lists = [_candidates(HERE / project / "ideas.toml")]
    if project == "charlm":
        lists.append(_candidates(HERE.parent / "charlm_edits.toml"))
    return [one for group in zip_longest(*lists) for one in group if one is not None]


def recorded_ideas(project: str) -> list[Recorded]:
    """Return the ideas for a project after the gate."""
    folder = PROJECTS[project]
    rules = gate_rules(load_spec(folder), folder)
    root = Variant(id="0" * 16, files={FILE: (folder / FILE).read_text(encoding="utf-8")})
    known, found = {root.id: root}, []
    for document in documents(project):
        edits = tuple(Edit(**block) for block in document["edits"])
        try:
            made = make_variant(EditProposal(edits=edits, author="llm"), root, known, rules)
        except EditRefused as refused:
            made = Variant(id="", state=VariantState.REFUSED, reason=str(refused))
        if made.state is VariantState.SOUND:
            known[made.id] = made
        found.append(
            Recorded(
                name=document["name"],
                kind=document["kind"],
                edits=edits,
                params=document.get("params", {}),
                same_as=document.get("of", ""),
                state=made.state,
                reason=made.reason,
            )
        )
    return found


def edited_source(project: str, ideas: Sequence[Recorded]) -> str | None:
    """Return train.py with ideas applied one after the other; None where a text that one replaces is not there once."""
    source = (PROJECTS[project] / FILE).read_text(encoding="utf-8")
    for edit in (edit for idea in ideas for edit in idea.edits):
        if source.count(edit.search) != 1:
            return None
        source = source.replace(edit.search, edit.replace)
    return source


def fits(project: str, ideas: Sequence[Recorded]) -> bool:
    """Return whether ideas can be put one upon the other."""
    return edited_source(project, ideas) is not None


def measured(project: str) -> dict[str, Any]:
    """Return what measure.py found for a project."""
    found: dict[str, Any] = json.loads((HERE / project / "measured.json").read_text(encoding="utf-8"))
    return found


def _candidates(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["candidates"]
    return found
