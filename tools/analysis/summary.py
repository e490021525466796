"""What a study found and how certain that is: the figures at the end of a run and at the top of every report.

The terminal, the HTML page, Markdown and JSON all show one Summary. Knows no layout. Every ± is half the width of a 95%
interval of a mean over seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial

from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import (
    MAX_RELATIVE_GAIN,
    default_trial,
    left_out_count,
    left_out_text,
    pareto_front,
    present_trials,
    relative_gain,
)
from tunesmith.study.trials.seeds import is_confirming, is_fresh
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint, Objective, objective_values
from tunesmith.study.trials.winner import Winner, leaderboard, winner
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.confirmation.significance import Difference, Sample, difference, sample
from tunesmith.tools.analysis.importance import Importance, importance
from tunesmith.tools.analysis.infeasibility import broken_bounds, infeasible_text
from tunesmith.tools.analysis.tradeoff import CheaperChoice, shown_choices

TOP_PARAMETERS = 3
"""Number of parameters that Summary.important lists."""


class StudyVerdict(StrEnum):
    """How certain the improvement over the default is."""

    NOTHING_COMPLETE = "nothing_complete"
    NO_DEFAULT = "no_default"
    DEFAULT_IS_BEST = "default_is_best"
    UNCONFIRMED = "unconfirmed"
    WITHIN_NOISE = "within_noise"
    CONFIRMED = "confirmed"
    FRONT = "front"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigResult:
    """One configuration with its tuning value and its values on fresh seeds.

    Attributes:
        number: the number of its first trial.
        value: tuning value of the first objective, in the metric's own direction.
        confirmed: values of the first objective on fresh seeds; None when it was not replicated.
    """

    number: int
    source: str
    params: Mapping[str, Value]
    values: Mapping[str, float]
    value: float
    confirmed: Sample | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a study.

    Attributes:
        headline: what was found and how certain it is, in one or two sentences.
        best: the trial to use: the winner of study/trials/winner.py.
        winner: the same choice with its expected value and the noise between seeds.
        left_out: how many earlier trials lie outside the present space, in words; "" if none does.
        fresh: what confirmation runs on: "fresh seeds" or "held-out instances".
        gain: gain of the best over the default in tuning, as a fraction of the default's size; None without a default
            or around zero.
        versus_default: best against default on fresh seeds; None unless both ran on two seeds or more.
        confirmed_gain: versus_default.gain as a fraction of the size of the default's mean.
        noise: the default's values on tuning seeds, which show the noise; None for fewer than two.
        replicated: every configuration that ran on fresh seeds, best tuning value first.
        front: the Pareto front of a study with several objectives; empty for one.
        cheaper: the best trial at a part of the best one's cost, where an objective after the first is a cost.
        states: the number of trials in each state, replicates excluded.
        weigh: computes the importance of the parameters, which takes a second.
    """

    objectives: tuple[Objective, ...]
    verdict: StudyVerdict
    headline: str
    best: ConfigResult | None = None
    winner: Winner | None = None
    left_out: str = ""
    fresh: str = "fresh seeds"
    default: ConfigResult | None = None
    gain: float | None = None
    versus_default: Difference | None = None
    confirmed_gain: float | None = None
    noise: Sample | None = None
    replicated: tuple[ConfigResult, ...] = ()
    front: tuple[ConfigResult, ...] = ()
    cheaper: tuple[CheaperChoice, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    weigh: Callable[[], Importance] = field(default=Importance, compare=False, repr=False)

    @cached_property
    def importance(self) -> Importance:
        """What is known of each parameter's part in the first objective's variance."""
        return self.weigh()

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    @property
    def important(self) -> tuple[str, ...]:
        """The TOP_PARAMETERS most important parameters; none where nothing can be said."""
        return self.importance.names[:TOP_PARAMETERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeadlineData:
    """The figures that the headline is written from."""

    objectives: tuple[Objective, ...]
    best: ConfigResult | None
    default: ConfigResult | None
    front: tuple[ConfigResult, ...]
    trials: Sequence[Trial]
    left_out: str
    winner: Winner | None
    gain: float | None
    versus: Difference | None
    noise: Sample | None
    constraints: tuple[Constraint, ...]
    space: SearchSpace
    default_breaks: str
    takes_seed: bool
    fresh: str

    @property
    def objective(self) -> Objective:
        return self.objectives[0]


def summarize(record: StudyRecord, trials: Sequence[Trial]) -> Summary:
    """Return the figures of a study."""
    objectives = record.spec.objectives
    everything, trials = trials, present_trials(trials, record.spec.space)
    replicates = _fresh_values(trials, objectives[0])
    ranked, chosen = leaderboard(trials, record.spec), winner(trials, record.spec)
    best = _candidate(chosen.trial, objectives[0], replicates) if chosen else None
    default_run = default_trial(trials, record.spec.space)
    constraints = record.spec.metric_constraints
    breaks = broken_bounds(default_run, constraints) if default_run and default_run.state is TrialState.COMPLETE else ""
    # What may not be chosen is nothing to measure a gain against.
    default = _candidate(default_run, objectives[0], replicates) if default_run and not breaks else None
    front = pareto_front(ranked, objectives) if len(objectives) > 1 else []
    versus = _versus(best, default, objectives[0])
    noise = _noise(trials, default_run, objectives[0])
    data = _HeadlineData(
        objectives=objectives,
        best=best,
        default=default,
        front=tuple(c for t in front if (c := _candidate(t, objectives[0], replicates))),
        trials=[t for t in everything if t.counts and not t.is_replicate] or everything,
        left_out=left_out_text(left_out_count(everything, record.spec.space)),
        winner=chosen,
        gain=relative_gain(best.value, default.value, objectives[0]) if best and default else None,
        versus=versus,
        noise=noise,
        constraints=constraints,
        space=record.spec.space,
        default_breaks=breaks,
        takes_seed="seed" in used_placeholders(record.spec),
        fresh="held-out instances" if record.spec.instances and record.spec.instances.hold_out else "fresh seeds",
    )
    verdict = _verdict(data)
    return Summary(
        objectives=objectives,
        verdict=verdict,
        headline=_with_taken(_with_left_out(_headline(verdict, data), data.left_out), record.spec, best),
        best=best,
        winner=chosen,
        left_out=data.left_out,
        fresh=data.fresh,
        default=default,
        gain=data.gain,
        versus_default=versus,
        confirmed_gain=_relative(versus, best, default)[0],
        noise=noise,
        replicated=_replicated(ranked, objectives[0], replicates),
        front=data.front,
        cheaper=tuple(shown_choices(trials, record.spec)),
        states=dict(Counter(t.state.value for t in data.trials)),
        weigh=partial(importance, record.spec.space, trials, objectives[0]),
    )


def gain_text(gain: float) -> str:
    """Return a gain as text: "51% better", "0.3% worse", "733% better"."""
    percent = abs(gain) * 100
    shown = f"{percent:,.0f}" if percent >= 10 else f"{percent:.1f}"
    return f"{shown}% {'better' if gain >= 0 else 'worse'}"


def plus_minus(found: Sample) -> str:
    """Return "0.2049 ± 0.0021", with as many decimals for the margin as for the mean; only the mean for one value."""
    mean = short_number(found.mean)
    if found.margin is None:
        return mean
    if "e" in mean:
        return f"{mean} ± {short_number(found.margin, 2)}"
    decimals = len(mean.partition(".")[2])
    return f"{mean} ± {found.margin:.{decimals}f}"


def probability_text(probability: float) -> str:
    """Return a probability with three decimals, "> 0.999" or "< 0.001"."""
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def _fresh_values(trials: Sequence[Trial], objective: Objective) -> dict[int, Sample]:
    """Return each configuration's values on fresh seeds; only those that nothing was selected by, where there are any.

    Values on seeds that selected the best configuration are biased towards it.
    """
    selecting: dict[int, list[tuple[float, str]]] = {}
    unbiased: dict[int, list[tuple[float, str]]] = {}
    for trial in trials:
        original, seed = trial.proposal.replicate_of, trial.proposal.seed
        values = objective_values(trial, (objective,))
        if original is not None and values is not None and is_fresh(seed):
            run = (values[0], trial.proposal.instance)
            (unbiased if is_confirming(seed) else selecting).setdefault(original, []).append(run)
    samples = {
        number: sample([value for value, _ in runs], [instance for _, instance in runs if instance])
        for number, runs in {**selecting, **unbiased}.items()
    }
    return {number: s for number, s in samples.items() if s is not None}


def _noise(trials: Sequence[Trial], default: Trial | None, objective: Objective) -> Sample | None:
    """Return the default's values on tuning seeds; None for fewer than two."""
    if default is None:
        return None
    same = [t for t in trials if default.number in (t.number, t.proposal.replicate_of) and not t.proposal.instance]
    values = [v[0] for t in same if not is_fresh(t.proposal.seed) and (v := objective_values(t, (objective,)))]
    found = sample(values)
    return found if found is not None and found.count > 1 else None


def _replicated(
    ranked: Sequence[Trial], objective: Objective, replicates: Mapping[int, Sample]
) -> tuple[ConfigResult, ...]:
    """Return every configuration that ran on fresh seeds, best tuning value first."""
    found = [c for t in ranked if (c := _candidate(t, objective, replicates)) and c.confirmed]
    return tuple(sorted(found, key=lambda c: (objective.sign * c.value, c.number)))


def _candidate(trial: Trial, objective: Objective, replicates: Mapping[int, Sample]) -> ConfigResult | None:
    value = trial.values.get(objective.metric)
    if trial.state is not TrialState.COMPLETE or value is None or not math.isfinite(value):
        return None
    return ConfigResult(
        number=trial.number,
        source=trial.proposal.source.value,
        params=trial.params,
        values=trial.values,
        value=value,
        confirmed=replicates.get(trial.number),
    )


def _versus(best: ConfigResult | None, default: ConfigResult | None, objective: Objective) -> Difference | None:
    if best is None or default is None or best.number == default.number:
        return None
    if best.confirmed is None or default.confirmed is None:
        return None
    return difference(best.confirmed, default.confirmed, sign=objective.sign)


def _relative(
    versus: Difference | None, best: ConfigResult | None, default: ConfigResult | None
) -> tuple[float | None, float | None]:
    """Return gain and margin as fractions of the default's mean on fresh seeds, ignoring the noise of that mean.

    Both are None around zero, where a fraction says nothing.
    """
    if versus is None or best is None or best.confirmed is None or default is None or default.confirmed is None:
        return None, None
    mean = default.confirmed.mean
    size = abs(mean)
    if not mean or mean * best.confirmed.mean < 0 or abs(versus.gain) > size * MAX_RELATIVE_GAIN:
        return None, None
    return versus.gain / size, versus.margin / size


def _verdict(data: _HeadlineData) -> StudyVerdict:
    if data.best is None:
        return StudyVerdict.NOTHING_COMPLETE
    if data.front:
        return StudyVerdict.FRONT
    if data.default is None:
        return StudyVerdict.NO_DEFAULT
    if data.best.number == data.default.number:
        return StudyVerdict.DEFAULT_IS_BEST
    if data.versus is None:
        return StudyVerdict.UNCONFIRMED
    return StudyVerdict.CONFIRMED if data.versus.is_beyond_noise else StudyVerdict.WITHIN_NOISE


def _with_left_out(headline: str, left_out: str) -> str:
    return f"{headline.removesuffix('.')}. {left_out}." if left_out else headline


def _with_taken(headline: str, spec: StudySpec, best: ConfigResult | None) -> str:
    """Return the headline with which of a trial's values counts, where it is not the last one."""
    metric = spec.objectives[0].metric
    table = spec.metric_tables.get(metric)
    return f"{headline} {metric} is {table.text}." if best and table is not None and table.text else headline


def _headline(verdict: StudyVerdict, data: _HeadlineData) -> str:
    if data.best is None:
        return _nothing_complete(data.trials, data.constraints, data.space)
    writers = {
        StudyVerdict.FRONT: _front_line,
        StudyVerdict.NO_DEFAULT: _no_default_line,
        StudyVerdict.DEFAULT_IS_BEST: _default_is_best_line,
        StudyVerdict.UNCONFIRMED: _unconfirmed_line,
        StudyVerdict.WITHIN_NOISE: _within_noise_line,
        StudyVerdict.CONFIRMED: _confirmed_line,
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


def _front_line(data: _HeadlineData, best: ConfigResult) -> str:
    count = len(data.front)
    text = f"{count} {'trial is' if count == 1 else 'trials are'} on the Pareto front: {_ranges(data)}."
    if data.default is None:
        return text
    beaten = sum(_dominates(c, data.default, data.objectives) for c in data.front)
    subject = {0: "None beats", 1: "One beats"}.get(beaten, f"{beaten} beat")
    return f"{text} {subject} the default in every objective."


def _ranges(data: _HeadlineData) -> str:
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


def _no_default_line(data: _HeadlineData, best: ConfigResult) -> str:
    value = f"Best: {data.objective.metric} {short_number(best.value)} (trial {best.number})"
    if best.confirmed and best.confirmed.margin is not None:
        value += f" -> {plus_minus(best.confirmed)} on {best.confirmed.count} {data.fresh}"
    if data.default_breaks:
        return f"{value}. The default breaks a bound ({data.default_breaks}), so no gain over it is stated."
    return f"{value}. The default did not complete, so there is no comparison."


def _default_is_best_line(data: _HeadlineData, best: ConfigResult) -> str:
    others = sum(t.state is TrialState.COMPLETE for t in data.trials) - 1
    metric = f"{data.objective.metric} {short_number(best.value)}"
    if others < 1:
        return f"Only the default has completed: {metric}."
    counted = f"{others} other complete {'trial' if others == 1 else 'trials'}"
    return f"Nothing beat the default ({metric}) in {counted}. Keep the default."


def _unconfirmed_line(data: _HeadlineData, best: ConfigResult) -> str:
    against = f"the default's {short_number(data.default.value)}" if data.default else "the default"
    gain = gain_text(data.gain) if data.gain is not None else _own_gain_text(best, data)
    value = f"Best: {data.objective.metric} {short_number(best.value)} (trial {best.number}), {gain} than {against}"
    if best.confirmed is not None and best.confirmed.is_repeated:
        return f"{value}. {_copies_text(best.confirmed.count, takes_seed=data.takes_seed)}"
    caveat = "part of the gain may be noise"
    if data.noise and data.noise.std:
        caveat += f": the default's standard deviation over seeds is {short_number(data.noise.std, 2)}"
    elif data.winner and data.winner.noise:
        between = "instances" if data.winner.on_instances else "seeds"
        caveat += f": the standard deviation between {between} is {short_number(data.winner.noise, 2)}"
    elif data.winner and data.winner.scatter:
        caveat += f": values scatter by about {short_number(data.winner.scatter, 2)} that the parameters do not explain"
    if data.winner and (data.winner.noise or data.winner.scatter) and not data.winner.on_instances:
        caveat += f"; {short_number(data.winner.expected)} is expected on other seeds"
    return f"{value}. Not confirmed on {data.fresh} yet, so {caveat}."


def _own_gain_text(best: ConfigResult, data: _HeadlineData) -> str:
    """Return the gain in the metric's own units, for values around zero: "0.31 better"."""
    if data.default is None:
        return "better"
    return f"{short_number(abs(best.value - data.default.value))} better"


def _copies_text(count: int, *, takes_seed: bool) -> str:
    """Return what repeats mean that all gave the same value."""
    same = f"Its {count} repeats gave the same value, so they are one measurement"
    if takes_seed:
        return (
            f"{same}: the result does not depend on the seed, and only other data would tell whether the gain is luck."
        )
    return f"{same}: give the script an option for its seed and add {{seed}} to the command to see how much is luck."


def _within_noise_line(data: _HeadlineData, best: ConfigResult) -> str:
    gain, margin = _relative(data.versus, best, data.default)
    seeds = best.confirmed.count if best.confirmed else 0
    if gain is None or margin is None:
        shown = f"{data.versus.gain:+.3g} ± {data.versus.margin:.2g}" if data.versus else ""
    else:
        shown = f"{gain * 100:+.1f}% ± {margin * 100:.1f}%"
    return (
        f"Nothing beat the default beyond noise (best candidate, trial {best.number}: {shown} on {seeds} {data.fresh})."
        " Keep the default."
    )


def _confirmed_line(data: _HeadlineData, best: ConfigResult) -> str:
    if best.confirmed is None or data.default is None or data.default.confirmed is None or data.versus is None:
        return _unconfirmed_line(data, best)
    gain, _ = _relative(data.versus, best, data.default)
    better = gain_text(gain) if gain is not None else f"{short_number(data.versus.gain)} better"
    return (
        f"Best: {data.objective.metric} {short_number(best.value)} -> {plus_minus(best.confirmed)} "
        f"on {best.confirmed.count} {data.fresh} (default {plus_minus(data.default.confirmed)}; "
        f"{better} with probability {probability_text(data.versus.probability)})"
    )
