"""Every figure of a report as JSON values, for other programs. Numbers that JSON lacks (nan, inf) become null."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tunesmith.study.formatting import json_values
from tunesmith.tools.analysis.confirmation.replicate_comparison import pair_comparisons, shrinkages
from tunesmith.tools.analysis.findings.figures import ConfigResult
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.report import facts
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.next_steps import next_steps
from tunesmith.tools.report.versions import gain_lines, version_rows


def to_json(report: ReportInput) -> dict[str, Any]:
    """Return the report as values that json.dumps accepts."""
    summary = report.summary
    found = {
        "study": report.record.name,
        "generated_at": report.generated_at,
        "command": report.command,
        "summary": _summary(summary),
        "tests": [{**asdict(test), "state": test.state.value, "values": dict(test.values)} for test in report.tests],
        "at_scale": [{**asdict(found), "text": found.text} for found in report.at_scale],
        "pairs": [asdict(pair) for pair in pair_comparisons(summary)],
        "shrinkage": [asdict(shrinkage) for shrinkage in shrinkages(summary)],
        "next_steps": next_steps(report, summary),
        "sources": [asdict(share) for share in facts.sources(report)],
        "versions": [asdict(row) for row in version_rows(report)],
        "gain_steps": gain_lines(report),
        "lessons": [{"text": lesson.text, "trials": list(lesson.trials)} for lesson in report.lessons],
        "llm_worth": facts.llm_worth(report),
        "failures": [asdict(group) for group in facts.failures(report.trials)],
        "spent": asdict(report.record.spent),
        "origin": facts.origin(report),
        "settings": facts.document(report),
        "trials": [_row(row) for row in facts.rows(report)],
        "curves": {
            str(number): [[o.metric, o.step, o.value] for o in points] for number, points in report.curves.items()
        },
    }
    values: dict[str, Any] = json_values(found)
    return values


def _row(row: facts.Row) -> dict[str, Any]:
    return {**asdict(row), "values": dict(row.values), "params": dict(row.params)}


def _summary(summary: Summary) -> dict[str, Any]:
    versus = summary.versus_default
    return {
        "headline": summary.headline,
        "verdict": summary.verdict.value,
        "objectives": [{"metric": o.metric, "direction": o.direction.value} for o in summary.objectives],
        "best": _candidate(summary.best),
        "best_value_on_one_seed": summary.winner.value if summary.winner else None,
        "best_expected": summary.winner.expected if summary.winner else None,
        "noise_between_seeds": summary.winner.noise if summary.winner else None,
        "best_is_confirmed": bool(summary.winner and summary.winner.is_confirmed),
        "left_out": summary.left_out,
        "default": _candidate(summary.default),
        "gain": summary.gain,
        "confirmed_gain": summary.confirmed_gain,
        "stated_gain": asdict(summary.stated) if summary.stated else None,
        "versus_default": asdict(versus) if versus else None,
        "noise": asdict(summary.noise) if summary.noise else None,
        "replicated": [_candidate(c) for c in summary.replicated],
        "front": [_candidate(c) for c in summary.front],
        "cheaper": [asdict(choice) for choice in summary.cheaper],
        "states": dict(summary.states),
        "importance": {name: share.mean for name, share in summary.importance.whole.items()},
        "importance_intervals": {
            "whole_space": {name: asdict(share) for name, share in summary.importance.whole.items()},
            "near_best": {name: asdict(share) for name, share in summary.importance.near_best.items()},
        },
    }


def _candidate(candidate: ConfigResult | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {
        "number": candidate.number,
        "source": candidate.source,
        "value": candidate.value,
        "values": dict(candidate.values),
        "params": dict(candidate.params),
        "confirmed": asdict(candidate.confirmed) if candidate.confirmed else None,
    }
