"""A report as Markdown, for a terminal or a commit message. Text from scripts is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunesmith.study.formatting import render_short, strip_control
from tunesmith.study.search_replace import split_lines
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.held_out_test import held_out_test_line
from tunesmith.tools.analysis.confirmation.hidden_choice import choice_note
from tunesmith.tools.analysis.confirmation.replicate_comparison import (
    pair_comparisons,
    pair_lines,
    shrinkage_lines,
    shrinkages,
)
from tunesmith.tools.analysis.failing_instances import failing_lines
from tunesmith.tools.analysis.findings.figures import ConfigResult, plus_minus
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.analysis.instance_table import instance_table
from tunesmith.tools.report import facts
from tunesmith.tools.report.facts import number_text
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.report.next_steps import next_steps
from tunesmith.tools.report.sanitize import cut
from tunesmith.tools.report.versions import gain_lines, version_lines, waiting_line
from tunesmith.tools.variants.run_command import code_needed

_FRONT_ROWS = 15


def to_markdown(report: ReportInput) -> str:
    """Return the report without its plots and its table of trials."""
    summary = report.summary
    sections = (
        [f"# {_escaped(report.record.name)}", summary.headline, *_waiting(report)],
        [_fenced(report.command), *_code_needed(report)] if report.command else [],
        _held_out_test(report, summary),
        _gains(report),
        _values(summary),
        _instances(report),
        _comparisons(summary),
        _front(summary),
        _next_steps(report, summary),
        _importance(summary),
        _arms(report),
        _lessons(report),
        _edits(report),
        _failures(report),
        _sources(report),
        _spending(report),
        _origin(report),
    )
    # Once, at the door: what a script, a model or a person wrote must not act on the terminal that shows it.
    return strip_control("\n\n".join(line for section in sections for line in section) + "\n")


def _waiting(report: ReportInput) -> list[str]:
    line = waiting_line(report)
    return [line] if line else []


def _gains(report: ReportInput) -> list[str]:
    head, *steps = gain_lines(report) or [""]
    lines = [_escaped(head), *(f"- {_escaped(step)}" for step in steps)]
    return ["## Where the gain came from", "\n".join(lines)] if head else []


def _held_out_test(report: ReportInput, summary: Summary) -> list[str]:
    line = held_out_test_line(report.tests, summary.best.number if summary.best else None)
    note = choice_note(report.events, len(report.trials))
    return [_escaped(text) for text in (line, note, *(found.text for found in report.at_scale)) if text]


def _values(summary: Summary) -> list[str]:
    if summary.front or not summary.best:
        return []
    chosen = {c.number: c for c in (summary.default, summary.best, *summary.replicated) if c}
    lines = [
        [_label(c, summary), short_number(c.value), plus_minus(c.confirmed) if c.confirmed else "–", _gain(c, summary)]
        for c in chosen.values()
    ]
    return [
        "## Values",
        _table(["configuration", summary.objective.metric, f"on {summary.fresh} (± 95%)", "gain"], lines),
    ]


def _instances(report: ReportInput) -> list[str]:
    table, failing = instance_table(report.trials, report.record.spec), failing_lines(report.trials)
    notes = ["\n".join(f"- {_escaped(line)}" for line in failing)] if failing else []
    if table is None:
        return ["## Instances", *notes] if notes else []
    rows = [[_escaped(cell) for cell in row] for row in table.rows]
    more = [f"{table.left_out} more instances are left out."] if table.left_out else []
    return ["## Instances", _table(list(table.names), rows), *more, *notes]


def _comparisons(summary: Summary) -> list[str]:
    default = summary.default.number if summary.default else None
    shrunk = shrinkage_lines(shrinkages(summary), default, summary.fresh)
    lines = [*pair_lines(pair_comparisons(summary), default), *shrunk]
    return [f"## Comparisons on {summary.fresh}", "\n".join(f"- {line}" for line in lines)] if lines else []


def _next_steps(report: ReportInput, summary: Summary) -> list[str]:
    lines = [f"- {_escaped(line)}" for line in next_steps(report, summary)]
    return ["## What to try next", "\n".join(lines)] if lines else []


def _gain(candidate: ConfigResult, summary: Summary) -> str:
    if not summary.best or candidate.number != summary.best.number or summary.stated is None:
        return ""
    if summary.default is not None and candidate.number == summary.default.number:
        return ""  # it is what gains are measured against
    return f"{summary.stated.text} {summary.stated.where}"


def _label(candidate: ConfigResult, summary: Summary) -> str:
    is_default = summary.default is not None and candidate.number == summary.default.number
    return f"default (#{candidate.number})" if is_default else f"trial #{candidate.number} ({candidate.source})"


def _front(summary: Summary) -> list[str]:
    if not summary.front:
        return []
    metrics = [o.metric for o in summary.objectives]
    lines = [
        [f"#{c.number}", *(short_number(c.values[m]) for m in metrics), _parameters(c)]
        for c in summary.front[:_FRONT_ROWS]
    ]
    more = len(summary.front) - _FRONT_ROWS
    table = _table(["trial", *metrics, "parameters"], lines)
    cheaper = "\n".join(f"- {_escaped(choice.text)}" for choice in summary.cheaper)
    shown = ["## The Pareto front", table, *([f"{more} more."] if more > 0 else [])]
    return [*shown, "What less would give:", cheaper] if cheaper else shown


def _parameters(candidate: ConfigResult) -> str:
    return ", ".join(f"{name} {cut(render_short(value), 40)}" for name, value in candidate.params.items())


def _importance(summary: Summary) -> list[str]:
    if not summary.states.get("complete"):
        return []
    return ["## What mattered", "\n".join(f"- {_escaped(line)}" for line in summary.importance.lines)]


def _arms(report: ReportInput) -> list[str]:
    spec = report.record.spec
    lines = [f"- {_escaped(arm.text)}" for arm in report.arms]
    return [f"## Trials by {spec.space.arms}", "\n".join(lines)] if lines else []


def _code_needed(report: ReportInput) -> list[str]:
    line = code_needed(report.record.spec, report.best_code)
    return [line] if line else []


def _edits(report: ReportInput) -> list[str]:
    # The rationale of an edit comes from a model, so its markup is escaped.
    found = [(len(line) - len(line.lstrip()), line.lstrip(" -")) for line in version_lines(report)]
    lines = [f"{' ' * depth}- {_escaped(text)}" for depth, text in found]
    return ["## Edits of the code", "\n".join(lines)] if lines else []


def _lessons(report: ReportInput) -> list[str]:
    lines = [f"{i}. {_escaped(lesson.text)} ({_numbers(lesson.trials)})" for i, lesson in enumerate(report.lessons, 1)]
    return ["## Lessons", "\n".join(lines)] if lines else []


def _failures(report: ReportInput) -> list[str]:
    lines = list(_failure_lines(report))
    return ["## Failures", "\n".join(lines)] if lines else []


def _failure_lines(report: ReportInput) -> Iterator[str]:
    for group in facts.failures(report.trials):
        yield f"- **{group.kind}** ({len(group.trials)}): " + "; ".join(
            f"{_escaped(cut(example.reason, 160))} ({_numbers(example.trials)})" for example in group.examples
        )


def _sources(report: ReportInput) -> list[str]:
    lines = [
        [s.source, str(s.trials), str(s.complete), str(s.failed), number_text(s.best), _numbers(s.improved) or "–"]
        for s in facts.sources(report)
    ]
    if not lines:
        return []
    worth = "\n".join(f"- {_escaped(line)}" for line in facts.llm_worth(report))
    table = _table(["source", "trials", "complete", "failed", "best", "improved the best at"], lines)
    return ["## Sources", table, *([worth] if worth else [])]


def _spending(report: ReportInput) -> list[str]:
    lines = [f"- {s.name}: {s.used}{f' of {s.limit}' if s.limit else ''}" for s in facts.spending(report)]
    return ["## Spent", "\n".join(lines)] if lines else []


def _origin(report: ReportInput) -> list[str]:
    return ["## Reproduce", "\n".join(f"- {n}: {_code(t)}" for n, t in facts.origin(report).items())]


def _numbers(numbers: Sequence[int], most: int = 8) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return " ".join(f"#{number}" for number in numbers[:most]) + more


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns, readable in a terminal too."""
    cells = [[_cell(cell) for cell in line] for line in [head, *lines]]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(head))]
    padded = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([padded[0], rule, *padded[1:]])


def _cell(text: str) -> str:
    return _escaped(text) if re.search(r"[<>`\[\]|\r\n]", text) else text


def _escaped(text: str) -> str:
    """Return the text on one line, with the markup of Markdown and HTML escaped."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    line = " ".join(text.split())
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    return f"{ticks}{' ' if '`' in line else ''}{line}{' ' if '`' in line else ''}{ticks}"


def _fenced(text: str) -> str:
    return "\n".join(f"    {line}" for line in split_lines(text))
