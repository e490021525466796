"""Builds a variant: applies edits to its parent's files, checks them at the gate, and looks for equivalent variants."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.study.formatting import render_literal
from tunesmith.study.search_replace import split_lines_with_ends
from tunesmith.study.variant import (
    COMBINE,
    Edit,
    EditRefused,
    Variant,
    VariantState,
    apply_edits,
    root_variant,
    short_id,
    unified_diff,
    variant_id,
)
from tunesmith.tools.variants.ast_equivalence import equivalence_hash
from tunesmith.tools.variants.constants import kept_declarations
from tunesmith.tools.variants.gate import check
from tunesmith.tools.variants.hidden_secrets import with_secrets
from tunesmith.tools.variants.rules import GateRules


@dataclass(frozen=True, slots=True, kw_only=True)
class EditProposal:
    """Edits on one variant, with their author's description.

    Attributes:
        declared: new parameters that the edited code reads, as tables like those of [space].
    """

    edits: Sequence[Edit]
    author: str
    direction: str = "other"
    rationale: str = ""
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def make_variant(proposal: EditProposal, parent: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant:
    """Return the variant that a proposal makes of its parent; `state` and `reason` tell whether it may run.

    Args:
        proposal: the edits.
        parent: the variant that is edited.
        known: all variants of the study, by id.
        rules: what the gate knows.

    Raises:
        EditRefused: the edits cannot be applied to the parent's files.
    """
    new_paths = {edit.path for edit in proposal.edits} - set(parent.files)
    for path in sorted(new_paths, key=repr):
        if rules.is_editable(path) and (problem := rules.new_file_problem(path, parent.files)):
            raise EditRefused(f"{render_literal(path)} cannot be created: {problem}")
    edits = [with_secrets(edit, parent.files) for edit in proposal.edits]
    files = apply_edits(parent.files, edits, [path for path in new_paths if rules.is_editable(path)])
    return _checked(_unchecked(parent, files, proposal, known), parent, known, rules)


def cross_variants(first: Variant, second: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant | None:
    """Return `first` with the changes that `second` made to its own parent; None where both change the same lines."""
    rationale = f"{short_id(first.id)} with the change of {short_id(second.id)}: {second.rationale}"
    return _with_changes(first, second, known, rules, author="crossover", direction=COMBINE, rationale=rationale)


def move_edit(edit: Variant, onto: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant | None:
    """Return an edit made on another version than it was written for; None where both change the same lines.

    It stays its author's edit, with the settings that it was written for. Its prediction was for the other version.
    """
    return _with_changes(
        onto, edit, known, rules, author=edit.author, direction=edit.direction, rationale=edit.rationale
    )


def _with_changes(  # noqa: PLR0913  # the three words of the new variant
    first: Variant,
    second: Variant,
    known: Mapping[str, Variant],
    rules: GateRules,
    *,
    author: str,
    direction: str,
    rationale: str,
) -> Variant | None:
    origin = known.get(second.parent or "")
    if origin is None:
        return None
    try:
        pairs = [(path, origin.files.get(path, ""), text) for path, text in second.files.items()]
        edits = [edit for path, before, after in pairs for edit in _unique_edits(path, before, after)]
        created = [path for path in second.files if path not in origin.files]
        files = apply_edits(first.files, edits, created)
    except EditRefused:
        return None
    proposal = EditProposal(
        edits=edits,
        author=author,
        direction=direction,
        rationale=rationale,
        declared=kept_declarations(second.declared, second.files, files),
    )
    changed = replace(_unchecked(first, files, proposal, known), joined=second.id, params=second.params)
    return _checked(changed, first, known, rules)


def _unchecked(
    parent: Variant, files: Mapping[str, str], proposal: EditProposal, known: Mapping[str, Variant]
) -> Variant:
    return Variant(
        id=variant_id(root_variant(parent, known).id, files),
        parent=parent.id,
        files=files,
        diff=unified_diff(parent.files, files),
        author=proposal.author,
        rationale=proposal.rationale,
        direction=proposal.direction,
        declared={**kept_declarations(parent.declared, parent.files, files), **proposal.declared},
    )


def _checked(variant: Variant, parent: Variant, known: Mapping[str, Variant], rules: GateRules) -> Variant:
    """Return the variant with its state: refused by the gate, a duplicate of a known variant, or allowed to run."""
    result = check(variant, parent, rules)
    if result.problems:
        return replace(variant, state=VariantState.REFUSED, reason="; ".join(result.problems))
    own_hash = equivalence_hash(variant.files)
    twin = next((v for v in known.values() if v.id == variant.id or equivalence_hash(v.files) == own_hash), None)
    if twin is not None:
        which = "its parent" if twin.id == parent.id else f"variant {short_id(twin.id)}"
        reason = f"the code is equivalent to {which}; propose something else"
        return replace(variant, state=VariantState.DUPLICATE, reason=reason)
    return replace(variant, warnings=result.warnings)


def _unique_edits(path: str, before: str, after: str) -> list[Edit]:
    """Return the difference of two texts as edits, each with enough context lines to match only once."""
    old, new = split_lines_with_ends(before), split_lines_with_ends(after)
    edits = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(0):
        low, high, first, last = group[0][1], group[-1][2], group[0][3], group[-1][4]
        start, end = _unique_range(old, low, high)
        replacement = [*old[start:low], *new[first:last], *old[high:end]]
        edits.append(Edit(path, "".join(old[start:end]), "".join(replacement)))
    return edits


def _unique_range(lines: Sequence[str], low: int, high: int) -> tuple[int, int]:
    """Return the smallest range around lines `low` to `high` whose text occurs once; all lines where there is none."""
    text = "".join(lines)
    for context in range(len(lines) + 1):
        start, end = max(low - context, 0), min(high + context, len(lines))
        if start < end and text.count("".join(lines[start:end])) == 1:
            return start, end
    return 0, len(lines)
