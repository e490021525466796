"""Tools for edits of the code: which there are, what each changed, having another tried, handing one over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from tunesmith.prompts.untrusted import fenced
from tunesmith.study.commands import Block, EditCode
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.study.formatting import one_line
from tunesmith.study.trials.results import candidates
from tunesmith.study.trials.trial import EDITED
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.study.variant import DIRECTIONS, Variant, VariantState, root_of, short_id
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments
from tunesmith.tools.variants.apply import BranchFailed, CodePatch, make_branch, write_patch
from tunesmith.tools.variants.results import whole_diff
from tunesmith.tools.variants.rules import gate_rules
from tunesmith.tools.variants.user_edit import NO_EDITS, EditContext, build_user_edit, find_known_variant

MOST = 60


class EditArguments(Arguments):
    """An edit."""

    name: Annotated[str, Field(min_length=1, max_length=40, description="Its name, such as edit-3fa9c1.")]


class ProposeEditArguments(Arguments):
    """An edit to try."""

    blocks: Annotated[list[Block], Field(min_length=1, max_length=20, description="Made in their order, all or none.")]
    parent: Annotated[
        str, Field(max_length=40, description='The version to edit, such as edit-3fa9c1; "" for the project as it is.')
    ] = ""
    direction: Annotated[str, Field(description=f"What it is about: {', '.join(DIRECTIONS)}.")] = "other"
    params: Annotated[dict[str, Any], Field(description="Parameters that must be set otherwise for it; {} mostly.")] = (
        Field(default_factory=dict)
    )
    why: Annotated[str, Field(max_length=500, description="Why it should help, in a sentence.")] = ""


def edits(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return every edit in a line, with what came of it."""
    facts = context.study
    found = [variant for variant in facts.variants() if variant.is_edited]
    if not found:
        may = "the LLM and you may propose some" if facts.spec.edits else "study.toml has no [edits]"
        return f"no edit of the code so far; {may}"
    view = facts.view()
    lines = [edit_line(variant, view) for variant in found[-MOST:]]
    left_out = f"{len(found) - MOST} earlier ones are not shown\n" if len(found) > MOST else ""
    return left_out + "\n".join(lines)


def edit_line(variant: Variant, view: StudyView) -> str:
    """Return an edit in a line."""
    metric = view.objectives[0].metric
    own = [t for t in view.trials if t.proposal.code == variant.id and not t.is_replicate]
    best = next(iter(candidates(own, view.objectives, view.constraints)), None)
    origin = short_id(variant.parent or "") if variant.parent and variant.parent.startswith(EDITED) else "the project"
    parts = [f"{short_id(variant.id)} on {origin}, {variant.direction} by {variant.author}"]
    if variant.state is not VariantState.SOUND:
        parts.append(f"{variant.state.value}: {one_line(variant.reason, 160)}")
    elif best is not None:
        parts.append(f"best {metric} {short_number(best.values[metric])} (#{best.number}) in {len(own)} trials")
    else:
        parts.append(f"{len(own)} trials, none complete" if own else "not run yet")
    return "; ".join([*parts, one_line(variant.rationale, 160)])


def show(context: ToolContext, args: EditArguments) -> str:
    """Return what an edit changed."""
    variant = find_known_variant(args.name, _known(context.study.variants()))
    declared = "".join(f"new parameter {name}: {table}\n" for name, table in variant.declared.items())
    warned = "".join(f"{warning}\n" for warning in variant.warnings)
    line = edit_line(variant, context.study.view())
    return f"{line}\n{declared}{warned}{fenced(variant.diff, 'diff', limit=9000, keep='start')}"


def propose(context: ToolContext, args: ProposeEditArguments) -> str:
    """Ask the loop to run an edit."""
    _made(context, args)
    if context.control is None:
        raise ToolRefused("nothing can be asked of this study here")
    return context.control.send(_order(args))


def _diff(context: ToolContext, args: ProposeEditArguments) -> str:
    """Return the edit as a diff, with what is odd about it."""
    version = _made(context, args)
    return "\n".join(["run this edit, one trial at first:", version.diff.rstrip(), *version.warnings])


def _made(context: ToolContext, args: ProposeEditArguments) -> Variant:
    """Return the version that an edit would make, checked as the loop will check it.

    Raises:
        ToolRefused: it cannot be made, or does not pass the gate.
    """
    spec, known = context.study.spec, _known(context.study.variants())
    if spec.edits is None or context.project is None:
        raise ToolRefused(NO_EDITS)
    roots = [variant for variant in known.values() if not variant.is_edited]
    if not roots:
        raise ToolRefused("the study has not run yet, so there is no code on record; start it first")
    return build_user_edit(_order(args), EditContext(roots[-1], known, gate_rules(spec, context.project)), spec)


def _order(args: ProposeEditArguments) -> EditCode:
    return EditCode(blocks=args.blocks, parent=args.parent, direction=args.direction, params=args.params, why=args.why)


def _known(variants: Sequence[Variant]) -> dict[str, Variant]:
    return {variant.id: variant for variant in variants}


def apply(context: ToolContext, args: EditArguments) -> str:
    """Make a branch of an edit, or a patch file where that cannot be."""
    change, name = _change(context, args)
    try:
        branch = make_branch(change, f"tunesmith/{name}")
        made = "made" if branch.is_new else "there already, with the same content:"
        remarks = "".join(f"; mind: {remark}" for remark in branch.remarks)
        return f"{made} branch {branch.name}{remarks}; to take it: git merge {branch.name}"
    except BranchFailed as why:
        patch = write_patch(change, change.project / f"{name}.patch")
        return f"no branch was made: {why.reason}; wrote {patch.path.name}; to take it: {patch.command}"
    except ProjectError as error:
        raise ToolRefused(str(error)) from None


def _applied(context: ToolContext, args: EditArguments) -> str:
    """Return what would be handed over."""
    change, name = _change(context, args)
    return f"a branch tunesmith/{name}, or a patch file, with:\n{change.diff.rstrip()}"


def _change(context: ToolContext, args: EditArguments) -> tuple[CodePatch, str]:
    facts = context.study
    variants = list(facts.variants())
    variant = find_known_variant(args.name, _known(variants))
    diff = whole_diff(variant, variants)
    if context.project is None or not diff.strip():
        raise ToolRefused(f"{short_id(variant.id)} changes nothing that could be applied here")
    study = facts.spec.study.name
    message = f"{one_line(variant.rationale, 72) or 'An edit'}\n\nTunesmith study {study}, variant {variant.id}\n"
    base = root_of(variant, _known(variants)).files
    change = CodePatch(project=context.project, diff=diff, message=message, base=base)
    return change, f"{study}-{variant.id.removeprefix(EDITED)[:8]}"


EDITS = StudyTool("edits", NoArguments, edits)
EDIT = StudyTool("edit", EditArguments, show)
PROPOSE_EDIT = StudyTool("propose_edit", ProposeEditArguments, propose, Effect.EDIT, lambda args: 1, _diff)  # noqa: ARG005  # one at first
APPLY_EDIT = StudyTool("apply_edit", EditArguments, apply, Effect.EDIT, preview=_applied)
