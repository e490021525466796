"""One trial as text: who proposed it and why, its values, its end and its cost."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.cli.display.trial_table import trial_note
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.energy import gpu_line
from tunesmith.study.formatting import SHORT_DIGITS, count, escape_control, one_line, render_params, strip_control
from tunesmith.study.search_replace import split_lines
from tunesmith.study.trials.observed.series import series_of
from tunesmith.study.trials.replicates.unlisted import unlisted_reason
from tunesmith.study.trials.trial import Proposal, Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds
from tunesmith.tools.analysis.instance_table import value_over_instances

LOG_LINES = 15
"""Lines shown from the end of a failed trial's log."""
MAX_SERIES = 16
"""Number of a trial's series that are shown."""


def trial_story(opened: OpenStudy, trial: Trial) -> str:
    """Return everything a person may ask about one trial, as lines."""
    lines = [
        f"trial {trial.number} of {opened.record.name}: {trial.state.value}",
        _line("configuration", render_params(trial.params, digits=SHORT_DIGITS)),
        *_proposal_lines(trial.proposal),
        *_result_lines(trial, opened.record.spec),
        *_series_lines(opened, trial),
        *_instance_lines(trial),
        *_front_lines(opened, trial),
        _line("ran as", f"attempt {trial.attempt}, training seed {trial.proposal.seed}, code {trial.proposal.variant}"),
        _line("folder", str(opened.folder / "trials" / f"{trial.number:04d}")),
    ]
    if trial.failure and trial.failure.tail:
        lines.append("  end of the log:")
        lines += [f"    {escape_control(line)}" for line in split_lines(strip_control(trial.failure.tail))[-LOG_LINES:]]
    return "\n".join(lines)


def _series_lines(opened: OpenStudy, trial: Trial) -> list[str]:
    """Return each series that it reported, in a few numbers."""
    series = series_of(opened.history.curve(opened.record.id, trial.number))
    lines = [
        _line("series" if index == 0 else "", f"{one_line(s.metric, 60)}: {s.text}") for index, s in enumerate(series)
    ]
    more = len(lines) - MAX_SERIES
    return [*lines[:MAX_SERIES], *([_line("", f"and {more} more, in the report")] if more > 0 else [])]


def _instance_lines(trial: Trial) -> list[str]:
    """Return what the configuration reached on each instance."""
    if trial.runs is None:
        return [_line("instance", one_line(trial.proposal.instance, None))] if trial.proposal.instance else []
    return [
        _line("on" if index == 0 else "", f"{one_line(name, None)}: {short_number(value)}")
        for index, (name, value) in enumerate(trial.runs.values.items())
    ]


def _line(name: str, text: str) -> str:
    return f"  {name:<14} {text}"


def _value_text(trial: Trial, metric: str, spec: StudySpec) -> str:
    if not any(o.metric == metric for o in spec.objectives):
        return short_number(trial.values[metric])
    of = value_over_instances(trial, spec.instance_set)
    return f"{short_number(trial.values[metric])}  (objective{f': {of}' if of else ''})"


def _front_lines(opened: OpenStudy, trial: Trial) -> list[str]:
    """Return whether a complete trial of several objectives is on the Pareto front, else which trials dominate it."""
    front = opened.history.front(opened.record)
    objectives = opened.record.spec.objectives
    if not front or trial.state is not TrialState.COMPLETE or trial.is_replicate:
        return []
    if any(other.number == trial.number for other in front):
        return [_line("Pareto front", f"it is one of the {count(len(front), 'trial')} on it")]
    better = ", ".join(f"#{other.number}" for other in front if _dominates(other, trial, objectives))
    return [_line("Pareto front", f"not on it; as good or better in every objective: {better}")] if better else []


def _dominates(one: Trial, other: Trial, objectives: Sequence[Objective]) -> bool:
    return all(
        o.metric in other.values and o.sign * one.values[o.metric] <= o.sign * other.values[o.metric]
        for o in objectives
    )


def _proposal_lines(proposal: Proposal) -> list[str]:
    reason = one_line(proposal.rationale, None) or "no reason was given"
    lines = [_line("proposed by", f"{proposal.source.value}: {reason}")]
    if proposal.fallback_reason:
        lines.append(_line("fallback", one_line(proposal.fallback_reason, None)))
    lines += [_line("considered", one_line(line, None)) for line in proposal.considered]
    if proposal.prediction:
        expected = proposal.prediction
        spread = f" (standard deviation {short_number(expected.std, 2)})" if expected.std else ""
        lines.append(_line("expected", f"{short_number(expected.mean)}{spread}"))
    return lines


def _result_lines(trial: Trial, spec: StudySpec) -> list[str]:
    lines = [_line(one_line(name, None), _value_text(trial, name, spec)) for name in trial.values]
    if trial.outcome is None:
        return lines
    if not trial_note(trial).endswith(trial.proposal.rationale):
        lines.append(_line("end", trial_note(trial)))
    broken = broken_bounds(trial, spec.metric_constraints) if trial.state is TrialState.COMPLETE else ""
    if broken:
        lines.append(_line("breaks a bound", f"{broken}; it cannot be the best"))
    if trial.forgotten:
        lines.append(
            _line("forgotten", "it teaches nothing and counts nowhere; `tunesmith forget --undo` changes that")
        )
    elif trial.is_unlisted:
        lines.append(_line("counts nowhere", f"it ran {unlisted_reason(trial, spec.instance_set)}"))
    elif not trial.counts:
        lines.append(_line("counts nowhere", "trials failed with this message regardless of their parameters"))
    usage = trial.outcome.usage
    gpu = f", {short_seconds(usage.gpu_s)} GPU" if usage.gpu_s else ""
    times = f"{short_seconds(usage.wall_s)} wall, {short_seconds(usage.cpu_s)} CPU{gpu}"
    lines.append(_line("used", f"{times}, peak memory {usage.peak_rss_gib:.2f} GiB"))
    if gpu_line(usage):
        lines.append(_line("GPU", gpu_line(usage)))
    return lines
