"""Names the instances on which every run failed: a broken file or a script that cannot read it, not a configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import one_line
from tunesmith.study.trials.replicates.broken_instances import broken_instances
from tunesmith.study.trials.trial import Trial

MIN_RUNS = 2
"""Runs from which on an instance is named: one may have failed because of its configuration."""
MAX_LISTED = 6
"""Largest number of instances that are listed."""
_MAX_NAME, _MAX_REASON, _MAX_NUMBERS = 60, 160, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingInstance:
    """An instance on which all runs failed, most of them with this kind and reason; `trials` are their numbers."""

    name: str
    trials: tuple[int, ...]
    kind: str
    reason: str

    @property
    def runs(self) -> int:
        """The number of runs."""
        return len(self.trials)

    @property
    def text(self) -> str:
        """The finding as a sentence without a full stop."""
        name, reason = one_line(self.name, _MAX_NAME), one_line(self.reason, _MAX_REASON)
        return f"instance {name} failed in all {self.runs} runs: {self.kind}: {reason}"


def failing_instances(trials: Sequence[Trial]) -> list[FailingInstance]:
    """Return the instances on which every run failed while runs on others completed, the most runs first.

    Args:
        trials: those of a study. Forgotten trials and runs on instances that it has no longer are left out.
    """
    ended = [t for t in trials if t.proposal.instance and not (t.forgotten or t.is_unlisted)]
    completed = {t.proposal.instance for t in ended if t.has_completed}
    failed: dict[str, list[Trial]] = {}
    for trial in ended:
        if trial.has_failed and trial.proposal.instance not in completed:
            failed.setdefault(trial.proposal.instance, []).append(trial)
    if not completed:
        return []
    found = [_failing(name, some) for name, some in failed.items() if len(some) >= MIN_RUNS]
    return sorted(found, key=lambda one: (-one.runs, one.name))


def failing_lines(trials: Sequence[Trial]) -> list[str]:
    """Return a line for each instance on which every run failed, and what to do; none without such an instance."""
    found = failing_instances(trials)
    if not found:
        return []
    more = [f"{len(found) - MAX_LISTED} more instances failed in all runs"] if len(found) > MAX_LISTED else []
    broken = broken_instances(trials)
    lost = [one for one in found if one.name not in broken]
    fate = "a configuration that ran there cannot be chosen" if lost else "they count for no configuration"
    numbers = found[0].trials
    retried = " ".join(map(str, numbers)) if len(numbers) <= _MAX_NUMBERS else "--failed"
    hint = (
        f"`tunesmith status --why {numbers[-1]}` shows the end of a log; {fate}. Correct what the script reads and run "
        f"them again (`tunesmith retry {retried}`), or remove the instance from [instances]"
    )
    return [*(one.text for one in found[:MAX_LISTED]), *more, hint]


def _failing(name: str, failed: Sequence[Trial]) -> FailingInstance:
    reasons = Counter((t.failure.kind.value, t.failure.reason) for t in failed if t.failure)
    (kind, reason), _ = reasons.most_common(1)[0]
    return FailingInstance(name=name, trials=tuple(t.number for t in failed), kind=kind, reason=reason)
