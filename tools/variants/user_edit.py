"""An edit that a person asked for, by chat or through another agent: made and checked, or refused in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.study.commands import EditCode
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError, ToolRefused
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import DIRECTIONS, PERSON, Edit, EditRefused, Variant, VariantState, root_of
from tunesmith.tools.variants.build import EditProposal, make_variant, space_of
from tunesmith.tools.variants.gate import GateRules
from tunesmith.tools.variants.results import find_variant

NO_EDITS = "the study has no [edits]: add it to study.toml, with the files that may be edited"


@dataclass(frozen=True, slots=True)
class EditContext:
    """The versions of a study's code as they stand.

    Attributes:
        root: the user's project.
        known: every version, by id.
        rules: what the gate knows.
    """

    root: Variant
    known: Mapping[str, Variant]
    rules: GateRules


def build_user_edit(order: EditCode, shelf: EditContext, spec: StudySpec) -> Variant:
    """Return the version that an order makes.

    Raises:
        ToolRefused: it cannot be made, does not pass the gate, or its parameters do not fit.
    """
    parent = find_known_variant(order.parent, shelf.known) if order.parent else shelf.root
    if root_of(parent, shelf.known).id != shelf.root.id:
        raise ToolRefused(f"{order.parent} was made on files that have changed since; edit the project as it is")
    change = EditProposal(
        edits=[Edit(block.path, block.search, block.replace) for block in order.blocks],
        author=PERSON,
        direction=order.direction if order.direction in DIRECTIONS else "other",
        rationale=order.why,
    )
    try:
        version = make_variant(change, parent, shelf.known, shelf.rules)
    except EditRefused as refused:
        raise ToolRefused(str(refused)) from None
    if version.state is not VariantState.SOUND:
        raise ToolRefused(f"this edit is not run, {version.state.value}: {version.reason}")
    space = space_of(version, spec)
    wrong = [f"{name}: {why}" for name, value in order.params.items() if (why := _refusal(space, name, value))]
    if wrong:
        raise ToolRefused("; ".join(wrong))
    return version


def find_known_variant(name: str, known: Mapping[str, Variant]) -> Variant:
    """Return the version that a name, or the beginning of one, stands for.

    Raises:
        ToolRefused: it stands for none, or for several.
    """
    try:
        return find_variant(list(known.values()), name)
    except HistoryError as error:
        raise ToolRefused(str(error)) from None


def _refusal(space: SearchSpace, name: str, value: Value) -> str:
    if name not in space.parameters:
        return f"is no parameter{did_you_mean(name, space.names)}"
    return space.parameters[name].refuse(value) or ""
