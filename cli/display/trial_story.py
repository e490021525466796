"""The story of one trial as text: who proposed it and why, what it gave and what it used."""

from __future__ import annotations

from tunesmith.cli.display.trial_table import trial_note
from tunesmith.cli.session.locate import OpenStudy
from tunesmith.study.energy import gpu_line
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params, strip_control
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number, short_seconds


def trial_story(located: OpenStudy, trial: Trial) -> str:
    """Return the story of one trial, as lines."""
    proposal = trial.proposal
    objective = located.record.spec.objectives[0]
    lines = [f"trial {trial.number} of {located.record.name}: {trial.state.value}"]
    lines.append(f"  configuration  {render_params(trial.params, digits=SHORT_DIGITS)}")
    lines.append(f"  proposed by    {proposal.source.value}: {proposal.rationale or 'no reason was given'}")
    if proposal.fallback_reason:
        lines.append(f"  fallback       {proposal.fallback_reason}")
    for line in proposal.considered:
        lines.append(f"  considered     {one_line(line, None)}")
    if proposal.prediction:
        expected = proposal.prediction
        spread = f" ± {short_number(expected.std, 2)}" if expected.std else ""
        lines.append(f"  expected       {short_number(expected.mean)}{spread}")
    for name, value in trial.values.items():
        lines.append(
            f"  {one_line(name, None):<14} {short_number(value)}{'  (objective)' if name == objective.metric else ''}"
        )
    if trial.outcome and trial_note(trial) != proposal.rationale:
        lines.append(f"  end            {trial_note(trial)}")
    if trial.outcome:
        usage = trial.outcome.usage
        lines.append(
            f"  used           {short_seconds(usage.wall_s)} wall, {short_seconds(usage.cpu_s)} CPU, "
            f"{short_seconds(usage.gpu_s)} GPU, {usage.peak_rss_gib:.2f} GiB at the peak"
        )
        lines += [f"  GPU            {gpu}" for gpu in [gpu_line(usage)] if gpu]
    lines.append(f"  runs           attempt {trial.attempt}, training seed {proposal.seed}, files {proposal.variant}")
    lines.append(f"  folder         {located.folder / 'trials' / f'{trial.number:04d}'}")
    if trial.failure and trial.failure.tail:
        lines += [
            "  end of the log:",
            *(f"    {strip_control(line)}" for line in trial.failure.tail.splitlines()[-15:]),
        ]
    return "\n".join(lines)
