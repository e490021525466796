"""Builds the edit that a person asked for, by chat or through another agent, or refuses it with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.commands import EditCode
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import HistoryError, ToolRefused
from tunesmith.study.formatting import count
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import own_value
from tunesmith.study.variant import (
    DIRECTIONS,
    PERSON,
    Edit,
    EditRefused,
    Variant,
    VariantState,
    has_same_files,
    root_variant,
    short_id,
)
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.constants import CodeConstant, choose_constants, code_constants, is_filled
from tunesmith.tools.variants.gate import MAX_DECLARED
from tunesmith.tools.variants.results import find_variant
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import variant_space

NO_EDITS = "the study has no [edits]: add it to study.toml, with the files that may be edited"


@dataclass(frozen=True, slots=True)
class EditContext:
    """The variants that an edit can start from, and the rules that it must meet.

    Attributes:
        root: the user's project.
        known: every variant, by id.
        rules: what the gate knows.
    """

    root: Variant
    known: Mapping[str, Variant]
    rules: GateRules


def build_user_edit(command: EditCode, context: EditContext, spec: StudySpec) -> Variant:
    """Return the variant that a command asks for.

    Raises:
        ToolRefused: it cannot be built, does not pass the gate, or its parameter values are not valid.
    """
    parent = find_known_variant(command.parent, context.known) if command.parent else context.root
    if not has_same_files(root_variant(parent, context.known), context.root):
        raise ToolRefused(f"{command.parent} edits files that have changed since; edit the project as it is now")
    proposal = EditProposal(
        edits=[Edit(block.path, block.search, block.replace) for block in command.blocks],
        author=PERSON,
        direction=command.direction if command.direction in DIRECTIONS else "other",
        rationale=command.why,
    )
    try:
        variant = make_variant(proposal, parent, context.known, context.rules)
    except EditRefused as refused:
        raise ToolRefused(str(refused)) from None
    if variant.state is not VariantState.SOUND:
        raise ToolRefused(f"this edit does not run, {variant.state.value}: {variant.reason}")
    space = variant_space(variant, spec)
    wrong = [f"{name}: {why}" for name, value in command.params.items() if (why := _problem(space, name, value))]
    if wrong:
        raise ToolRefused("; ".join(wrong))
    return variant


def chosen_constants(
    variant: Variant, known: Mapping[str, Variant], taken: Sequence[str], names: Sequence[str]
) -> list[CodeConstant]:
    """Return the numbers of an edit that a person or the model wants as parameters; all that it has for no names.

    Numbers that are parameters already stay so: two wishes may be on their way to a study that does not run.

    Raises:
        ToolRefused: one is not offered, the version cannot run, or it would have too many parameters.
    """
    if variant.state is not VariantState.SOUND:
        raise ToolRefused(f"{short_id(variant.id)} does not run, {variant.state.value}: {variant.reason}")
    left = [name for name in names if not is_filled(variant.declared.get(name, {}))]
    if names and not left:
        raise ToolRefused(f"{short_id(variant.id)} has {' and '.join(names)} as a parameter already")
    try:
        chosen = choose_constants(code_constants(variant, known, taken), left)
    except ValueError as error:
        raise ToolRefused(f"{short_id(variant.id)}: {error}") from None
    free = MAX_DECLARED - len(variant.declared)
    if free <= 0:
        raise ToolRefused(
            f"{short_id(variant.id)} has {len(variant.declared)} parameters, as many as a version may have"
        )
    if len(chosen) > free:
        offered = ", ".join(constant.name for constant in chosen)
        raise ToolRefused(f"{short_id(variant.id)} may get {count(free, 'more parameter')}; choose among {offered}")
    return chosen


def offered_constants(variant: Variant, known: Mapping[str, Variant], taken: Sequence[str]) -> list[CodeConstant]:
    """Return the numbers of an edit that a person may make parameters; none of a version with as many as it may have.

    Args:
        variant: the version.
        known: every version, by id.
        taken: names of the study's parameters.
    """
    return code_constants(variant, known, taken) if len(variant.declared) < MAX_DECLARED else []


def find_known_variant(name: str, known: Mapping[str, Variant]) -> Variant:
    """Return the variant with this id, or with an id that begins so.

    Raises:
        ToolRefused: no variant or several variants match.
    """
    try:
        return find_variant(list(known.values()), name)
    except HistoryError as error:
        raise ToolRefused(str(error)) from None


def _problem(space: SearchSpace, name: str, value: Value) -> str:
    """Return why a value is not valid; "" for a valid one."""
    if name not in space.parameters:
        return f"unknown parameter{did_you_mean(name, space.names)}"
    parameter = space.parameters[name]
    return parameter.invalid_reason(own_value(parameter, value)) or ""
