"""Summarizes a history of any length as text: a table of selected trials, failures by cause, and counts.

The table shows the best trials, the latest ones, and some of the others. Equal histories give equal text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.prompts.trial_rows import LEADING_ROWS, trial_table
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.formatting import one_line, render_parameter, render_shares
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter, has_default
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Source, Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import leaderboard

CHARS_PER_TOKEN = 3.0
"""Characters per token of a table of numbers. Prose has more, so estimates with this value are upper bounds."""

_TABLE_SIZES = ((10, 12, 12, 24), (8, 10, 8, 24), (6, 8, 5, 16), (5, 5, 3, 12), (3, 3, 0, 6), (2, 2, 0, 0))
"""Numbers of (best, latest, other, cited) trials in the table; the first size that fits the limit is used."""

_LONG_LOG_TAIL = 500
_SHORT_LOG_TAIL = 200
_MANY_BEST = 5
_MAX_FAILURE_KINDS = 5
_MAX_FAILED_NUMBERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummary:
    """A history as text.

    Attributes:
        table: a header and one line for each shown trial, by number.
        failures: one paragraph for each cause, the most frequent first; "" without failures.
        counts: number of trials in each state, in words.
    """

    table: str
    failures: str
    counts: str


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of the number of tokens in a text."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def summarize_history(
    view: StudyView,
    *,
    max_tokens: int,
    curves: Mapping[int, Sequence[float]] | None = None,
    cited: Sequence[int] = (),
) -> HistorySummary:
    """Return the history as text of about `max_tokens` tokens at most. The counts always cover all trials.

    Args:
        view: the study.
        max_tokens: limit for the table and the failures together.
        curves: first objective at a few steps, by trial number, as far as known.
        cited: numbers of trials that other parts of the prompt name, the most important first.
    """
    trials = [t for t in view.trials if not t.is_replicate]
    counts, ranked = _counts(trials), leaderboard(trials, view)
    leading = [t.number for t in ranked[:LEADING_ROWS]]
    summary = HistorySummary(table="", failures="", counts=counts)
    for best, latest, others, named in _TABLE_SIZES:
        rows = _select_trials(trials, ranked, best, latest, others, set(cited[:named]))
        tail = _LONG_LOG_TAIL if best > _MANY_BEST else _SHORT_LOG_TAIL
        summary = HistorySummary(
            table=trial_table(view, rows, leading, curves or {}),
            failures="\n".join(part for part in (_failures(trials, tail), _set_aside(view)) if part),
            counts=counts,
        )
        if estimate_tokens(summary.table) + estimate_tokens(summary.failures) <= max_tokens:
            break
    return summary


def downsample(curve: Sequence[float], count: int = 5) -> list[float]:
    """Return at most `count` evenly spaced values of a curve, with its first and last; [] for fewer than two values."""
    if len(curve) < 2:  # noqa: PLR2004
        return []
    step = (len(curve) - 1) / (min(count, len(curve)) - 1)
    return [curve[round(i * step)] for i in range(min(count, len(curve)))]


def space_table(space: SearchSpace) -> str:
    """Return one line for each parameter: name, kind, range, scale, default, condition, help; then the relations."""
    lines = [_parameter_line(name, p) for name, p in space.declared.items()]
    lines += [f"{name} = {formula.text} (derived from the others)" for name, formula in space.relations.derived.items()]
    if space.forbid:
        lines.append("Forbidden, and refused from any source:")
        lines += [f"- {rule}" for rule in space.forbid]
    return "\n".join(lines)


def _counts(trials: Sequence[Trial]) -> str:
    by_state: dict[str, int] = defaultdict(int)
    for trial in trials:
        by_state[trial.state.value] += 1
    return ", ".join(f"{count} {state}" for state, count in sorted(by_state.items())) or "no trial yet"


def _select_trials(
    trials: Sequence[Trial], ranked: Sequence[Trial], best: int, latest: int, others: int, cited: Collection[int]
) -> list[Trial]:
    named = [t for t in trials if t.number in cited]
    selected = {t.number: t for t in [*ranked[:best], *list(trials)[-latest:], *named]}
    rest = [t for t in ranked if t.number not in selected]
    if others and rest:
        step = max(len(rest) / others, 1.0)
        selected |= {t.number: t for t in (rest[int(i * step)] for i in range(min(others, len(rest))))}
    first = next((t for t in trials if t.number == 0 or t.proposal.source is Source.DEFAULT), None)
    if first is not None:
        selected[first.number] = first
    return [selected[number] for number in sorted(selected)]


def _failures(trials: Sequence[Trial], tail: int) -> str:
    groups: dict[FailureKind, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.failure:
            groups[trial.failure.kind].append(trial)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0].value))
    paragraphs = []
    for kind, failed in ordered[:_MAX_FAILURE_KINDS]:
        failure = failed[-1].failure
        assert failure is not None  # noqa: S101  # only trials with a failure are grouped
        numbers = ", ".join(f"#{t.number}" for t in failed[-_MAX_FAILED_NUMBERS:])
        example = f"{one_line(failure.reason, 160)}\n{failure.tail[-4 * tail :]}".strip()
        text = f"{kind.value}: {len(failed)} trials (latest {numbers}), for example #{failed[-1].number}:"
        paragraphs.append(f"{text}\n{fenced(example, 'log', limit=tail + 160)}")
    return "\n".join(paragraphs)


def _set_aside(view: StudyView) -> str:
    """Return a paragraph on the trials that count nowhere; "" without any. Nothing is to be learned from them."""
    own = [t for t in view.set_aside if not t.is_replicate]
    if not own:
        return ""
    numbers = ", ".join(f"#{t.number}" for t in own[-_MAX_FAILED_NUMBERS:])
    failed = [t.failure for t in own if t.failure and not t.forgotten]
    example = f", for example:\n{fenced(one_line(failed[-1].reason, 160), 'log')}" if failed else ""
    why = (
        "they failed regardless of their parameters, ran on instances that the study has no longer, or a person had "
        "them forgotten; they say nothing about parameters"
    )
    return f"not in the table: {len(own)} trials (latest {numbers}): {why}{example}"


def _grid_words(parameter: Float | Int) -> str:
    for words, size in (
        ("in steps of", parameter.step),
        ("a multiple of", parameter.multiple_of),
        ("a power of", parameter.power_of),
    ):
        if size:
            return f", {words} {render_parameter(size)}"
    return ""


def _mixture_words(name: str, shares: Shares) -> str:
    lows, highs = set(shares.lows), set(shares.highs)
    if len(lows) == len(highs) == 1:
        ranges = f"each from {render_parameter(lows.pop())} to {render_parameter(highs.pop())}: {', '.join(shares.of)}"
    else:
        each = zip(shares.of, shares.lows, shares.highs, strict=True)
        ranges = ", ".join(f"{n} from {render_parameter(low)} to {render_parameter(high)}" for n, low, high in each)
    how = f"change all of them together, or one as {name}.{shares.of[0]}: the others are scaled to what is left"
    return f"shares that sum to 1, {ranges}; {how}"


def _parameter_line(name: str, parameter: Parameter | Shares) -> str:
    match parameter:
        case Shares():
            kind = _mixture_words(name, parameter)
        case Choice(choices=choices, ordered=ordered, arms=arms):
            what = "ordered choice" if ordered else "choice of an algorithm:" if arms else "choice of"
            kind = f"{what}{' of' if ordered else ''} {', '.join(map(render_parameter, choices))}"
        case Bool():
            kind = "true or false"
        case _:
            step = _grid_words(parameter)
            whole = "whole number" if isinstance(parameter, Int) else "number"
            scale = ", logarithmic" if parameter.log else ""
            kind = f"{whole} from {render_parameter(parameter.low)} to {render_parameter(parameter.high)}{scale}{step}"
    parts = [f"{name}: {kind}"]
    if isinstance(parameter, Shares):
        parts += [f"default {render_shares(parameter.default)}"] if isinstance(parameter.default, Mapping) else []
    elif has_default(parameter):
        parts.append(f"default {render_parameter(parameter.default)}")
    if parameter.when:
        parts.append(f"only when {parameter.when}")
    if parameter.help:
        parts.append(one_line(parameter.help, 160))
    return "; ".join(parts)
