"""`tunesmith apply VARIANT`: shows a variant's diff, gain and cost, and makes a branch or a patch file of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.cli.display.diff import show_diff
from tunesmith.cli.display.format import show
from tunesmith.cli.display.variants.variant_json import comparison_json, variant_json
from tunesmith.cli.display.variants.variant_text import best_command, commit_message, comparison_lines, variant_lines
from tunesmith.cli.session.locate import open_study, study_file
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError, ProjectError
from tunesmith.study.formatting import one_line
from tunesmith.study.trials.trial import EDITED
from tunesmith.study.variant import Variant, root_variant
from tunesmith.tools.analysis.confirmation.at_scale import SCALE_ENDED
from tunesmith.tools.variants.apply import BranchFailed, CodePatch, GitBranch, PatchFile, make_stack, write_patch
from tunesmith.tools.variants.constants import with_values
from tunesmith.tools.variants.lineage import EditStep, edit_steps
from tunesmith.tools.variants.results import (
    VariantComparison,
    changed_files,
    compare_variant,
    find_variant,
    whole_diff,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """The options of `apply`; `branch` and `output` default to names made of the study and the variant.

    Attributes:
        stack: whether each edit of the variant's lineage becomes a separate commit.
    """

    variant: str
    patch: bool = False
    stack: bool = False
    output: Path | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """What was made: a branch, or a patch file with the reason why no branch could be made."""

    branch: GitBranch | None = None
    patch: PatchFile | None = None
    why: BranchFailed | None = None


def apply_variant(study: Path, options: ApplyOptions, *, history: Path | None, as_json: bool) -> None:
    """Show what a variant changes, gains and costs; then make a branch, or a patch file if no branch can be made.

    Raises:
        HistoryError: the history, the study or the variant does not exist.
        ProjectError: the branch or the file exists with other content, or there is nothing to apply.
    """
    opened = open_study(study, history)
    with opened.history:
        record = opened.record
        variants = opened.history.variants(record.id)
        variant = find_variant(variants, options.variant)
        trials = opened.history.trials(record.id)
        scale_runs = opened.history.events(record.id, SCALE_ENDED)
        found = compare_variant(record, trials, variants, variant, scale_runs)
    variant = with_values(variant, found.best.params if found.best is not None else None)
    diff = whole_diff(variant, variants)
    project = _project(record, study)
    _require_change(variant, diff)
    change = CodePatch(
        project=project,
        diff=diff,
        message=commit_message(record, found),
        base=root_variant(variant, {v.id: v for v in variants}).files,
        paths=changed_files(variant, variants),
        protected=record.spec.edits.protect if record.spec.edits else (),
    )
    if not as_json:
        show("\n".join(variant_lines(variant, f" of {record.name}")), end="\n\n")
        show_diff(diff)
        show("\n".join(["", *comparison_lines(record, found), ""]))
    steps = edit_steps(variant, variants) if options.stack else []
    parts = [compare_variant(record, trials, variants, step.variant, scale_runs) for step in steps]
    stack = [_step_patch(change, step, commit_message(record, part)) for step, part in zip(steps, parts, strict=True)]
    result = _make(change, stack, f"{record.name}-{variant.id.removeprefix(EDITED)[:8]}", options)
    show(json.dumps(_to_json(record, found, result, diff), indent=2) if as_json else "\n".join(_next_steps(result)))


def _project(record: StudyRecord, study: Path) -> Path:
    """Return the project's folder: where the study last ran or, if it was moved, the folder of its study file."""
    places = [Path(record.project)] if record.project else []
    places += [study_file(study).absolute().parent] if study_file(study).is_file() else []
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        where = f"ran in {record.project}, which does not exist" if record.project else "ran from Python, in no folder"
        raise ProjectError(f"study {record.name} {where}; name the project's folder with --study")
    return found


def _require_change(variant: Variant, diff: str) -> None:
    if not variant.is_edited:
        raise HistoryError(f"{variant.id} is your own code, not an edit; there is nothing to apply")
    if not diff.strip():
        raise ProjectError(f"variant {variant.id} changes nothing in your project")


def _step_patch(whole: CodePatch, step: EditStep, message: str) -> CodePatch:
    """Return one edit of a stack; only the first one changes files as they are in the project."""
    base = {path: text for path, text in whole.base.items() if step.is_first}
    return replace(whole, diff=step.diff, message=message, base=base, paths=())


def _make(change: CodePatch, stack: Sequence[CodePatch], name: str, options: ApplyOptions) -> ApplyResult:
    output = options.output or Path(f"{name}.patch")
    if options.patch or (options.output is not None and options.branch is None):
        return ApplyResult(patch=write_patch(change, output))
    try:
        return ApplyResult(branch=make_stack(stack or [change], options.branch or f"tunesmith/{name}"))
    except BranchFailed as why:
        return ApplyResult(patch=write_patch(change, output), why=why)


def _next_steps(result: ApplyResult) -> list[str]:
    if result.branch is not None:
        return _branch_lines(result.branch)
    assert result.patch is not None  # noqa: S101  # one of the two was made
    lines = []
    if result.why is not None:
        lines.append(f"No branch was made: {one_line(result.why.reason, None)}.")
        lines += [f"  does not fit: {one_line(place, None)}" for place in result.why.locations]
    made = f"Wrote {result.patch.path}." if result.patch.is_new else f"{result.patch.path} exists, with this content."
    return [*lines, f"{made} Your files are unchanged.", f"  apply it     {result.patch.command}"]


def _branch_lines(branch: GitBranch) -> list[str]:
    commit = f"{'one commit' if branch.commits == 1 else f'{branch.commits} commits'} ({branch.commit[:10]})"
    made = f"Made branch {branch.name}, {commit}."
    exists = f"Branch {branch.name} exists, with this content, {commit}."
    return [
        made if branch.is_new else exists,
        *(f"Note: {remark}." for remark in branch.remarks),
        "Your files, your index and your current branch are unchanged.",
        f"  look at it   git show {branch.name}",
        f"  merge it     git merge {branch.name}",
    ]


def _to_json(record: StudyRecord, found: VariantComparison, result: ApplyResult, diff: str) -> dict[str, Any]:
    branch, patch, why = result.branch, result.patch, result.why
    return {
        "study": record.name,
        "variant": variant_json(found.result.variant),
        "diff": diff,
        **comparison_json(found),
        "command": best_command(record, found) if found.best else None,
        "branch": {"name": branch.name, "commit": branch.commit, "is_new": branch.is_new} if branch else None,
        "remarks": list(branch.remarks) if branch else [],
        "patch": {"path": str(patch.path), "command": patch.command, "is_new": patch.is_new} if patch else None,
        "no_branch": {"reason": why.reason, "places": list(why.locations)} if why else None,
    }
