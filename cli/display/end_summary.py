"""The end of a run: the best configuration as a command line, how sure that is, what mattered, what it cost."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence

from tunesmith.cli.display.format import first_line
from tunesmith.history.read import TrialCounts
from tunesmith.study.config.record import Lesson, StudyRecord
from tunesmith.study.energy import energy_line
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.units import short_seconds
from tunesmith.study.variant import Variant
from tunesmith.tools.analysis.source_credit import CreditReport, credit_report
from tunesmith.tools.analysis.summary import Summary
from tunesmith.tools.variants.run_command import code_needed, run_line

TOLD_LESSONS = 3


def end_lines(  # noqa: PLR0913  # each is another thing that a summary tells
    record: StudyRecord,
    summary: Summary,
    trial_counts: TrialCounts,
    trials: Sequence[Trial],
    lessons: Sequence[Lesson] = (),
    versions: Sequence[Variant] = (),
) -> list[str]:
    """Return the summary, a line each."""
    meter = credit_report(trials, record.spec.objectives, record.spec.bounds, record.spent)
    lines = [*_fallback_lines(meter), summary.headline]
    if summary.best is not None:
        code = next((t.proposal.code for t in trials if t.number == summary.best.number), "")
        lines.append(f"    {run_line(record.spec, summary.best.params, code, versions)}")
        lines += [f"    {code_needed(code)}"] if code else []
    if summary.important:
        lines.append("What mattered: " + ", ".join(f"{name} {share:.0%}" for name, share in summary.important))
    if lessons:
        learned = (
            f"{i}. {lesson.text} ({' '.join(f'#{n}' for n in lesson.trials)})"
            for i, lesson in enumerate(lessons[:TOLD_LESSONS], start=1)
        )
        lines.append("Learned: " + "   ".join(learned))
    lines += _failure_lines(record, trial_counts, trials)
    lines.append(_spent(record, trial_counts, meter))
    return lines


def _wrapped(line: str) -> str:
    """Break a sentence between words where a terminal would break it anywhere; what is to be pasted stays whole."""
    if line.startswith(" ") or not sys.stdout.isatty():
        return line
    return textwrap.fill(line, shutil.get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)


def _fallback_lines(meter: CreditReport) -> list[str]:
    """Say it first when those who should have proposed often could not."""
    if not meter.falls_back_often:
        return []
    reasons = ", ".join(f"{count} {kind}" for kind, count in meter.reasons)
    who = "The LLM" if meter.spent.llm_calls else "The sampler"
    turns = f"in {meter.fallbacks} of its {meter.turns} turns ({reasons})"
    return [f"{who} was stood in for {turns}: `tunesmith status --why N` tells the reason"]


def _failure_lines(record: StudyRecord, trial_counts: TrialCounts, trials: Sequence[Trial]) -> list[str]:
    failures = [(trial.failure.kind.value, first_line(trial.failure.reason)) for trial in trials if trial.failure]
    if not failures:
        return []
    kinds = ", ".join(f"{count} {kind}" for kind, count in trial_counts.failures.items())
    (kind, reason), count = Counter(failures).most_common(1)[0]
    last = max(trial.number for trial in trials if trial.failure)
    return [
        f"Failed: {trial_counts.states.get(TrialState.FAILED, 0)} of {record.spent.trials} trials ({kinds})",
        f"    {count} of them: {kind}: {reason}",
        f"    `tunesmith status --why {last}` shows the end of a log",
    ]


def _spent(record: StudyRecord, trial_counts: TrialCounts, meter: CreditReport) -> str:
    parts = [f"{record.spent.trials} trials"]
    if trial_counts.replicates:
        parts.append(f"{trial_counts.replicates} repetitions on other seeds")
    parts.append(f"{short_seconds(record.spent.hours * 3600)}")
    if record.spent.gpu_hours:
        parts.append(f"{record.spent.gpu_hours:.2f} GPU-hours")
    if record.spent.kwh:
        parts.append(energy_line(record.spent.kwh, record.spec.run.co2_g_per_kwh))
    if record.spent.llm_calls:
        found = sum(source.improvements for source in meter.sources if source.source is Source.LLM)
        total = sum(source.improvements for source in meter.sources)
        cost = f"${record.spent.llm_usd:.2f}" if record.spent.llm_usd else f"{record.spent.llm_tokens:,} tokens"
        parts.append(f"{cost} for the LLM (which found {found} of the {total} improvements)")
    return f"Spent: {', '.join(parts)}"
