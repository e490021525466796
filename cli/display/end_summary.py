"""The summary at the end of a run: the best configuration as a command line, its uncertainty, importance and cost."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence

from tunesmith.agent.planner.estimates.no_gain import further_gain
from tunesmith.cli.display.format import first_line, front_rows, set_aside_text
from tunesmith.history.queries.counts import TrialCounts
from tunesmith.study.config.record import Lesson, StudyRecord
from tunesmith.study.energy import energy_line
from tunesmith.study.formatting import count
from tunesmith.study.trials.results import study_front
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_seconds
from tunesmith.tools.analysis.confirmation.held_out_test import held_out_test_line
from tunesmith.tools.analysis.confirmation.hidden_choice import choice_note
from tunesmith.tools.analysis.failing_instances import failing_lines
from tunesmith.tools.analysis.findings.headline import StudyVerdict
from tunesmith.tools.analysis.findings.judge_line import judge_line
from tunesmith.tools.analysis.source_credit import CreditReport, credit_report, missed_turns_text, worth_text
from tunesmith.tools.control.study_reader import study_view
from tunesmith.tools.report.inputs import ReportInput
from tunesmith.tools.variants.run_command import code_needed

SHOWN_LESSONS = 3


def end_lines(report: ReportInput, counts: TrialCounts) -> list[str]:
    """Return the summary, one paragraph per line."""
    record, summary, trials = report.record, report.summary, report.trials
    credit = credit_report(trials, record.spec, record.spent)
    note = choice_note(report.events, len(trials))
    lines = [*_fallback_lines(credit), summary.headline, *([note] if note else [])]
    lines += [line] if (line := judge_line(report.events)) else []
    lines += [found.text for found in report.at_scale]
    front = study_front(trials, record.spec)
    if front:
        lines += [f"  {row}" for row in front_rows(front, record.spec.objectives)]
        lines += [*(f"  {choice.text}" for choice in summary.cheaper), _front_command(report)]
    if summary.verdict is StudyVerdict.WITHIN_NOISE:
        lines.append("The command of that candidate, if you want to try it further:")
    if summary.best is not None:
        lines.append(f"    {report.command}")
        lines += [f"    {code_needed(record.spec, report.best_code)}"] if report.best_code else []
    if summary.important:
        lines.append(f"What mattered, {'; '.join(summary.importance.worded(len(summary.important)))}.")
    if report.lessons:
        lines.append(_lessons_line(report.lessons))
    further = further_gain(study_view(record.spec, trials))
    lines += [further.text] if further is not None else []
    lines += _failure_lines(record, counts, trials)
    lines += [f"{line[0].upper()}{line[1:]}" for line in failing_lines(trials)]
    worth = worth_text(credit)
    lines += [worth] if worth else []
    lines.append(_spent_line(record, counts))
    test = held_out_test_line(report.tests, summary.best.number if summary.best else None)
    return [*lines, test] if test else lines


def _front_command(report: ReportInput) -> str:
    best, metric = report.summary.best, report.summary.objective.metric
    return f"The command of trial {best.number}, the best in {metric}:" if best is not None else ""


def wrap_for_terminal(line: str) -> str:
    """Break a sentence between words at the terminal's width; an indented line is to be pasted and stays whole."""
    if line.startswith(" ") or not sys.stdout.isatty():
        return line
    return textwrap.fill(line, shutil.get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)


def _fallback_lines(credit: CreditReport) -> list[str]:
    """Return a warning if the planner in use often could not propose."""
    missed = missed_turns_text(credit)
    return [f"{missed}; `tunesmith status --why N` shows the reason for trial N."] if missed else []


def _lessons_line(lessons: Sequence[Lesson]) -> str:
    learned = (
        f"{number}. {lesson.text} ({' '.join(f'#{n}' for n in lesson.trials)})"
        for number, lesson in enumerate(lessons[:SHOWN_LESSONS], start=1)
    )
    return "Learned: " + "   ".join(learned)


def _failure_lines(record: StudyRecord, counts: TrialCounts, trials: Sequence[Trial]) -> list[str]:
    aside = [f"Set aside: {set_aside_text(counts)}"] if counts.set_aside else []
    trials = [trial for trial in trials if trial.counts]
    failures = [(trial.failure.kind.value, first_line(trial.failure.reason)) for trial in trials if trial.failure]
    if not failures:
        return aside
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(kind for kind, _ in failures).most_common())
    runs = count(record.spent.trials, "trial")
    if counts.replicates:  # those that failed are among the failures
        runs = count(record.spent.trials + counts.replicates, "run")
    (kind, reason), number = Counter(failures).most_common(1)[0]
    last = max(trial.number for trial in trials if trial.failure)
    return [
        f"Failed: {len(failures)} of {runs} ({kinds})",
        f"    {f'{number} of them: ' if len(failures) > 1 else ''}{kind}: {reason}",
        f"    `tunesmith status --why {last}` shows the end of a log",
        *aside,
    ]


def _spent_line(record: StudyRecord, counts: TrialCounts) -> str:
    spent = record.spent
    parts = [count(spent.trials, "trial")]
    if counts.replicates:
        parts.append(f"{count(counts.replicates, 'repetition')} on other {'instances' if spent.runs else 'seeds'}")
    parts.append(short_seconds(spent.hours * 3600))
    if spent.gpu_hours:
        parts.append(f"{spent.gpu_hours:.2f} GPU-hours")
    if spent.kwh:
        parts.append(energy_line(spent.kwh, record.spec.run.co2_g_per_kwh))
    if spent.llm_calls:
        cost = f"${spent.llm_usd:.2f}" if spent.llm_usd else f"{spent.llm_tokens:,} tokens"
        parts.append(f"{cost} for the LLM")
    return f"Spent: {', '.join(parts)}"
