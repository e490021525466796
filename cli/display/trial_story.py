"""One trial as text: who proposed it and why, its values, its end and its cost."""

from __future__ import annotations

from tunesmith.cli.display.trial_table import trial_note
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.study.energy import gpu_line
from tunesmith.study.formatting import SHORT_DIGITS, escape_control, one_line, render_params, strip_control
from tunesmith.study.search_replace import split_lines
from tunesmith.study.trials.trial import Proposal, Trial
from tunesmith.study.units import short_number, short_seconds

LOG_LINES = 15
"""Lines shown from the end of a failed trial's log."""


def trial_story(opened: OpenStudy, trial: Trial) -> str:
    """Return everything a person may ask about one trial, as lines."""
    lines = [
        f"trial {trial.number} of {opened.record.name}: {trial.state.value}",
        _line("configuration", render_params(trial.params, digits=SHORT_DIGITS)),
        *_proposal_lines(trial.proposal),
        *_result_lines(trial, opened.record.spec.objectives[0].metric),
        _line("ran as", f"attempt {trial.attempt}, training seed {trial.proposal.seed}, code {trial.proposal.variant}"),
        _line("folder", str(opened.folder / "trials" / f"{trial.number:04d}")),
    ]
    if trial.failure and trial.failure.tail:
        lines.append("  end of the log:")
        lines += [f"    {escape_control(line)}" for line in split_lines(strip_control(trial.failure.tail))[-LOG_LINES:]]
    return "\n".join(lines)


def _line(name: str, text: str) -> str:
    return f"  {name:<14} {text}"


def _proposal_lines(proposal: Proposal) -> list[str]:
    reason = one_line(proposal.rationale, None) or "no reason was given"
    lines = [_line("proposed by", f"{proposal.source.value}: {reason}")]
    if proposal.fallback_reason:
        lines.append(_line("fallback", one_line(proposal.fallback_reason, None)))
    lines += [_line("considered", one_line(line, None)) for line in proposal.considered]
    if proposal.prediction:
        expected = proposal.prediction
        spread = f" ± {short_number(expected.std, 2)}" if expected.std else ""
        lines.append(_line("expected", f"{short_number(expected.mean)}{spread}"))
    return lines


def _result_lines(trial: Trial, objective: str) -> list[str]:
    lines = []
    for name, value in trial.values.items():
        lines.append(
            _line(one_line(name, None), f"{short_number(value)}{'  (objective)' if name == objective else ''}")
        )
    if trial.outcome is None:
        return lines
    if trial_note(trial) != trial.proposal.rationale:
        lines.append(_line("end", trial_note(trial)))
    if trial.forgotten:
        lines.append(
            _line("forgotten", "it teaches nothing and counts nowhere; `tunesmith forget --undo` changes that")
        )
    elif not trial.counts:
        lines.append(_line("counts nowhere", "trials failed with this message regardless of their parameters"))
    usage = trial.outcome.usage
    gpu = f", {short_seconds(usage.gpu_s)} GPU" if usage.gpu_s else ""
    times = f"{short_seconds(usage.wall_s)} wall, {short_seconds(usage.cpu_s)} CPU{gpu}"
    lines.append(_line("used", f"{times}, peak memory {usage.peak_rss_gib:.2f} GiB"))
    if gpu_line(usage):
        lines.append(_line("GPU", gpu_line(usage)))
    return lines
