"""The tree of code versions in a report: each edit with its change and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.units import short_number
from tunesmith.study.variant import VariantState, short_id
from tunesmith.tools.analysis.findings.figures import confirmed_text
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.variants.lineage import GainStep, gain_steps
from tunesmith.tools.variants.results import VariantResult, variant_results
from tunesmith.tools.variants.run_command import CLAIM, is_claim

NEVER_RAN = "never ran"
_MAX_NAMED = 6
_SPARE_TRIALS = 4
"""Trials beyond the edits themselves that the advice gives, so that what gains is tuned as well."""

MAX_EDITS = 80
"""Number of edits in the page and in Markdown; the JSON report holds all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One edit.

    Attributes:
        depth: number of edits between it and the user's project.
        result: its best value, or why it did not run.
        on_parent: the difference of its first trial to its parent's on the same seed, with the noise; "" without both.
    """

    name: str
    depth: int
    direction: str
    author: str
    rationale: str
    state: str
    trials: int
    result: str
    on_parent: str
    diff: str
    warnings: tuple[str, ...]


def version_rows(report: ReportInput) -> list[VersionRow]:
    """Return the edits of the code, each after its parent."""
    found = variant_results(report.record, report.trials, report.versions)
    return [_row(result, report.record.spec) for result in found if result.variant.is_edited]


def waiting_line(report: ReportInput) -> str:
    """Return that edits wait for their first trial, and how they get it; "" if none does."""
    waiting = [row for row in version_rows(report) if row.result == NEVER_RAN]
    if not waiting:
        return ""
    names = ", ".join(row.name for row in waiting[:_MAX_NAMED])
    more = f" and {len(waiting) - _MAX_NAMED} more" if len(waiting) > _MAX_NAMED else ""
    verb = "edit never ran" if len(waiting) == 1 else "edits never ran"
    first = "it" if len(waiting) == 1 else "them"
    trials = len(waiting) + _SPARE_TRIALS
    return f"{len(waiting)} {verb}: {names}{more}. `tunesmith run --trials +{trials}` runs {first} first."


def gain_lines(report: ReportInput) -> list[str]:
    """Return how much of the gain is due to edits and to tuning, then a line for each edit on the way to the best."""
    steps = _steps(report)
    objective = report.record.spec.objectives[0]
    if not any(step.is_edit for step in steps):
        return []
    gains = {True: 0.0, False: 0.0}
    for step in steps:
        gains[step.is_edit] += objective.sign * (step.before - step.after)
    ends = f"{objective.metric} {short_number(steps[0].before)} to {short_number(steps[-1].after)}"
    head = f"{ends}: edits of the code {_signed(gains[True])}, tuning {_signed(gains[False])}"
    reasons = {v.id: v.rationale for v in report.versions}
    return [head, *(_step_line(step, reasons) for step in steps)]


def _steps(report: ReportInput) -> list[GainStep]:
    summary, metric = report.summary, report.record.spec.objectives[0].metric
    by_number = {t.number: t for t in report.trials}
    if summary.best is None or summary.default is None:
        return []
    best, default = by_number[summary.best.number], by_number[summary.default.number]
    return gain_steps(best, default, report.trials, {v.id: v for v in report.versions}, metric)


def _step_line(step: GainStep, reasons: Mapping[str, str]) -> str:
    values = f"{short_number(step.before)} to {short_number(step.after)} (trial {step.trial})"
    if not step.is_edit:
        return f"tuning {short_id(step.code) if step.code else 'your own code'}: {values}"
    return f"{short_id(step.code)}: {values}. {reasons.get(step.code, '')}"


def _signed(gain: float) -> str:
    return f"{'+' if gain >= 0 else '-'}{short_number(abs(gain))}"


def version_lines(report: ReportInput) -> Iterator[str]:
    """Yield a line for each edit."""
    for row in version_rows(report)[:MAX_EDITS]:
        trials = f", {row.trials} trial{'s' if row.trials != 1 else ''}" if row.trials else ""
        against = f", {row.on_parent} against its parent" if row.on_parent else ""
        yield f"{'  ' * row.depth}- {row.name} ({row.direction}{trials}): {row.result}{against}. {row.rationale}"


def _row(result: VariantResult, spec: StudySpec) -> VersionRow:
    variant = result.variant
    return VersionRow(
        name=short_id(variant.id),
        depth=max(result.node.depth - 1, 0),
        direction=variant.direction or "other",
        author=variant.author,
        rationale=variant.rationale,
        state=variant.state.value,
        trials=result.trials,
        result=_result(result, spec),
        on_parent=_on_parent(result),
        diff=variant.diff,
        warnings=variant.warnings,
    )


def _on_parent(result: VariantResult) -> str:
    if result.on_parent is None:
        return ""
    noise = f" (std {short_number(result.noise, 2)})" if result.noise else ""
    return f"{result.on_parent:+.3g}{noise}"


def _result(result: VariantResult, spec: StudySpec) -> str:
    variant, best = result.variant, result.best
    if variant.state is not VariantState.SOUND:
        return f"{variant.state.value}: {variant.reason}"
    if best is None:
        return "no complete trial" if result.trials else NEVER_RAN
    claim = f", {CLAIM}" if is_claim(spec, variant.id) else ""
    if best.confirmed is not None:
        return f"{confirmed_text(best)}{claim}"
    return f"best {short_number(best.value)}{claim}"
