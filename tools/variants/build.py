"""Makes a variant of edits: replaces text, lets it through the gate, and looks whether it is there already."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.study.config.load import parse_space
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import (
    COMBINE,
    Edit,
    EditRefused,
    Variant,
    VariantState,
    edited,
    root_of,
    short_id,
    unified,
    variant_id,
)
from tunesmith.tools.variants.ast_equivalence import equivalence_hash
from tunesmith.tools.variants.gate import GateRules, check, is_editable, option_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EditProposal:
    """Edits on one variant, with what their author says of them.

    Attributes:
        declared: further parameters that they read, as tables like those of [space].
    """

    edits: Sequence[Edit]
    author: str
    direction: str = "other"
    rationale: str = ""
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def make_variant(change: EditProposal, parent: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant:
    """Return the variant that a change makes of its parent; one that may not run says so in its state and reason.

    Args:
        change: the edits.
        parent: what they are made on.
        known: all variants of the study, by id.
        rules: what the gate knows.

    Raises:
        EditRefused: the edits cannot even be made.
    """
    new = {edit.path for edit in change.edits} - set(parent.files)
    files = edited(parent.files, change.edits, [p for p in new if is_editable(p, rules.editable, rules.protected)])
    return checked_variant(_laid_over(parent, files, change, known), parent, known, rules)


def cross_variants(first: Variant, second: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant | None:
    """Return `first` with the changes of `second` laid over it; None where they touch the same lines.

    What `second` changed is taken against the parent that it was made on, line by line.
    """
    origin = known.get(second.parent or "")
    if origin is None:
        return None
    try:
        pairs = [(path, origin.files.get(path, ""), text) for path, text in second.files.items()]
        edits = [edit for path, before, after in pairs for edit in _blocks(path, before, after)]
        files = edited(first.files, edits)
    except EditRefused:
        return None
    change = EditProposal(
        edits=edits,
        author="crossover",
        direction=COMBINE,
        rationale=f"{short_id(first.id)} with the change of {short_id(second.id)}: {second.rationale}",
        declared={**first.declared, **second.declared},
    )
    return checked_variant(_laid_over(first, files, change, known), first, known, rules)


def checked_variant(variant: Variant, parent: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant:
    """Return the variant with what the gate, and a look at all others, say of it."""
    verdict = check(variant, parent, rules)
    if verdict.problems:
        return replace(variant, state=VariantState.REFUSED, reason="; ".join(verdict.problems))
    said = equivalence_hash(variant.files)
    twin = next((v for v in known.values() if v.id == variant.id or equivalence_hash(v.files) == said), None)
    if twin is not None:
        which = "what it was made of" if twin.id == parent.id else f"variant {short_id(twin.id)}"
        reason = f"it says the same as {which}; propose something else"
        return replace(variant, state=VariantState.DUPLICATE, reason=reason)
    return replace(variant, warnings=verdict.warnings)


def space_of(variant: Variant, spec: StudySpec) -> SearchSpace:
    """Return the parameters of trials with this code: the study's, and those that the variant declares."""
    if not variant.declared:
        return spec.space
    return SearchSpace({**spec.space.parameters, **parse_space(variant.declared).parameters})


def command_of(variant: Variant, command: str) -> str:
    """Return the study's command with the options of the declared parameters."""
    return " ".join([command, *(word for name in variant.declared if (word := option_of(name, variant.files)))])


def _laid_over(
    parent: Variant, files: Mapping[str, str], change: EditProposal, known: Mapping[str, Variant]
) -> Variant:
    return Variant(
        id=variant_id(root_of(parent, known).id, files),
        parent=parent.id,
        files=files,
        diff=unified(parent.files, files),
        author=change.author,
        rationale=change.rationale,
        direction=change.direction,
        declared={**parent.declared, **change.declared},
    )


def _blocks(path: str, before: str, after: str) -> list[Edit]:
    """Return the difference of two texts as blocks, each with as many lines about it as make it unique."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    blocks = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(0):
        low, high, first, last = group[0][1], group[-1][2], group[0][3], group[-1][4]
        start, end = _unique_about(old, low, high)
        replacement = [*old[start:low], *new[first:last], *old[high:end]]
        blocks.append(Edit(path, "".join(old[start:end]), "".join(replacement)))
    return blocks


def _unique_about(lines: Sequence[str], low: int, high: int) -> tuple[int, int]:
    """Return the fewest lines about lines `low` to `high` that stand only once in the text."""
    text = "".join(lines)
    for around in range(len(lines) + 1):
        start, end = max(low - around, 0), min(high + around, len(lines))
        if start < end and text.count("".join(lines[start:end])) == 1:
            return start, end
    return 0, len(lines)
