"""What a study found, in one or two sentences, and how certain that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import count
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import last_stages, present_trials
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective
from tunesmith.study.trials.winner import Winner
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.bounds.infeasibility import infeasible_text
from tunesmith.tools.analysis.confirmation.significance import Difference, Sample, paired
from tunesmith.tools.analysis.findings.figures import (
    HIDDEN_DATA,
    ConfigResult,
    plus_minus,
    probability_text,
    runs_text,
)
from tunesmith.tools.analysis.findings.stated_gain import StatedGain


class StudyVerdict(StrEnum):
    """How certain the improvement over the default is."""

    NOTHING_COMPLETE = "nothing_complete"
    NO_DEFAULT = "no_default"
    DEFAULT_IS_BEST = "default_is_best"
    UNCONFIRMED = "unconfirmed"
    WITHIN_NOISE = "within_noise"
    CONFIRMED = "confirmed"
    HIDDEN = "chosen_on_hidden_data"
    FRONT = "front"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineData:
    """The figures that the headline is written from."""

    objectives: tuple[Objective, ...]
    best: ConfigResult | None
    default: ConfigResult | None
    front: tuple[ConfigResult, ...]
    trials: Sequence[Trial]
    left_out: str
    winner: Winner | None
    stated: StatedGain | None
    versus: Difference | None
    noise: Sample | None
    constraints: tuple[Constraint, ...]
    space: SearchSpace
    default_breaks: str
    takes_seed: bool
    fresh: str

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    @property
    def is_hidden(self) -> bool:
        """Whether hidden data made the choice."""
        return self.winner is not None and self.winner.is_hidden


def verdict_of(data: HeadlineData) -> StudyVerdict:
    """Return how certain the improvement over the default is."""
    if data.best is None:
        return StudyVerdict.NOTHING_COMPLETE
    if data.front:
        return StudyVerdict.FRONT
    if data.default is None:
        return StudyVerdict.NO_DEFAULT
    if data.best.number == data.default.number:
        return StudyVerdict.DEFAULT_IS_BEST
    if data.versus is None:
        return StudyVerdict.HIDDEN if data.is_hidden else StudyVerdict.UNCONFIRMED
    return StudyVerdict.CONFIRMED if data.versus.is_beyond_noise else StudyVerdict.WITHIN_NOISE


def with_left_out(headline: str, left_out: str) -> str:
    """Return the headline with how many trials lie outside the present space."""
    return f"{headline.removesuffix('.')}. {left_out}." if left_out else headline


def with_taken(headline: str, spec: StudySpec, best: ConfigResult | None) -> str:
    """Return the headline with which of a trial's values counts, where it is not the last one."""
    metric = spec.objectives[0].metric
    table = spec.metric_tables.get(metric)
    return f"{headline} {metric} is {table.text}." if best and table is not None and table.text else headline


def headline(verdict: StudyVerdict, data: HeadlineData) -> str:
    """Return what was found and how certain it is, in one or two sentences."""
    if data.best is None:
        return _nothing_complete(data.trials, data.constraints, data.space)
    writers = {
        StudyVerdict.FRONT: _front_line,
        StudyVerdict.NO_DEFAULT: _no_default_line,
        StudyVerdict.DEFAULT_IS_BEST: _default_is_best_line,
        StudyVerdict.UNCONFIRMED: _unconfirmed_line,
        StudyVerdict.WITHIN_NOISE: _within_noise_line,
        StudyVerdict.CONFIRMED: _confirmed_line,
        StudyVerdict.HIDDEN: _hidden_line,
    }
    return writers[verdict](data, data.best)


def _nothing_complete(trials: Sequence[Trial], constraints: Sequence[Constraint], space: SearchSpace) -> str:
    if not trials:
        return "No trial has run yet."
    kinds = Counter(t.failure.kind.value for t in trials if t.failure)
    parts = [f"{count} {state}" for state, count in Counter(t.state.value for t in trials).items()]
    reasons = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if TrialState.COMPLETE in {t.state for t in trials}:
        why = infeasible_text(trials, constraints, space) or "no complete trial has a finite value of every objective."
        return f"No trial is usable ({', '.join(parts)}). {why}"
    return f"No trial completed: {', '.join(parts)}{f' ({reasons})' if reasons else ''}."


def _front_line(data: HeadlineData, best: ConfigResult) -> str:
    count = len(data.front)
    text = f"{count} {'trial is' if count == 1 else 'trials are'} on the Pareto front: {_ranges(data)}."
    if data.default is None:
        return text
    beaten = sum(_dominates(c, data.default, data.objectives) for c in data.front)
    subject = {0: "None beats", 1: "One beats"}.get(beaten, f"{beaten} beat")
    return f"{text} {subject} the default in every objective."


def _ranges(data: HeadlineData) -> str:
    parts = []
    for objective in data.objectives:
        values = [c.values[objective.metric] for c in data.front]
        low, high = short_number(min(values)), short_number(max(values))
        parts.append(f"{objective.metric} {low if low == high else f'{low} to {high}'}")
    return ", ".join(parts)


def _dominates(a: ConfigResult, b: ConfigResult, objectives: Sequence[Objective]) -> bool:
    if any(o.metric not in b.values for o in objectives):
        return False
    return all(o.sign * a.values[o.metric] < o.sign * b.values[o.metric] for o in objectives)


def _no_default_line(data: HeadlineData, best: ConfigResult) -> str:
    value = f"Best: {data.objective.metric} {short_number(best.value)} (trial {best.number})"
    if best.confirmed and best.confirmed.margin is not None:
        value += f" -> {plus_minus(best.confirmed)} (95%) on {runs_text(best)}"
    if data.default_breaks:
        return f"{value}. The default breaks a bound ({data.default_breaks}), so no gain over it is stated."
    return f"{value}. The default did not complete, so there is no comparison."


def _default_is_best_line(data: HeadlineData, best: ConfigResult) -> str:
    if data.is_hidden and best.confirmed is not None:
        value = f"{data.objective.metric} {plus_minus(best.confirmed)}"
        return f"On {HIDDEN_DATA} nothing beat the default ({value}) among {_rivals(data)}. Keep the default."
    complete = [t for t in present_trials(data.trials, data.space) if t.state is TrialState.COMPLETE]
    last = last_stages(complete)
    metric = f"{data.objective.metric} {short_number(best.value)}"
    if len(last) <= 1:
        return f"Only the default has completed: {metric}."
    counted = count(len(last) - 1, "other complete trial" if len(last) == len(complete) else "other configuration")
    return f"Nothing beat the default ({metric}) in {counted}. Keep the default."


def _unconfirmed_line(data: HeadlineData, best: ConfigResult) -> str:
    stated = data.stated
    if stated is not None and stated.is_fresh and best.confirmed is not None:
        return f"{_fresh_gain_text(stated, data, best)} {_no_spread_text(data, best)}".rstrip()
    gain = f", {stated.text} than the default's {short_number(stated.default)}" if stated is not None else ""
    value = f"Best: {data.objective.metric} {short_number(best.value)} (trial {best.number}){gain}"
    caveat = "part of the gain may be noise"
    if data.noise and data.noise.std:
        caveat += f": the default's standard deviation over seeds is {short_number(data.noise.std, 2)}"
    elif data.winner and data.winner.noise:
        noise = short_number(data.winner.noise, 2)
        if data.winner.on_instances:
            caveat += f": one run varies by {noise} (standard deviation) about its configuration and instance"
        else:
            caveat += f": the standard deviation between seeds is {noise}"
    elif data.winner and data.winner.scatter:
        caveat += f": values scatter by about {short_number(data.winner.scatter, 2)} that the parameters do not explain"
    if data.winner and (data.winner.noise or data.winner.scatter) and not data.winner.on_instances:
        caveat += f"; {short_number(data.winner.expected)} is expected on other seeds"
    return f"{value}. Not confirmed on {data.fresh} yet, so {caveat}."


def _fresh_gain_text(stated: StatedGain, data: HeadlineData, best: ConfigResult) -> str:
    """Return value and gain on fresh runs that have no interval."""
    assert best.confirmed is not None  # noqa: S101  # the gain rests on it
    value = f"Best: {data.objective.metric} {short_number(best.value)} (trial {best.number})"
    value += f" -> {short_number(best.confirmed.mean)} on {runs_text(best)}"
    return f"{value}, {stated.text} than the default's {short_number(stated.default)} there."


def _no_spread_text(data: HeadlineData, best: ConfigResult) -> str:
    """Return why a gain on fresh runs has no interval."""
    if best.confirmed is None or data.default is None or data.default.confirmed is None:
        return ""
    if best.confirmed.is_repeated:
        return _copies_text(best.confirmed.count, takes_seed=data.takes_seed)
    pairs = paired(best.confirmed, data.default.confirmed)
    return _equal_pairs_text(pairs, data) if pairs is not None and pairs.std == 0.0 else ""


def _equal_pairs_text(gains: Sample, data: HeadlineData) -> str:
    """Return what a gain means that is the same on each of several instances."""
    gain = data.objective.sign * gains.mean
    words = f"{short_number(abs(gain))} {'better' if gain > 0 else 'worse'} than" if gain else "equal to"
    return f"On each of {gains.count} {data.fresh} it is {words} the default, so nothing shows how much that varies."


def _copies_text(count: int, *, takes_seed: bool) -> str:
    """Return what repeats mean that all gave the same value."""
    same = f"Its {count} repeats gave the same value, so they are one measurement"
    if takes_seed:
        return (
            f"{same}: the result does not depend on the seed, and only other data would tell whether the gain is luck."
        )
    return f"{same}: give the script an option for its seed and add {{seed}} to the command to see how much is luck."


def _within_noise_line(data: HeadlineData, best: ConfigResult) -> str:
    stated, versus, on = data.stated, data.versus, runs_text(best)
    if versus is None or stated is None or stated.fraction is None:
        shown = f"{versus.gain:+.3g} ± {versus.margin:.2g}" if versus else ""
    else:
        shown = f"{stated.fraction:+.1%} ± {versus.margin / abs(stated.default):.1%}"
    return (
        f"Nothing beat the default beyond noise (best candidate, trial {best.number}: {shown} on {on})."
        " Keep the default."
    )


def _confirmed_line(data: HeadlineData, best: ConfigResult) -> str:
    if best.confirmed is None or data.default is None or data.default.confirmed is None or data.versus is None:
        return _unconfirmed_line(data, best)
    better = data.stated.text if data.stated is not None else f"{short_number(data.versus.gain)} better"
    return (
        f"Best: {data.objective.metric} {short_number(best.value)} -> {plus_minus(best.confirmed)} (95%) "
        f"on {runs_text(best)} (default {plus_minus(data.default.confirmed)}; "
        f"{better} with probability {probability_text(data.versus.probability)})"
    )


def _hidden_line(data: HeadlineData, best: ConfigResult) -> str:
    """Return the choice by hidden data with one value for each configuration, so that no interval is known."""
    assert best.confirmed is not None  # noqa: S101  # hidden data chose it
    value = f"Best on {HIDDEN_DATA}: {data.objective.metric} {plus_minus(best.confirmed)} (trial {best.number}, "
    value += f"{short_number(best.value)} in the search)"
    default = data.default.confirmed if data.default is not None else None
    if default is not None and data.stated is not None:
        value += f", {data.stated.text} than the default's {plus_minus(default)} there"
    if best.confirmed.count > 1:
        return f"{value}. It was chosen among {_rivals(data)}."
    noise = "[confirm] seeds would show the noise" if data.takes_seed else "their noise is not known"
    return f"{value}. It was chosen among {_rivals(data)} by one value each; {noise}."


def _rivals(data: HeadlineData) -> str:
    found = data.winner.trial.hidden if data.winner is not None else None
    return count(found.judged, "configuration") if found is not None else "them"
