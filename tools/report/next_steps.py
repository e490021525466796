"""What to try next, each piece of advice with what it rests on. Rules over the history; no model is asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from tunesmith.study.formatting import render_short
from tunesmith.study.space.parameters import Float, Int
from tunesmith.study.trials.results import present_improvements
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.summary import StudyVerdict, Summary
from tunesmith.tools.report.inputs import ReportInput

MOST = 5
EDGE = 0.02
"""A value within this part of its range, on its scale, stands at its border."""
ENOUGH = 20
"""From so many finished trials on it means something where improvements fell, and what decided nothing."""
LATE, EARLY = 0.8, 0.5
"""Where in the study the last improvement fell."""
MATTERS, IDLE = 0.1, 0.02
"""Shares of importance."""
OFTEN = 0.2
"""A kind of failure of so many of the trials is worth doing something about."""
STILL_FALLING = 0.05
"""The part of a curve's whole gain that its last fifth brought."""

_AGAINST = {
    "oom": "make what needs memory smaller, or bound it: [[constraints]] on a metric of memory",
    "nan": "narrow what diverges, most often the upper end of the learning rate, or clip gradients",
    "timeout": "raise [run].timeout, or leave out what is slow",
    "crash": "see the ends of their logs under Failures",
    "no_metric": "let the script print the metric in every case",
    "killed": "see the reasons under Failures",
}


def next_steps(report: ReportInput, summary: Summary) -> list[str]:
    """Return at most MOST pieces of advice, the most useful first."""
    rules: tuple[Callable[[ReportInput, Summary], Iterator[str]], ...] = (
        _confirmed, _borders, _curve, _pace, _failures, _idle,
    )  # fmt: skip
    return [line for rule in rules for line in rule(report, summary)][:MOST]


def _confirmed(report: ReportInput, summary: Summary) -> Iterator[str]:
    versus = summary.versus_default
    if summary.verdict is StudyVerdict.UNCONFIRMED and report.record.spec.confirm is None:
        yield "Add [confirm] with seeds = 5 and run again: whether the gain is real is not known yet."
    elif summary.verdict is StudyVerdict.UNCONFIRMED:
        yield "Run again with more time: whether the gain is real was not found out before the end."
    elif summary.verdict is StudyVerdict.WITHIN_NOISE and versus is not None and versus.gain > 0 and summary.best:
        seeds = summary.best.confirmed.count if summary.best.confirmed else 0
        # The margin shrinks with the square root of the number of seeds.
        needed = math.ceil(seeds * (versus.margin / versus.gain) ** 2)
        if seeds < needed <= 10 * seeds:
            yield (
                f"If a gain of {short_number(versus.gain, 2)} is worth it: about {needed} seeds each would tell it "
                f"from noise; set [confirm].max_seeds = {needed} and run again."
            )


def _borders(report: ReportInput, summary: Summary) -> Iterator[str]:
    if summary.best is None:
        return
    for name, value in summary.best.params.items():
        parameter = report.record.spec.space.parameters.get(name)
        is_ranged = isinstance(parameter, Float | Int) and isinstance(value, int | float)
        if not is_ranged or summary.importance.get(name, 0.0) < MATTERS:
            continue
        assert isinstance(parameter, Float | Int)  # noqa: S101  # looked at above
        place = parameter.to_unit(value)  # type: ignore[arg-type]  # of an Int it is an int
        end, bound = ("lower", parameter.low) if place <= EDGE else ("upper", parameter.high)
        if place <= EDGE or place >= 1.0 - EDGE:
            yield (
                f"Widen {name}: the best value, {render_short(value)}, stands at the {end} end of its range "
                f"({render_short(bound)}), and {name} decided {summary.importance[name]:.0%}."
            )


def _curve(report: ReportInput, summary: Summary) -> Iterator[str]:
    if summary.best is None:
        return
    metric, sign = summary.objective.metric, summary.objective.sign
    points = sorted((o for o in report.curves.get(summary.best.number, ()) if o.metric == metric), key=lambda o: o.step)
    losses = [sign * o.value for o in points if math.isfinite(o.value)]
    if len(losses) < 2 * MOST:
        return
    whole, end = losses[0] - min(losses), losses[-1 - len(losses) // 5] - losses[-1]
    if whole > 0 and losses[-1] == min(losses) and end > STILL_FALLING * whole:
        fidelity = report.record.spec.fidelity
        how = f" ([fidelity].max, now {fidelity.max:g})" if fidelity else ""
        share = f"{end / whole:.0%}"
        yield f"Train longer{how}: the last fifth of the best trial's curve still brought {share} of its gain."


def _pace(report: ReportInput, summary: Summary) -> Iterator[str]:
    spec = report.record.spec
    own = [t for t in report.trials if not t.is_replicate and t.state.is_finished]
    steps = present_improvements(own, spec)
    if len(own) < ENOUGH or not steps or summary.front:
        return
    place = (steps[-1].number + 1) / (own[-1].number + 1)
    if place >= LATE:
        yield (
            f"Run more trials: the best was found late (#{steps[-1].number} of {len(own)}), so the search was not at "
            "its end; the same command with a larger [budget] goes on."
        )
    elif place <= EARLY:
        since = own[-1].number - steps[-1].number
        yield (
            f"More trials of the same kind promise little: none of the last {since} improved on #{steps[-1].number}. "
            "Other parameters, more data or other code may."
        )


def _failures(report: ReportInput, summary: Summary) -> Iterator[str]:  # noqa: ARG001
    own: list[Trial] = [t for t in report.trials if not t.is_replicate and t.state.is_finished]
    kinds = Counter(t.failure.kind.value for t in own if t.failure)
    for kind, count in kinds.most_common(1):
        if count >= OFTEN * len(own) and kind in _AGAINST:
            yield f"{count} of {len(own)} trials failed as {kind}: {_AGAINST[kind]}."


def _idle(report: ReportInput, summary: Summary) -> Iterator[str]:
    complete = summary.states.get("complete", 0)
    idle = [name for name in report.record.spec.space.names if summary.importance.get(name, 0.0) < IDLE]
    if complete >= ENOUGH and summary.importance and idle:
        named = ", ".join(idle[:MOST]) + (" and others" if len(idle) > MOST else "")
        yield f"Leave out what decided nothing (under {IDLE:.0%} each): {named}."
