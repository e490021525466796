"""Writes a study as one HTML file that needs no network: it contains plotly, the styles, the data and the script.

Text from training scripts is untrusted: jinja escapes it, the data are JSON without `<` in a script element, and the
page's content security policy allows only the three scripts that this module wrote.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import render_short, strip_control
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.confirmation.held_out_test import held_out_test_line
from tunesmith.tools.analysis.confirmation.hidden_choice import choice_note
from tunesmith.tools.analysis.confirmation.replicate_comparison import (
    pair_comparisons,
    pair_lines,
    shrinkage_lines,
    shrinkages,
)
from tunesmith.tools.analysis.failing_instances import failing_lines
from tunesmith.tools.analysis.findings.figures import gain_text, plus_minus
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.analysis.instance_table import instance_table
from tunesmith.tools.report import facts, view_model
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.next_steps import next_steps
from tunesmith.tools.report.plots import colours, curves, parallel
from tunesmith.tools.report.sanitize import LONGEST_CELL, cut
from tunesmith.tools.report.versions import MAX_EDITS, gain_lines, version_rows, waiting_line
from tunesmith.tools.variants.run_command import code_needed


def write_html(report: ReportInput, path: Path) -> None:
    """Write the page to `path` atomically, and make its folder. About 5 MB, most of it plotly.

    Raises:
        OSError: the file cannot be written.
    """
    text = _render(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)


def _render(report: ReportInput) -> str:
    import jinja2  # 0.1 s
    from plotly.offline import get_plotlyjs  # 0.3 s

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_control,
    )
    environment.filters |= {
        "short": facts.number_text, "value": render_short, "cut": cut, "gain": gain_text, "pm": plus_minus,
    }  # fmt: skip
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    template = environment.from_string(_asset("template.html.j2"))
    summary = report.summary
    plotly = get_plotlyjs()
    return template.render(
        **_template_values(report, summary),
        nonce=_nonce(report),
        plotly=plotly,
        style=_asset("style.css"),
        script="\n".join(_asset(name) for name in ("plots.js", "table.js")),
    )


def _template_values(report: ReportInput, summary: Summary) -> dict[str, Any]:
    plots = view_model.plots(report, summary)
    default = summary.default.number if summary.default else None
    return {
        "record": report.record,
        "spec": report.record.spec,
        "description": cut(report.record.spec.study.description, 2000),
        "command": report.command,
        "needed": code_needed(report.record.spec, report.best_code),
        "versions": version_rows(report)[:MAX_EDITS],
        "waiting": waiting_line(report),
        "gains": gain_lines(report),
        "generated": view_model.when(report.generated_at),
        "began": view_model.when(report.record.created_at) if report.record.created_at else "",
        "summary": summary,
        # A figure and its margin stay on one line.
        "headline": summary.headline.replace(" -> ", " → ").replace(" ± ", "\u00a0±\u00a0"),
        "test": held_out_test_line(report.tests, summary.best.number if summary.best else None),
        "choice_note": choice_note(report.events, len(report.trials)),
        "at_scale": [found.text for found in report.at_scale],
        "tiles": view_model.tiles(summary),
        "pairs": pair_lines(pair_comparisons(summary), default),
        "shrinkage": shrinkage_lines(shrinkages(summary), default, summary.fresh),
        "next_steps": next_steps(report, summary),
        "plots": plots,
        "curves_thinned": curves.is_thinned(report),
        "has_inactive": parallel.has_inactive(report),
        "lessons": report.lessons,
        "llm_worth": facts.llm_worth(report),
        "arms": report.arms,
        "arm_choice": report.record.spec.space.arms,
        "failing_instances": failing_lines(report.trials),
        "instances": instance_table(report.trials, report.record.spec),
        "failures": facts.failures(report.trials),
        "sources": facts.sources(report),
        "colours": colours.SOURCES,
        "spending": facts.spending(report),
        "origin": facts.origin(report),
        "settings": json.dumps(facts.document(report), indent=2, ensure_ascii=False),
        "trials": len(report.trials),
        "best_rationale": _rationale(report.trials, summary),
        "data": view_model.data(plots, report),
    }


def _without_control(value: Any) -> Any:
    """Return what the template writes without control characters; its own scripts and escaped JSON stay."""
    return strip_control(value) if type(value) is str else value


def _rationale(trials: Any, summary: Summary) -> str:
    found: Trial | None = next((t for t in trials if summary.best and t.number == summary.best.number), None)
    return cut(found.proposal.rationale, LONGEST_CELL) if found else ""


def _asset(name: str) -> str:
    return (resources.files("tunesmith.tools.report") / "assets" / name).read_text(encoding="utf-8")


def _nonce(report: ReportInput) -> str:
    """Return a nonce that text in the report cannot contain; the same report gives the same nonce."""
    return hashlib.sha256(repr((report.generated_at, report.record, report.trials)).encode()).hexdigest()[:32]
