"""What a study found and how sure that is: the figures behind the end of a run and the top of every report.

One home for these figures: the terminal, the HTML page, Markdown and JSON all show a Summary. Knows no layout.
Every ± here is half a 95% interval of a mean over seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tunesmith.study.config.record import StudyRecord
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.results import candidates, default_trial, incumbent, pareto_front, relative_gain
from tunesmith.study.trials.seeds import is_confirming, is_fresh
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.importance import importance
from tunesmith.tools.analysis.significance import Difference, Sample, difference, sample

TOP_PARAMETERS = 3


class StudyVerdict(StrEnum):
    """How sure it is that something was found."""

    NOTHING_COMPLETE = "nothing_complete"
    NO_DEFAULT = "no_default"
    DEFAULT_IS_BEST = "default_is_best"
    UNCONFIRMED = "unconfirmed"
    WITHIN_NOISE = "within_noise"
    CONFIRMED = "confirmed"
    FRONT = "front"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigResult:
    """One configuration with its tuning value and, where it ran again, its values on fresh seeds.

    Attributes:
        value: of the first objective, in its own direction.
        confirmed: of the first objective on fresh seeds; None when it did not run again.
    """

    number: int
    source: str
    params: Mapping[str, Value]
    values: Mapping[str, float]
    value: float
    confirmed: Sample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a study at one moment.

    Attributes:
        headline: one sentence or two: what was found, and how sure it is.
        best: the trial to use; the best on fresh seeds where the leading ones ran again.
        gain: by which fraction of the default's size the best is better in tuning; None without a default or at 0.
        versus_default: best against default on fresh seeds; None unless both ran on two seeds or more.
        confirmed_gain: versus_default.gain as a fraction of the default's mean.
        noise: the default's values on tuning seeds, where it ran on several: how much is chance.
        replicated: every configuration that ran again, best tuning value first.
        front: the Pareto front of a study with several objectives; empty for one.
        states: how many trials (no replicates) are in each state.
        importance: each parameter's share in what decided the value, largest first; empty when that is unknown.
    """

    objectives: tuple[Objective, ...]
    verdict: StudyVerdict
    headline: str
    best: ConfigResult | None = None
    default: ConfigResult | None = None
    gain: float | None = None
    versus_default: Difference | None = None
    confirmed_gain: float | None = None
    noise: Sample | None = None
    replicated: tuple[ConfigResult, ...] = ()
    front: tuple[ConfigResult, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    @property
    def important(self) -> tuple[tuple[str, float], ...]:
        """The parameters that matter most, with their shares; at most TOP_PARAMETERS."""
        return tuple(self.importance.items())[:TOP_PARAMETERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the headline is written from."""

    objectives: tuple[Objective, ...]
    best: ConfigResult | None
    default: ConfigResult | None
    front: tuple[ConfigResult, ...]
    trials: Sequence[Trial]
    gain: float | None
    versus: Difference | None
    noise: Sample | None

    @property
    def objective(self) -> Objective:
        return self.objectives[0]


def summarize(record: StudyRecord, trials: Sequence[Trial]) -> Summary:
    """Return what the study amounts to."""
    objectives = record.spec.objectives
    replicates = _fresh_values(trials, objectives[0])
    able = [t for t in candidates(trials, objectives, record.spec.bounds) if _is_finite(t, objectives)]
    best = _best(able, objectives, replicates, _held_against_default(trials))
    default_run = default_trial(trials)
    default = _candidate(default_run, objectives[0], replicates) if default_run else None
    front = pareto_front(able, objectives) if len(objectives) > 1 else []
    versus = _versus(best, default, objectives[0])
    noise = _noise(trials, default_run, objectives[0])
    facts = _Facts(
        objectives=objectives,
        best=best,
        default=default,
        front=tuple(c for t in front if (c := _candidate(t, objectives[0], replicates))),
        trials=[t for t in trials if not t.is_replicate],
        gain=relative_gain(best.value, default.value, objectives[0]) if best and default else None,
        versus=versus,
        noise=noise,
    )
    verdict = _verdict(facts)
    return Summary(
        objectives=objectives,
        verdict=verdict,
        headline=_headline(verdict, facts),
        best=best,
        default=default,
        gain=facts.gain,
        versus_default=versus,
        confirmed_gain=_relative(versus, default)[0],
        noise=noise,
        replicated=tuple(c for t in able if (c := _candidate(t, objectives[0], replicates)) and c.confirmed),
        front=facts.front,
        states=dict(Counter(t.state.value for t in facts.trials)),
        importance=importance(record.spec.space, trials, objectives[0]),
    )


def gain_text(gain: float) -> str:
    """Return a gain as people say it: "51% better", "0.3% worse", "733% better"."""
    percent = abs(gain) * 100
    shown = f"{percent:,.0f}" if percent >= 10 else f"{percent:.1f}"
    return f"{shown}% {'better' if gain >= 0 else 'worse'}"


def plus_minus(found: Sample) -> str:
    """Return "0.2049 ± 0.0021", the margin to as many decimals as the mean; the mean alone for one value."""
    mean = short_number(found.mean)
    if found.margin is None:
        return mean
    if "e" in mean:
        return f"{mean} ± {short_number(found.margin, 2)}"
    decimals = len(mean.partition(".")[2])
    return f"{mean} ± {found.margin:.{decimals}f}"


def probability_text(probability: float) -> str:
    """Return a probability without claiming more than three digits can: "> 0.999"."""
    if probability > 0.999:
        return "> 0.999"
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}"


def _is_finite(trial: Trial, objectives: Sequence[Objective]) -> bool:
    return all(math.isfinite(value) for value in objective_values(trial, objectives) or ())


def _fresh_values(trials: Sequence[Trial], objective: Objective) -> dict[int, Sample]:
    """Return what each configuration gave on fresh seeds: those that nothing was chosen by, where it ran on such."""
    chosen_by: dict[int, list[float]] = {}
    untouched: dict[int, list[float]] = {}
    for trial in trials:
        original, seed = trial.proposal.replicate_of, trial.proposal.seed
        values = objective_values(trial, (objective,))
        if original is not None and values is not None and is_fresh(seed):
            (untouched if is_confirming(seed) else chosen_by).setdefault(original, []).append(values[0])
    samples = {number: sample(values) for number, values in {**chosen_by, **untouched}.items()}
    return {number: s for number, s in samples.items() if s is not None}


def _noise(trials: Sequence[Trial], default: Trial | None, objective: Objective) -> Sample | None:
    """Return the default's values on tuning seeds; None for fewer than two."""
    if default is None:
        return None
    same = [t for t in trials if t.number == default.number or t.proposal.replicate_of == default.number]
    values = [v[0] for t in same if not is_fresh(t.proposal.seed) and (v := objective_values(t, (objective,)))]
    found = sample(values)
    return found if found is not None and found.count > 1 else None


def _held_against_default(trials: Sequence[Trial]) -> dict[int, int]:
    """Return the configurations that ran on seeds nothing was chosen by, with the number of the first such run."""
    found: dict[int, int] = {}
    for trial in trials:
        if trial.proposal.replicate_of is not None and is_confirming(trial.proposal.seed):
            found.setdefault(trial.proposal.replicate_of, trial.number)
    return found


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


def _best(
    able: Sequence[Trial], objectives: Sequence[Objective], replicates: Mapping[int, Sample], held: Mapping[int, int]
) -> ConfigResult | None:
    """Return the configuration that was held against the default, the incumbent where none was or a newer one leads.

    What was chosen is what the model expects most of: the incumbent may just have been lucky.
    """
    first = objectives[0]
    leader = incumbent(able, objectives)
    if leader is None:
        return None
    rerun = [t for t in able if t.number in held and t.number in replicates and replicates[t.number].count > 1]
    default = default_trial(able)
    # A person may have any trial repeated; only beside the default does that make it the study's choice.
    is_choice = leader in rerun or (default is not None and default.number in held)
    # Of the chosen one the repetitions may have failed, or the time ran out: that the default has some chooses nothing.
    chosen = [t for t in rerun if default is None or t.number != default.number]
    if chosen and is_choice and leader.number < min(held.values()):
        leader = min(chosen, key=lambda t: first.sign * replicates[t.number].mean)
    return _candidate(leader, first, replicates)


def _versus(best: ConfigResult | None, default: ConfigResult | None, objective: Objective) -> Difference | None:
    if best is None or default is None or best.number == default.number:
        return None
    if best.confirmed is None or default.confirmed is None:
        return None
    return difference(best.confirmed, default.confirmed, sign=objective.sign)


def _relative(versus: Difference | None, default: ConfigResult | None) -> tuple[float | None, float | None]:
    """Return gain and margin as fractions of the default's mean on fresh seeds; its own noise is left out."""
    if versus is None or default is None or default.confirmed is None or default.confirmed.mean == 0:
        return None, None
    size = abs(default.confirmed.mean)
    return versus.gain / size, versus.margin / size


def _verdict(facts: _Facts) -> StudyVerdict:
    if facts.best is None:
        return StudyVerdict.NOTHING_COMPLETE
    if facts.front:
        return StudyVerdict.FRONT
    if facts.default is None:
        return StudyVerdict.NO_DEFAULT
    if facts.best.number == facts.default.number:
        return StudyVerdict.DEFAULT_IS_BEST
    if facts.versus is None:
        return StudyVerdict.UNCONFIRMED
    return StudyVerdict.CONFIRMED if facts.versus.is_beyond_noise else StudyVerdict.WITHIN_NOISE


def _headline(verdict: StudyVerdict, facts: _Facts) -> str:
    if facts.best is None:
        return _nothing_complete(facts.trials)
    writers = {
        StudyVerdict.FRONT: _front_line,
        StudyVerdict.NO_DEFAULT: _no_default_line,
        StudyVerdict.DEFAULT_IS_BEST: _default_is_best_line,
        StudyVerdict.UNCONFIRMED: _unconfirmed_line,
        StudyVerdict.WITHIN_NOISE: _within_noise_line,
        StudyVerdict.CONFIRMED: _confirmed_line,
    }
    return writers[verdict](facts, facts.best)


def _nothing_complete(trials: Sequence[Trial]) -> str:
    if not trials:
        return "No trial has run yet."
    kinds = Counter(t.failure.kind.value for t in trials if t.failure)
    parts = [f"{count} {state}" for state, count in Counter(t.state.value for t in trials).items()]
    why = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if TrialState.COMPLETE in {t.state for t in trials}:
        return f"No trial is usable: none completed with every metric within its bounds ({', '.join(parts)})."
    return f"No trial completed: {', '.join(parts)}{f' ({why})' if why else ''}."


def _front_line(facts: _Facts, best: ConfigResult) -> str:
    count = len(facts.front)
    text = f"{count} {'trial is' if count == 1 else 'trials are'} on the Pareto front: {_ranges(facts)}."
    if facts.default is None:
        return text
    beaten = sum(_dominates(c, facts.default, facts.objectives) for c in facts.front)
    said = {0: "None beats", 1: "One beats"}.get(beaten, f"{beaten} beat")
    return f"{text} {said} the default in every objective."


def _ranges(facts: _Facts) -> str:
    parts = []
    for objective in facts.objectives:
        values = [c.values[objective.metric] for c in facts.front]
        low, high = short_number(min(values)), short_number(max(values))
        parts.append(f"{objective.metric} {low if low == high else f'{low} to {high}'}")
    return ", ".join(parts)


def _dominates(a: ConfigResult, b: ConfigResult, objectives: Sequence[Objective]) -> bool:
    if any(o.metric not in b.values for o in objectives):
        return False
    return all(o.sign * a.values[o.metric] < o.sign * b.values[o.metric] for o in objectives)


def _no_default_line(facts: _Facts, best: ConfigResult) -> str:
    value = f"Best: {facts.objective.metric} {short_number(best.value)} (trial {best.number})"
    if best.confirmed and best.confirmed.margin is not None:
        value += f" -> {plus_minus(best.confirmed)} on {best.confirmed.count} fresh seeds"
    return f"{value}. The default did not complete, so there is nothing to compare with."


def _default_is_best_line(facts: _Facts, best: ConfigResult) -> str:
    others = sum(t.state is TrialState.COMPLETE for t in facts.trials) - 1
    metric = f"{facts.objective.metric} {short_number(best.value)}"
    if others < 1:
        return f"Only the default has completed: {metric}."
    counted = f"{others} other complete {'trial' if others == 1 else 'trials'}"
    return f"Nothing beat the default ({metric}) in {counted}. Keep the default."


def _unconfirmed_line(facts: _Facts, best: ConfigResult) -> str:
    against = f"the default's {short_number(facts.default.value)}" if facts.default else "the default"
    gain = gain_text(facts.gain) if facts.gain is not None else "better"
    value = f"Best: {facts.objective.metric} {short_number(best.value)} (trial {best.number}), {gain} than {against}"
    chance = "part of the gain may be luck"
    if facts.noise and facts.noise.std:
        chance += f": from seed to seed the default varies by {short_number(facts.noise.std, 2)}"
    return f"{value}. Not confirmed on fresh seeds yet, so {chance}."


def _within_noise_line(facts: _Facts, best: ConfigResult) -> str:
    gain, margin = _relative(facts.versus, facts.default)
    seeds = best.confirmed.count if best.confirmed else 0
    if gain is None or margin is None:
        shown = f"{facts.versus.gain:+.3g} ± {facts.versus.margin:.2g}" if facts.versus else ""
    else:
        shown = f"{gain * 100:+.1f}% ± {margin * 100:.1f}%"
    return (
        f"Nothing beat the default beyond noise (best candidate, trial {best.number}: {shown} on {seeds} fresh seeds). "
        "Keep the default."
    )


def _confirmed_line(facts: _Facts, best: ConfigResult) -> str:
    if best.confirmed is None or facts.default is None or facts.default.confirmed is None or facts.versus is None:
        return _unconfirmed_line(facts, best)
    gain, _ = _relative(facts.versus, facts.default)
    return (
        f"Best: {facts.objective.metric} {short_number(best.value)} -> {plus_minus(best.confirmed)} "
        f"on {best.confirmed.count} fresh seeds (default {plus_minus(facts.default.confirmed)}; "
        f"{gain_text(gain) if gain is not None else 'better'} "
        f"with probability {probability_text(facts.versus.probability)})"
    )
