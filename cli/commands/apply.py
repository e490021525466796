"""`tunesmith apply VARIANT`: shows a variant's diff, gain and cost, and hands it over as a branch or a patch file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.cli.display.diff import show_diff
from tunesmith.cli.session.locate import open_study, study_file
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError, ProjectError
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.trials.trial import EDITED
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import Variant, VariantState, root_variant
from tunesmith.tools.analysis.significance import Difference
from tunesmith.tools.analysis.summary import ConfigResult, gain_text, plus_minus, probability_text
from tunesmith.tools.variants.apply import BranchFailed, CodePatch, GitBranch, PatchFile, make_branch, write_patch
from tunesmith.tools.variants.results import TrialCost, VariantComparison, compare_variant, find_variant, whole_diff
from tunesmith.tools.variants.run_command import run_line

TITLE = 72
"""Characters of a commit's first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """What `apply` was asked for; `branch` and `output` None: names made from the study's and the variant's."""

    variant: str
    patch: bool = False
    output: Path | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """What was made: a branch, or a patch and, where a branch was wanted, why there is none."""

    branch: GitBranch | None = None
    patch: PatchFile | None = None
    why: BranchFailed | None = None


def apply_variant(study: Path, wanted: ApplyOptions, *, history: Path | None, as_json: bool) -> None:
    """Show what a variant changes, gains and costs; then make a branch of it, or a patch file where that cannot be.

    Raises:
        HistoryError: there is no history, no such study, or no such variant.
        ProjectError: the branch or the file is taken, or there is nothing to apply.
    """
    located = open_study(study, history)
    with located.history:
        record = located.record
        variants = located.history.variants(record.id)
        variant = find_variant(variants, wanted.variant)
        found = compare_variant(record, located.history.trials(record.id), variants, variant)
    diff = whole_diff(variant, variants)
    project = _project(record, study)
    _refuse_what_cannot_be(variant, diff)
    change = CodePatch(
        project=project,
        diff=diff,
        message=commit_message(record, found),
        base=root_variant(variant, {v.id: v for v in variants}).files,
    )
    if not as_json:
        print("\n".join(_head(record, variant)), end="\n\n")
        show_diff(diff)
        print("\n".join(["", *_figures(record, found), ""]), flush=True)
    handed = _hand_over(change, f"{record.name}-{variant.id.removeprefix(EDITED)[:8]}", wanted)
    print(json.dumps(_told(record, found, handed, diff), indent=2) if as_json else "\n".join(_next_steps(handed)))


def commit_message(record: StudyRecord, found: VariantComparison) -> str:
    """Return the reason in a line, then what the variant gained and with which parameters."""
    variant = found.result.variant
    reason = one_line(variant.rationale, None) or f"Apply variant {variant.id}"
    title = reason if len(reason) <= TITLE else f"{reason[: TITLE - 4].rsplit(' ', 1)[0]} ..."
    paragraphs = [title, *([reason] if title != reason else []), "\n".join(_gain_lines(record, found))]
    if found.best is not None:
        paragraphs.append(f"Best with: {_line(record, found)}")
    paragraphs.append(f"Tunesmith study {record.name}, variant {variant.id}")
    return "\n\n".join(paragraphs) + "\n"


def _project(record: StudyRecord, study: Path) -> Path:
    """Return the project's folder: where the study last ran, or, when it was moved since, where its file stands now."""
    places = [Path(record.project)] if record.project else []
    places += [study_file(study).absolute().parent] if study_file(study).is_file() else []
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        where = record.project or "no folder: it is one from Python"
        raise ProjectError(f"study {record.name} ran in {where}, which is not there; name its folder with --study")
    return found


def _line(record: StudyRecord, found: VariantComparison) -> str:
    """Return the best configuration with this code as a line to paste."""
    assert found.best is not None  # noqa: S101  # asked for where there is one
    variant = found.result.variant
    return run_line(record.spec, found.best.params, variant.id, [variant])


def _refuse_what_cannot_be(variant: Variant, diff: str) -> None:
    if not variant.is_edited:
        raise HistoryError(f"{variant.id} is your own project as a run found it, not an edit: nothing to apply")
    if not diff.strip():
        raise ProjectError(f"variant {variant.id} changes nothing in your project")


def _hand_over(change: CodePatch, name: str, wanted: ApplyOptions) -> ApplyResult:
    output = wanted.output or Path(f"{name}.patch")
    if wanted.patch or (wanted.output is not None and wanted.branch is None):
        return ApplyResult(patch=write_patch(change, output))
    try:
        return ApplyResult(branch=make_branch(change, wanted.branch or f"tunesmith/{name}"))
    except BranchFailed as why:
        return ApplyResult(patch=write_patch(change, output), why=why)


def _head(record: StudyRecord, variant: Variant) -> list[str]:
    direction = f" ({variant.direction})" if variant.direction else ""
    reason = one_line(variant.rationale, None) or "no reason was given"
    lines = [f"variant {variant.id} of {record.name}{direction}, by {variant.author}", f"  {reason}"]
    if variant.state is not VariantState.SOUND:
        lines.append(f"  {variant.state.value}: {one_line(variant.reason, None)}")
    return lines + [f"  mind: {one_line(warning, None)}" for warning in variant.warnings]


def _figures(record: StudyRecord, found: VariantComparison) -> list[str]:
    failed = ", ".join(f"{count} {kind}" for kind, count in found.result.failures.items())
    parts = {
        "trials": [f"{found.result.trials}{f' ({failed})' if failed else ''}"],
        "gain": _gain_lines(record, found),
        "cost": _cost_lines(found),
        "best with": [render_params(found.best.params, digits=SHORT_DIGITS), _line(record, found)]
        if found.best
        else [],
    }
    return [f"{name if not n else '':<10} {line}" for name, lines in parts.items() for n, line in enumerate(lines)]


def _gain_lines(record: StudyRecord, found: VariantComparison) -> list[str]:
    """Return what the variant gained and how sure that is; values on fresh seeds come before those of tuning."""
    best, default, metric = found.best, found.default, record.spec.objectives[0].metric
    if best is None:
        return ["unknown: none of its trials is complete"]
    lines = [f"{metric} {_value_text(best)} (trial {best.number})"]
    if default is not None:
        lines.append(f"the default: {_value_text(default)}; {_gain_text(found.versus_default, found.gain, default)}")
    if found.unedited is not None:
        other = found.unedited
        gain = _gain_text(found.versus_unedited, found.gain_on_unedited, other)
        lines.append(f"the best without the edit: {_value_text(other)} (trial {other.number}); {gain}")
    if best.confirmed is None:
        lines.append("not confirmed on fresh seeds: part of the gain may be luck, as of every best of many")
    return lines


def _value_text(found: ConfigResult) -> str:
    if found.confirmed is None:
        return f"{short_number(found.value)} in tuning"
    return f"{plus_minus(found.confirmed)} on {found.confirmed.count} fresh seeds"


def _gain_text(versus: Difference | None, gain: float | None, other: ConfigResult) -> str:
    """Return a gain: with its interval where both ran on fresh seeds, else the bare one of tuning."""
    if versus is None:
        return gain_text(gain) if gain is not None else "a gain from 0 has no size"
    mean = abs(other.confirmed.mean) if other.confirmed else 0.0
    size = (
        f"{versus.gain / mean:+.1%} ± {versus.margin / mean:.1%}"
        if mean
        else f"{versus.gain:+.3g} ± {versus.margin:.2g}"
    )
    return f"{size}, better with p {probability_text(versus.probability)}"


def _cost_lines(found: VariantComparison) -> list[str]:
    if found.cost is None:
        return ["unknown: none of its trials is complete"]
    line = f"{_cost_text(found.cost)} per trial"
    if found.base_cost is None:
        return [line]
    ratio = found.cost.wall_s / found.base_cost.wall_s if found.base_cost.wall_s else 1.0
    return [line, f"{_cost_text(found.base_cost)} with your own code: {ratio:.2f} times the wall time"]


def _cost_text(cost: TrialCost) -> str:
    gpu = f", {short_seconds(cost.gpu_s)} GPU" if cost.gpu_s else ""
    return f"{short_seconds(cost.wall_s)} wall, {short_seconds(cost.cpu_s)} CPU{gpu}, {cost.peak_rss_gib:.2f} GiB"


def _next_steps(handed: ApplyResult) -> list[str]:
    lines = []
    if handed.branch is not None:
        made = "Made" if handed.branch.is_new else "There already, with the same content:"
        lines.append(f"{made} branch {handed.branch.name}, one commit ({handed.branch.commit[:10]}).")
        lines += [f"Mind: {remark}." for remark in handed.branch.remarks]
        lines.append("Your files, your index and the branch you are on are as they were.")
        return [
            *lines,
            f"  look at it   git show {handed.branch.name}",
            f"  take it      git merge {handed.branch.name}",
        ]
    assert handed.patch is not None  # noqa: S101  # one of the two was made
    if handed.why is not None:
        lines.append(f"No branch was made: {one_line(handed.why.reason, None)}.")
        lines += [f"  does not fit: {one_line(place, None)}" for place in handed.why.locations]
    made = "Wrote" if handed.patch.is_new else "There already, with the same content:"
    lines.append(f"{made} {handed.patch.path}. Your files are as they were.")
    return [*lines, f"  take it      {handed.patch.command}"]


def _told(record: StudyRecord, found: VariantComparison, handed: ApplyResult, diff: str) -> dict[str, Any]:
    variant, branch, patch = found.result.variant, handed.branch, handed.patch
    return {
        "study": record.name,
        "variant": variant_json(variant),
        "diff": diff,
        "trials": found.result.trials,
        "failures": dict(found.result.failures),
        "best": candidate_json(found.best),
        "default": candidate_json(found.default),
        "unedited": candidate_json(found.unedited),
        "gain": found.gain,
        "versus_default": _versus_json(found.versus_default),
        "versus_unedited": _versus_json(found.versus_unedited),
        "cost": _cost_json(found.cost),
        "base_cost": _cost_json(found.base_cost),
        "command": _line(record, found) if found.best else None,
        "branch": {"name": branch.name, "commit": branch.commit, "is_new": branch.is_new} if branch else None,
        "remarks": list(branch.remarks) if branch else [],
        "patch": {"path": str(patch.path), "command": patch.command, "is_new": patch.is_new} if patch else None,
        "no_branch": {"reason": handed.why.reason, "places": list(handed.why.locations)} if handed.why else None,
    }


def variant_json(variant: Variant) -> dict[str, Any]:
    """Return a variant without its diff as JSON values."""
    return {
        "id": variant.id,
        "parent": variant.parent,
        "author": variant.author,
        "direction": variant.direction,
        "rationale": variant.rationale,
        "state": variant.state.value,
        "reason": variant.reason,
        "warnings": list(variant.warnings),
        "declared": {name: dict(table) for name, table in variant.declared.items()},
        "created_at": variant.created_at,
    }


def candidate_json(found: ConfigResult | None) -> dict[str, Any] | None:
    """Return a trial's configuration and values as JSON values."""
    if found is None:
        return None
    sample = found.confirmed
    return {
        "number": found.number,
        "params": dict(found.params),
        "value": found.value,
        "confirmed": {"mean": sample.mean, "margin": sample.margin, "values": list(sample.values)} if sample else None,
    }


def _versus_json(versus: Difference | None) -> dict[str, float] | None:
    if versus is None:
        return None
    return {"gain": versus.gain, "margin": versus.margin, "probability": versus.probability}


def _cost_json(cost: TrialCost | None) -> dict[str, float] | None:
    if cost is None:
        return None
    return {
        "trials": cost.count,
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "gpu_s": cost.gpu_s,
        "peak_rss_gib": cost.peak_rss_gib,
    }
