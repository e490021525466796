"""A code variant and what it gained, as text for a terminal and for a commit message."""

from __future__ import annotations

from tunesmith.study.config.record import StudyRecord
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import Variant, VariantState
from tunesmith.tools.analysis.confirmation.significance import Difference
from tunesmith.tools.analysis.findings.figures import ConfigResult, confirmed_text, gain_text, probability_text
from tunesmith.tools.variants.constants import FILL
from tunesmith.tools.variants.results import TrialCost, VariantComparison
from tunesmith.tools.variants.run_command import CLAIM, is_claim, run_line

TITLE_WIDTH = 72
"""Longest first line of a commit message."""


def variant_lines(variant: Variant, of_study: str = "") -> list[str]:
    """Return who made a variant, why, whether it can run, and its warnings; `of_study` follows the id."""
    direction = f" ({variant.direction})" if variant.direction else ""
    if variant.is_edited:
        origin = f"by {variant.author}" if of_study else f"from {variant.parent}, by {variant.author}"
    else:
        origin = "your own code"
    lines = [f"variant {variant.id}{of_study}{direction}, {origin}"]
    if variant.is_edited:
        lines.append(f"  {one_line(variant.rationale, None) or 'no reason was given'}")
    if variant.state is not VariantState.SOUND:
        lines.append(f"  {variant.state.value}: {one_line(variant.reason, None)}")
    for name, table in variant.declared.items():
        span = table.get("choices") or [table.get("low"), table.get("high")]
        place = f" in {table[FILL]}" if FILL in table else ""
        lines.append(f"  parameter {name}{place}: {' to '.join(map(str, span))}")
    return lines + [f"  warning: {one_line(warning, None)}" for warning in variant.warnings]


def comparison_lines(record: StudyRecord, found: VariantComparison) -> list[str]:
    """Return a variant's trials, gain, cost and best configuration."""
    failed = ", ".join(f"{count} {kind}" for kind, count in found.result.failures.items())
    parts = {
        "trials": [f"{found.result.trials}{f' ({failed})' if failed else ''}"],
        "gain": _gain_lines(record, found),
        "cost": _cost_lines(found),
        "best with": [render_params(found.best.params, digits=SHORT_DIGITS), best_command(record, found)]
        if found.best
        else [],
    }
    return [f"{name if not n else '':<10} {line}" for name, lines in parts.items() for n, line in enumerate(lines)]


def commit_message(record: StudyRecord, found: VariantComparison) -> str:
    """Return the reason as the title, then the gain and the best configuration."""
    variant = found.result.variant
    reason = one_line(variant.rationale, None) or f"Apply variant {variant.id}"
    title = reason if len(reason) <= TITLE_WIDTH else f"{reason[: TITLE_WIDTH - 4].rsplit(' ', 1)[0]} ..."
    paragraphs = [title, *([reason] if title != reason else []), "\n".join(_gain_lines(record, found))]
    if found.best is not None:
        paragraphs.append(f"Best with: {best_command(record, found)}")
    paragraphs.append(f"Tunesmith study {record.name}, variant {variant.id}")
    return "\n\n".join(paragraphs) + "\n"


def best_command(record: StudyRecord, found: VariantComparison) -> str:
    """Return the command line of the best configuration with this code; the variant must have one."""
    assert found.best is not None  # noqa: S101  # callers check
    variant = found.result.variant
    return run_line(record.spec, found.best.params, variant.id, [variant], seed=found.seed)


def _gain_lines(record: StudyRecord, found: VariantComparison) -> list[str]:
    """Return the gain with its uncertainty; values on fresh seeds replace those of tuning."""
    best, default, metric = found.best, found.default, record.spec.objectives[0].metric
    if best is None:
        return ["unknown: no trial of this variant is complete"]
    lines = [f"{metric} {_value_text(best)} (trial {best.number})"]
    if default is not None:
        lines.append(f"the default: {_value_text(default)}; {_gain_text(found.versus_default, found.gain, default)}")
    if found.unedited is not None:
        other = found.unedited
        gain = _gain_text(found.versus_unedited, found.gain_on_unedited, other)
        lines.append(f"the best without the edit: {_value_text(other)} (trial {other.number}); {gain}")
    if is_claim(record.spec, found.result.variant.id):
        lines.append(f"{CLAIM}: without [evaluate], no one else measured it, so read the diff before you trust it")
    if best.confirmed is None:
        lines.append("not confirmed on fresh seeds: the best of many values is partly luck")
    return [*lines, *(at_scale.text for at_scale in found.at_scale)]


def _value_text(found: ConfigResult) -> str:
    return confirmed_text(found) or f"{short_number(found.value)} in tuning"


def _gain_text(versus: Difference | None, gain: float | None, other: ConfigResult) -> str:
    """Return the gain with its interval if both ran on fresh seeds, else the gain in tuning."""
    if versus is None:
        return gain_text(gain) if gain is not None else "no relative gain: the other value is 0"
    mean = abs(other.confirmed.mean) if other.confirmed else 0.0
    size = (
        f"{versus.gain / mean:+.1%} ± {versus.margin / mean:.1%}"
        if mean
        else f"{versus.gain:+.3g} ± {versus.margin:.2g}"
    )
    return f"{size}, better with probability {probability_text(versus.probability)}"


def _cost_lines(found: VariantComparison) -> list[str]:
    if found.cost is None:
        return ["unknown: no trial of this variant is complete"]
    line = f"{_cost_text(found.cost)} per trial"
    if found.base_cost is None:
        return [line]
    ratio = found.cost.wall_s / found.base_cost.wall_s if found.base_cost.wall_s else 1.0
    return [line, f"{_cost_text(found.base_cost)} with your own code: {ratio:.2f} times the wall time"]


def _cost_text(cost: TrialCost) -> str:
    gpu = f", {short_seconds(cost.gpu_s)} GPU" if cost.gpu_s else ""
    return f"{short_seconds(cost.wall_s)} wall, {short_seconds(cost.cpu_s)} CPU{gpu}, {cost.peak_rss_gib:.2f} GiB"
