"""The tree of code versions in a report: each edit with its change and its result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.units import short_number
from tunesmith.study.variant import VariantState, short_id
from tunesmith.tools.analysis.summary import plus_minus
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.variants.results import VariantResult, variant_results
from tunesmith.tools.variants.run_command import CLAIM, is_claim

MAX_EDITS = 80
"""Number of edits in the page and in Markdown; the JSON report holds all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One edit.

    Attributes:
        depth: number of edits between it and the user's project.
        result: its best value, or why it did not run.
    """

    name: str
    depth: int
    direction: str
    author: str
    rationale: str
    state: str
    trials: int
    result: str
    diff: str
    warnings: tuple[str, ...]


def version_rows(report: ReportInput) -> list[VersionRow]:
    """Return the edits of the code, each after its parent."""
    found = variant_results(report.record, report.trials, report.versions)
    return [_row(result, report.record.spec) for result in found if result.variant.is_edited]


def version_lines(report: ReportInput) -> Iterator[str]:
    """Yield a line for each edit."""
    for row in version_rows(report)[:MAX_EDITS]:
        trials = f", {row.trials} trial{'s' if row.trials != 1 else ''}" if row.trials else ""
        yield f"{'  ' * row.depth}- {row.name} ({row.direction}{trials}): {row.result}. {row.rationale}"


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
        diff=variant.diff,
        warnings=variant.warnings,
    )


def _result(result: VariantResult, spec: StudySpec) -> str:
    variant, best = result.variant, result.best
    if variant.state is not VariantState.SOUND:
        return f"{variant.state.value}: {variant.reason}"
    if best is None:
        return "no complete trial" if result.trials else "never ran"
    claim = f", {CLAIM}" if is_claim(spec, variant.id) else ""
    if best.confirmed is not None:
        return f"{plus_minus(best.confirmed)} on {best.confirmed.count} fresh seeds{claim}"
    return f"best {short_number(best.value)}{claim}"
