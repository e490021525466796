"""A tool that sets trials side by side, and says which is better and by how much against the noise between seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated

from pydantic import Field

from tunesmith.study.formatting import count, render_parameter
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import InstanceRuns, Trial
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.study.trials.winner import winner
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.seed_values import fresh_values, original_number, seed_values
from tunesmith.tools.analysis.confirmation.significance import difference, sample
from tunesmith.tools.analysis.findings.figures import probability_text
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool
from tunesmith.tools.llm_tools.trials import Number, find_trial

MAX_COMPARED = 8
"""Maximum number of trials in a comparison."""
MAX_PAIRS = 6
"""Maximum number of pairs of which the better one is named."""
CLEAR = 2.0
"""Noise of a difference, in its standard deviations, above which single values are said to differ."""


class CompareArguments(Arguments):
    """Trials to compare."""

    numbers: Annotated[list[Number], Field(min_length=2, max_length=MAX_COMPARED)]


def comparison_text(context: ToolContext, args: CompareArguments) -> str:
    """Return a table of what differs, a line of what is equal, and which is better."""
    view = context.study.view()
    trials = [find_trial(view, number) for number in dict.fromkeys(args.numbers)]
    rows = _rows(trials, view)
    equal = {name: cells[0] for name, cells in rows.items() if len(set(cells)) == 1}
    lines = [" | ".join(["", *(f"#{t.number}" for t in trials)])]
    lines += [" | ".join([name, *cells]) for name, cells in rows.items() if name not in equal]
    if equal:
        lines.append("equal: " + ", ".join(f"{name} {cell}" for name, cell in equal.items()))
    return "\n".join([*lines, *comparison_verdicts(trials, view)])


def _rows(trials: Sequence[Trial], view: StudyView) -> dict[str, list[str]]:
    names = [name for name in view.space.names if any(name in t.params for t in trials)]
    rows = {name: [_cell(t.params, name) for t in trials] for name in names}
    metrics = [name for name in dict.fromkeys(name for t in trials for name in t.values) if name not in rows]
    rows |= {m: [short_number(t.values[m]) if m in t.values else "-" for t in trials] for m in metrics}
    rows["state"] = [t.failure.kind.value if t.failure else t.state.value for t in trials]
    rows["source"] = [t.proposal.source.value for t in trials]
    rows["seconds"] = [f"{t.outcome.usage.wall_s:.3g}" if t.outcome else "-" for t in trials]
    return rows


def _cell(params: Mapping[str, Value], name: str) -> str:
    return render_parameter(params[name]) if name in params else "-"


def comparison_verdicts(trials: Sequence[Trial], view: StudyView) -> list[str]:
    """Return which of two is better, for the first pairs of trials that have values."""
    best = winner(view.trials, view)
    noise = best.noise if best is not None else None
    pairs = list(combinations([t for t in trials if seed_values(t, view)], 2))
    lines = [_verdict(a, b, view, noise) for a, b in pairs[:MAX_PAIRS]]
    more = [f"({count(len(pairs) - MAX_PAIRS, 'further pair')} not compared)"] if len(pairs) > MAX_PAIRS else []
    return [*lines, *more]


def _verdict(first: Trial, second: Trial, view: StudyView, noise: float | None) -> str:
    """Return which of two is better, by how much, and whether that is more than noise.

    Only fresh seeds on both sides allow a probability: the others were seen when a configuration was chosen.
    """
    objective = view.objectives[0]
    if original_number(first) == original_number(second):
        return f"#{first.number} and #{second.number} are the same configuration on different seeds"
    fresh = [fresh_values(trial, view) for trial in (first, second)]
    if first.runs is not None and second.runs is not None and min(map(len, fresh)) < 2:  # noqa: PLR2004  # no spread
        return _verdict_in_pairs(first, second, first.runs, second.runs, view.objectives[0])
    usable = fresh if min(map(len, fresh)) > 1 else [seed_values(trial, view) for trial in (first, second)]
    own = [(trial, sample(values)) for trial, values in zip((first, second), usable, strict=True)]
    known = [(trial, found) for trial, found in own if found is not None]
    (better, a), (worse, b) = sorted(known, key=lambda pair: objective.sign * pair[1].mean)
    gain = abs(a.mean - b.mean)
    if not gain:
        return f"#{first.number} and #{second.number} have the same {objective.metric}"
    text = f"#{better.number} is better than #{worse.number} in {objective.metric} by {short_number(gain, 3)}"
    kind = "fresh seed" if usable is fresh else "seed"
    seeds = f"{count(a.count, kind)} against {b.count}"
    tested = difference(a, b, sign=objective.sign) if usable is fresh else None
    if tested is not None:
        beyond = "beyond noise" if tested.is_beyond_noise else "within noise"
        return f"{text} ({seeds}), {beyond}: better with probability {probability_text(tested.probability)}"
    if noise is None or not noise:
        return f"{text} ({seeds}); the noise between seeds is unknown, confirm would show it"
    spread = noise * math.sqrt(1 / a.count + 1 / b.count)
    beyond = "more than" if gain > CLEAR * spread else "no more than"
    return f"{text} ({seeds}), {beyond} noise explains (std of such a difference: {short_number(spread, 2)})"


def _verdict_in_pairs(first: Trial, second: Trial, a: InstanceRuns, b: InstanceRuns, objective: Objective) -> str:
    """Return which of two is better on the instances that both ran on, and whether that is more than noise."""
    shared = [name for name in a.values if name in b.values]
    if not shared:
        return f"#{first.number} and #{second.number} ran on no common instance, so they cannot be compared"
    ours, theirs = (sample([runs.values[name] for name in shared], shared) for runs in (a, b))
    assert ours is not None  # noqa: S101  # values of complete runs are finite
    assert theirs is not None  # noqa: S101  # likewise
    gain = objective.sign * (theirs.mean - ours.mean)
    better, worse = (first, second) if gain > 0 else (second, first)
    where = f"on the {count(len(shared), 'instance')} that both ran on"
    if not gain:
        return f"#{first.number} and #{second.number} have the same {objective.metric} {where}"
    text = (
        f"#{better.number} is better than #{worse.number} in {objective.metric} by {short_number(abs(gain), 3)} {where}"
    )
    tested = difference(*((ours, theirs) if gain > 0 else (theirs, ours)), sign=objective.sign)
    if tested is None:
        return f"{text}; one instance does not say whether that is noise"
    beyond = "beyond noise" if tested.is_beyond_noise else "within noise"
    return f"{text}, {beyond}: better with probability {probability_text(tested.probability)}"


COMPARE = StudyTool("compare", CompareArguments, comparison_text)
