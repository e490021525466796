"""Advice on what to try next, with the evidence for each piece. Rules over the history; no model is asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from tunesmith.study.formatting import count, render_short
from tunesmith.study.trials.results import present_improvements
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.bounds.range_ends import reached_ends
from tunesmith.tools.analysis.findings.headline import StudyVerdict
from tunesmith.tools.analysis.findings.summary import Summary
from tunesmith.tools.analysis.llm_requests import open_requests
from tunesmith.tools.report.inputs import ReportInput

MAX_STEPS = 5
MAX_REQUESTS = 2
"""Number of an LLM's requests that are advice."""
MIN_TRIALS = 20
"""Number of finished trials from which the position of the last improvement and a low importance are evidence."""
LATE, EARLY = 0.8, 0.5
"""Fractions of the study before which the last improvement is early, and after which it is late."""
IMPORTANT, UNIMPORTANT = 0.1, 0.05
"""Share of the variance above which a parameter matters, and upper end of an interval below which it does not."""
MIN_FAILED_SHARE = 0.2
"""Share of trials from which a kind of failure gets advice."""
MIN_CURVE_POINTS = 10
"""Number of points from which the end of a curve is judged."""
MIN_LATE_GAIN = 0.05
"""Share of a curve's gain that its last fifth must have brought for the advice to train longer."""

_ADVICE = {
    "oom": "narrow the parameters that need memory, or report memory as a metric and bound it in [[constraints]]",
    "nan": "narrow the range that diverges, most often the upper end of the learning rate, or clip gradients",
    "timeout": "raise [run].timeout, or narrow the parameters that make training slow",
    "crash": "read the ends of their logs under Failures",
    "no_metric": "let the script print the metric in every case",
    "killed": "read the reasons under Failures",
}


def next_steps(report: ReportInput, summary: Summary) -> list[str]:
    """Return at most MAX_STEPS pieces of advice, the most useful first."""
    rules: tuple[Callable[[ReportInput, Summary], Iterator[str]], ...] = (
        _confirmation, _requests, _range_ends, _training_length, _convergence, _failures, _unimportant,
    )  # fmt: skip
    return [line for rule in rules for line in rule(report, summary)][:MAX_STEPS]


def _confirmation(report: ReportInput, summary: Summary) -> Iterator[str]:
    versus = summary.versus_default
    if summary.verdict is StudyVerdict.UNCONFIRMED and report.record.spec.confirm is None:
        yield "Add [confirm] with seeds = 5 and run again: the gain has not been confirmed on fresh seeds."
    elif summary.verdict is StudyVerdict.UNCONFIRMED and not (summary.stated is not None and summary.stated.is_fresh):
        yield f"Run again with more time: the study ended before the gain was confirmed on {summary.fresh}."
    elif summary.verdict is StudyVerdict.WITHIN_NOISE and versus is not None and versus.gain > 0 and summary.best:
        seeds = summary.best.confirmed.count if summary.best.confirmed else 0
        # The margin shrinks with the square root of the number of seeds.
        needed = math.ceil(seeds * (versus.margin / versus.gain) ** 2)
        key = "seeds" if summary.winner is not None and summary.winner.is_hidden else "max_seeds"
        if seeds < needed <= 10 * seeds:
            yield (
                f"About {needed} seeds each would distinguish a gain of {short_number(versus.gain, 2)} "
                f"from noise; if it is worth that, set [confirm].{key} = {needed} and run again."
            )


def _requests(report: ReportInput, summary: Summary) -> Iterator[str]:  # noqa: ARG001
    yield from open_requests(report.events, report.record.spec)[:MAX_REQUESTS]


def _range_ends(report: ReportInput, summary: Summary) -> Iterator[str]:
    if summary.best is None:
        return
    for reached in reached_ends(report.record.spec.space, summary.best.params):
        share = summary.importance.largest(reached.name)
        if share is not None and share.mean >= IMPORTANT:
            yield (
                f"Widen {reached.name}: the best value, {render_short(reached.value)}, is at the {reached.end} end of "
                f"its range ({render_short(reached.bound)}), and {reached.name} has {share.mean:.0%} of the importance."
            )


def _training_length(report: ReportInput, summary: Summary) -> Iterator[str]:
    if summary.best is None:
        return
    metric, sign = summary.objective.metric, summary.objective.sign
    points = sorted((o for o in report.curves.get(summary.best.number, ()) if o.metric == metric), key=lambda o: o.step)
    losses = [sign * o.value for o in points if math.isfinite(o.value)]
    if len(losses) < MIN_CURVE_POINTS:
        return
    whole, end = losses[0] - min(losses), losses[-1 - len(losses) // 5] - losses[-1]
    if whole > 0 and losses[-1] == min(losses) and end > MIN_LATE_GAIN * whole:
        fidelity = report.record.spec.fidelity
        how = f" ([fidelity].max, now {fidelity.max:g})" if fidelity else ""
        share = f"{end / whole:.0%}"
        yield f"Train longer{how}: the last fifth of the best trial's curve still brought {share} of its gain."


def _convergence(report: ReportInput, summary: Summary) -> Iterator[str]:
    spec = report.record.spec
    trials = [t for t in report.trials if t.counts and not t.is_replicate and t.state.is_finished]
    steps = present_improvements(trials, spec)
    if len(trials) < MIN_TRIALS or not steps or summary.front:
        return
    position = (steps[-1].number + 1) / (trials[-1].number + 1)
    if position >= LATE:
        yield (
            f"Run more trials: the best, #{steps[-1].number}, was found late, so the search may "
            "not have converged; the same command resumes it with a larger [budget]."
        )
    elif position <= EARLY:
        since = trials[-1].number - steps[-1].number
        yield (
            f"More trials of this space are unlikely to help: the last {count(since, 'trial')} brought nothing better "
            f"than #{steps[-1].number}. Tune other parameters, or change the data or the code."
        )


def _failures(report: ReportInput, summary: Summary) -> Iterator[str]:  # noqa: ARG001
    trials: list[Trial] = [t for t in report.trials if not t.is_replicate and t.state.is_finished]
    kinds = Counter(t.failure.kind.value for t in trials if t.failure)
    for kind, number in kinds.most_common(1):
        if number >= MIN_FAILED_SHARE * len(trials) and kind in _ADVICE:
            yield f"{number} of {count(len(trials), 'trial')} failed as {kind}: {_ADVICE[kind]}."


def _unimportant(report: ReportInput, summary: Summary) -> Iterator[str]:
    complete = summary.states.get("complete", 0)
    space, best = report.record.spec.space, summary.best.params if summary.best is not None else {}
    unimportant = [
        name
        for name in space.names
        # Where the best differs from the default, the change may be part of the gain, however small the importance.
        if summary.importance.is_unimportant(name, UNIMPORTANT) and best.get(name) == (space.default or {}).get(name)
    ]
    if complete >= MIN_TRIALS and unimportant:
        named = ", ".join(unimportant[:MAX_STEPS]) + (" and others" if len(unimportant) > MAX_STEPS else "")
        where = "over the whole space and near the best"
        yield f"Remove the parameters that had no effect (surely under {UNIMPORTANT:.0%} each, {where}): {named}."
