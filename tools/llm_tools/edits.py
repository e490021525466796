"""Tools for edits of the code: list them, show one, propose one, apply one to the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from tunesmith.prompts.untrusted import fenced
from tunesmith.study.commands import Block, EditCode, FitConstants
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError, ToolRefused
from tunesmith.study.formatting import count, one_line, render_params
from tunesmith.study.trials.trial import EDITED
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.study.variant import DIRECTIONS, Variant, VariantState, root_variant, short_id
from tunesmith.tools.analysis.findings.figures import ConfigResult, confirmed_text
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, Effect, StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments
from tunesmith.tools.variants.apply import BranchFailed, CodePatch, make_branch, write_patch
from tunesmith.tools.variants.constants import with_values
from tunesmith.tools.variants.results import best_of_variants, changed_files, whole_diff
from tunesmith.tools.variants.rules import gate_rules
from tunesmith.tools.variants.run_command import CLAIM, is_claim
from tunesmith.tools.variants.tree import variant_tree
from tunesmith.tools.variants.user_edit import (
    NO_EDITS,
    EditContext,
    build_user_edit,
    chosen_constants,
    find_known_variant,
    offered_constants,
)

MAX_EDITS = 60
"""Maximum number of edits that are listed."""
MAX_EDITS_CHARS = 24_000
"""Maximum length of the list."""


class EditArguments(Arguments):
    """The name of an edit."""

    name: Annotated[str, Field(min_length=1, max_length=40, description="Such as edit-3fa9c1.")]


class ProposeEditArguments(Arguments):
    """A new edit."""

    blocks: Annotated[list[Block], Field(min_length=1, max_length=20, description="All or none are applied.")]
    parent: Annotated[str, Field(max_length=40, description='Such as edit-3fa9c1; "" for the project.')] = ""
    direction: Annotated[str, Field(description=f"Such as {', '.join(DIRECTIONS[:3])}.")] = "other"
    params: Annotated[dict[str, Any], Field(description="Values that the edit needs.")] = Field(default_factory=dict)
    why: Annotated[str, Field(max_length=500)] = ""


def edit_lines(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the edits as a tree, each with its result."""
    facts = context.study
    found = [variant for variant in facts.variants() if variant.is_edited]
    if not found:
        hint = "the LLM and you may propose one" if facts.spec.edits else NO_EDITS
        return f"there are no edits of the code yet; {hint}"
    shown = found[-MAX_EDITS:]
    view, bests = facts.view(), _bests(context, shown)
    lines = [f"{n.guides()}{edit_line(n.variant, bests, view, facts.spec)}" for n in variant_tree(shown)]
    omitted = f"{len(found) - MAX_EDITS} earlier edits are not shown\n" if len(found) > MAX_EDITS else ""
    # Reasons quote what scripts printed, and a model wrote why.
    return omitted + fenced("\n".join(lines), "edits", limit=MAX_EDITS_CHARS, keep="start")


def edit_line(variant: Variant, bests: Mapping[str, ConfigResult], view: StudyView, spec: StudySpec) -> str:
    """Return an edit as one line: its parent, subject, author and result."""
    metric = view.objectives[0].metric
    own = [t for t in view.trials if t.proposal.code == variant.id and not t.is_replicate]
    best = bests.get(variant.id)
    origin = short_id(variant.parent or "") if variant.parent and variant.parent.startswith(EDITED) else "the project"
    parts = [f"{short_id(variant.id)} on {origin}, {variant.direction} by {variant.author}"]
    if variant.state is not VariantState.SOUND:
        parts.append(f"{variant.state.value}: {one_line(variant.reason, 160)}")
    elif best is not None:
        claim = f", {CLAIM}" if is_claim(spec, variant.id) else ""
        value = confirmed_text(best) or short_number(best.value)
        parts.append(f"best {metric} {value} (#{best.number}) in {count(len(own), 'trial')}{claim}")
    else:
        parts.append(f"{len(own)} trials, none complete" if own else "not run yet")
    return "; ".join([*parts, one_line(variant.rationale, 160)])


def edit_text(context: ToolContext, args: EditArguments) -> str:
    """Return an edit with its new parameters, warnings and diff."""
    variant = find_known_variant(args.name, _known(context.study.variants()))
    declared = "".join(f"new parameter {name}: {table}\n" for name, table in variant.declared.items())
    warnings = "".join(f"{warning}\n" for warning in variant.warnings)
    offered = offered_constants(variant, _known(context.study.variants()), context.study.spec.space.names)
    declared += "".join(f"could be a parameter: {constant.text}\n" for constant in offered)
    one = edit_line(variant, _bests(context, [variant]), context.study.view(), context.study.spec)
    line = fenced(one, "edit", keep="start")
    return f"{line}\n{declared}{warnings}{fenced(variant.diff, 'diff', limit=9000, keep='start')}"


def _bests(context: ToolContext, variants: Sequence[Variant]) -> dict[str, ConfigResult]:
    """Return the best configuration of each of these edits that has one, by id."""
    view, spec = context.study.view(), context.study.spec
    # A study that is only in memory has no record.
    record = context.study.record() or StudyRecord(id=0, name=spec.study.name, spec=spec)
    trials = sorted([*view.trials, *view.set_aside], key=lambda trial: trial.number)
    return best_of_variants(record, trials, [variant.id for variant in variants])


class FitArguments(EditArguments):
    """Numbers of an edit."""

    constants: Annotated[list[str], Field(max_length=8, description="Names; all that it has if empty.")] = Field(
        default_factory=list
    )


def fit(context: ToolContext, args: FitArguments) -> str:
    """Send the choice to the loop."""
    return context.required_control.send(_chosen(context, args)[0])


def _fit_preview(context: ToolContext, args: FitArguments) -> str:
    command, lines = _chosen(context, args)
    return "\n".join([f"tune {short_id(command.version)} with, in its trials from now on:", *lines])


def _chosen(context: ToolContext, args: FitArguments) -> tuple[FitConstants, list[str]]:
    """Return the command, and a line for each constant, checked as the loop will check it.

    Raises:
        ToolRefused: there is no such edit or constant.
    """
    spec, known = context.study.spec, _known(context.study.variants())
    if spec.edits is None:
        raise ToolRefused(NO_EDITS)
    variant = find_known_variant(args.name, known)
    chosen = chosen_constants(variant, known, spec.space.names, args.constants)
    command = FitConstants(version=variant.id, names=[constant.name for constant in chosen])
    return command, [constant.text for constant in chosen]


def propose(context: ToolContext, args: ProposeEditArguments) -> str:
    """Send an edit to the loop."""
    _build(context, args)
    return context.required_control.send(_command(args))


def _propose_preview(context: ToolContext, args: ProposeEditArguments) -> str:
    """Return the diff of the edit, its warnings, and the parameter values that it runs with."""
    variant = _build(context, args)
    values = [f"with {render_params(args.params)}"] if args.params else []
    return "\n".join(["run this edit, starting with one trial:", variant.diff.rstrip(), *variant.warnings, *values])


def _frozen_proposal(context: ToolContext, args: ProposeEditArguments) -> ProposeEditArguments:
    """Return the arguments with the id of the version that is edited: the project may change."""
    return args.model_copy(update={"parent": _build(context, args).parent})


def _frozen_name(context: ToolContext, args: EditArguments) -> EditArguments:
    return args.model_copy(update={"name": _finished_variant(context, args.name).id})


def _finished_variant(context: ToolContext, name: str) -> Variant:
    """Return the edit of that name; the beginning of a name is enough for one that has a finished trial.

    Raises:
        ToolRefused: no edit or several match, or only the beginning is given of one that has not been tried.
    """
    variant = find_known_variant(name, _known(context.study.variants()))
    whole = [one.removeprefix(EDITED) for one in (variant.id, short_id(variant.id))]
    has_ended = any(t.state.is_finished and t.proposal.code == variant.id for t in context.study.view().trials)
    if name.lower().removeprefix(EDITED) not in whole and not has_ended:
        raise ToolRefused(
            f"{name} is the beginning of {short_id(variant.id)}, of which no trial has finished; give its whole name"
        )
    return variant


def _build(context: ToolContext, args: ProposeEditArguments) -> Variant:
    """Return the variant that the arguments describe, checked as the loop will check it.

    Raises:
        ToolRefused: it cannot be built, or does not pass the gate.
    """
    spec, known = context.study.spec, _known(context.study.variants())
    if spec.edits is None or context.project is None:
        raise ToolRefused(NO_EDITS)
    roots = [variant for variant in known.values() if not variant.is_edited]
    if not roots:
        raise ToolRefused("the study has not run yet, so there is no snapshot of its code; start it first")
    if args.parent:
        _finished_variant(context, args.parent)
    return build_user_edit(_command(args), EditContext(roots[-1], known, gate_rules(spec, context.project)), spec)


def _command(args: ProposeEditArguments) -> EditCode:
    return EditCode(blocks=args.blocks, parent=args.parent, direction=args.direction, params=args.params, why=args.why)


def _known(variants: Sequence[Variant]) -> dict[str, Variant]:
    return {variant.id: variant for variant in variants}


def apply(context: ToolContext, args: EditArguments) -> str:
    """Put an edit on a branch; write a patch file where no branch can be made."""
    patch, name = _code_patch(context, args)
    try:
        branch = make_branch(patch, f"tunesmith/{name}")
        state = "created" if branch.is_new else "already exists with the same content"
        remarks = "".join(f"; note: {remark}" for remark in branch.remarks)
        return f"branch {branch.name} {state}{remarks}; to merge it: git merge {branch.name}"
    except BranchFailed as why:
        file = write_patch(patch, patch.project / f"{name}.patch")
        return f"no branch was made: {why.reason}; wrote {file.path.name}; to apply it: {file.command}"
    except ProjectError as error:
        raise ToolRefused(str(error)) from None


def _apply_preview(context: ToolContext, args: EditArguments) -> str:
    """Return the diff that would be applied."""
    patch, name = _code_patch(context, args)
    return f"a branch tunesmith/{name}, or a patch file, with:\n{patch.diff.rstrip()}"


def _code_patch(context: ToolContext, args: EditArguments) -> tuple[CodePatch, str]:
    facts = context.study
    variants = list(facts.variants())
    variant = _finished_variant(context, args.name)
    best = _bests(context, [variant]).get(variant.id)
    variant = with_values(variant, best.params if best is not None else None)
    diff = whole_diff(variant, variants)
    if context.project is None or not diff.strip():
        raise ToolRefused(f"{short_id(variant.id)} changes no file of a project here, so there is nothing to apply")
    study = facts.spec.study.name
    claim = f"Its values are {CLAIM}.\n\n" if is_claim(facts.spec, variant.id) else ""
    title = one_line(variant.rationale, 72) or "An edit"
    message = f"{title}\n\n{claim}Tunesmith study {study}, variant {variant.id}\n"
    base = root_variant(variant, _known(variants)).files
    patch = CodePatch(
        project=context.project,
        diff=diff,
        message=message,
        base=base,
        paths=changed_files(variant, variants),
        protected=facts.spec.edits.protect if facts.spec.edits else (),
    )
    return patch, f"{study}-{variant.id.removeprefix(EDITED)[:8]}"


EDITS = StudyTool("edits", NoArguments, edit_lines)
EDIT = StudyTool("edit", EditArguments, edit_text)
PROPOSE_EDIT = StudyTool(
    "propose_edit",
    ProposeEditArguments,
    propose,
    Effect.EDIT,
    lambda args: 1,  # noqa: ARG005  # it starts with one trial
    _propose_preview,
    previewed=frozenset({"blocks", "params"}),
    freeze=_frozen_proposal,
    runs_code=True,
)
FIT = StudyTool("fit", FitArguments, fit, Effect.STEER, preview=_fit_preview, previewed=frozenset({"constants"}))
APPLY_EDIT = StudyTool("apply_edit", EditArguments, apply, Effect.EDIT, preview=_apply_preview, freeze=_frozen_name)
