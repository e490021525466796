"""What a study found and how certain that is: the figures at the end of a run and at the top of every report.

The terminal, the HTML page, Markdown and JSON all show one Summary. Knows no layout. Every ± is half the width of a 95%
interval of a mean over seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.trials.replicates.seeds import is_confirming, is_fresh
from tunesmith.study.trials.results import (
    default_trial,
    left_out_count,
    left_out_text,
    pareto_front,
    present_trials,
    relative_gain,
)
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.study.trials.winner import Winner, leaderboard, winner
from tunesmith.tools.analysis.bounds.infeasibility import broken_bounds
from tunesmith.tools.analysis.confirmation.hidden_choice import hidden_difference, hidden_sample
from tunesmith.tools.analysis.confirmation.significance import Difference, Sample, difference, sample
from tunesmith.tools.analysis.findings.figures import HIDDEN_DATA, ConfigResult
from tunesmith.tools.analysis.findings.headline import (
    HeadlineData,
    StudyVerdict,
    headline,
    verdict_of,
    with_left_out,
    with_taken,
)
from tunesmith.tools.analysis.findings.stated_gain import StatedGain, stated_gain
from tunesmith.tools.analysis.findings.tradeoff import CheaperChoice, shown_choices
from tunesmith.tools.analysis.importance import Importance, importance

TOP_PARAMETERS = 3
"""Number of parameters that Summary.important lists."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a study.

    Attributes:
        headline: what was found and how certain it is, in one or two sentences.
        best: the trial to use: the winner of study/trials/winner.py.
        winner: the same choice with its expected value and the noise between seeds.
        left_out: which earlier trials do not count, since the space or the instances changed; "" if all do.
        fresh: what confirmation runs on: "fresh seeds", "held-out instances" or "hidden data".
        gain: gain of the best over the default in tuning, as a fraction of the default's size; None without a default
            or around zero.
        versus_default: best against default on fresh seeds; None unless both ran on two seeds or more.
        stated: the one gain that is stated, with what it is of; None without a default.
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
    stated: StatedGain | None = None
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
    def confirmed_gain(self) -> float | None:
        """The gain on fresh runs or hidden data as a fraction of the size of the default's mean there."""
        return self.stated.fraction if self.stated is not None and self.stated.is_fresh else None

    @property
    def important(self) -> tuple[str, ...]:
        """The TOP_PARAMETERS most important parameters; none where nothing can be said."""
        return self.importance.names[:TOP_PARAMETERS]


def summarize(record: StudyRecord, trials: Sequence[Trial]) -> Summary:
    """Return the figures of a study."""
    objectives = record.spec.objectives
    everything, trials = trials, present_trials(trials, record.spec.space)
    ranked, chosen = leaderboard(trials, record.spec), winner(trials, record.spec)
    pair = _compared(record, trials, chosen)
    best, default, versus, replicates = pair.best, pair.default, pair.versus, pair.replicates
    front = pareto_front(ranked, objectives) if len(objectives) > 1 else []
    noise = _noise(trials, pair.default_run, objectives[0])
    stated = _stated(pair, chosen, objectives[0])
    data = HeadlineData(
        objectives=objectives,
        best=best,
        default=default,
        front=tuple(c for t in front if (c := _candidate(t, objectives[0], replicates))),
        trials=[t for t in everything if t.counts and not t.is_replicate] or everything,
        left_out=left_out_text(left_out_count(everything, record.spec.space), everything, record.spec.instance_set),
        winner=chosen,
        stated=stated,
        versus=versus,
        noise=noise,
        constraints=record.spec.metric_constraints,
        space=record.spec.space,
        default_breaks=pair.default_breaks,
        takes_seed="seed" in used_placeholders(record.spec),
        fresh=replicates.fresh,
    )
    verdict = verdict_of(data)
    return Summary(
        objectives=objectives,
        verdict=verdict,
        headline=with_taken(with_left_out(headline(verdict, data), data.left_out), record.spec, best),
        best=best,
        winner=chosen,
        left_out=data.left_out,
        fresh=data.fresh,
        default=default,
        gain=relative_gain(best.value, default.value, objectives[0]) if best and default else None,
        versus_default=versus,
        stated=stated,
        noise=noise,
        replicated=_replicated(ranked, objectives[0], replicates),
        front=data.front,
        cheaper=tuple(shown_choices(trials, record.spec)),
        states=dict(Counter(t.state.value for t in data.trials)),
        weigh=partial(importance, record.spec.space, trials, objectives[0]),
    )


def gain_of(record: StudyRecord, trials: Sequence[Trial], chosen: Winner) -> StatedGain | None:
    """Return the gain that a study's summary states, without the rest of it; None without a default to compare with."""
    objective = record.spec.objectives[0]
    return _stated(_compared(record, present_trials(trials, record.spec.space), chosen), chosen, objective)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The choice and the default, with their difference on fresh runs or hidden data."""

    best: ConfigResult | None
    default: ConfigResult | None
    default_run: Trial | None
    default_breaks: str
    versus: Difference | None
    replicates: _FreshValues


def _compared(record: StudyRecord, trials: Sequence[Trial], chosen: Winner | None) -> _Pair:
    objective, constraints = record.spec.objectives[0], record.spec.metric_constraints
    is_hidden = chosen is not None and chosen.is_hidden
    replicates = _hidden_values(trials) if is_hidden else _fresh_values(trials, objective, _fresh_runs(record))
    best = _candidate(chosen.trial, objective, replicates) if chosen else None
    run = default_trial(trials, record.spec.space)
    breaks = broken_bounds(run, constraints) if run and run.state is TrialState.COMPLETE else ""
    # What may not be chosen is nothing to measure a gain against.
    default = _candidate(run, objective, replicates) if run and not breaks else None
    if chosen is not None and is_hidden:
        versus = hidden_difference(chosen.trial, run if default else None, sign=objective.sign)
    else:
        versus = _versus(best, default, objective)
    return _Pair(
        best=best, default=default, default_run=run, default_breaks=breaks, versus=versus, replicates=replicates
    )


def _stated(pair: _Pair, chosen: Winner | None, objective: Objective) -> StatedGain | None:
    is_confirmed = chosen is not None and (chosen.is_confirmed or chosen.is_hidden)
    return stated_gain(pair.best, pair.default, objective, pair.versus, is_confirmed=is_confirmed)


def _fresh_runs(record: StudyRecord) -> str:
    return "held-out instances" if record.spec.instances and record.spec.instances.hold_out else "fresh seeds"


@dataclass(frozen=True, slots=True)
class _FreshValues:
    """Each configuration's values that nothing was chosen by, and where they come from."""

    samples: Mapping[int, Sample]
    fresh: str


def _hidden_values(trials: Sequence[Trial]) -> _FreshValues:
    """Return the values on hidden data of each configuration that was judged there."""
    return _FreshValues({t.number: hidden_sample(t.hidden) for t in trials if t.hidden is not None}, HIDDEN_DATA)


def _fresh_values(trials: Sequence[Trial], objective: Objective, fresh: str) -> _FreshValues:
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
    return _FreshValues({number: s for number, s in samples.items() if s is not None}, fresh)


def _noise(trials: Sequence[Trial], default: Trial | None, objective: Objective) -> Sample | None:
    """Return the default's values on tuning seeds; None for fewer than two."""
    if default is None:
        return None
    same = [t for t in trials if default.number in (t.number, t.proposal.replicate_of) and not t.proposal.instance]
    values = [v[0] for t in same if not is_fresh(t.proposal.seed) and (v := objective_values(t, (objective,)))]
    found = sample(values)
    return found if found is not None and found.count > 1 else None


def _replicated(ranked: Sequence[Trial], objective: Objective, replicates: _FreshValues) -> tuple[ConfigResult, ...]:
    """Return every configuration that ran on fresh seeds, best tuning value first."""
    found = [c for t in ranked if (c := _candidate(t, objective, replicates)) and c.confirmed]
    return tuple(sorted(found, key=lambda c: (objective.sign * c.value, c.number)))


def _candidate(trial: Trial, objective: Objective, replicates: _FreshValues) -> ConfigResult | None:
    value = trial.values.get(objective.metric)
    if trial.state is not TrialState.COMPLETE or value is None or not math.isfinite(value):
        return None
    return ConfigResult(
        number=trial.number,
        source=trial.proposal.source.value,
        params=trial.params,
        values=trial.values,
        value=value,
        confirmed=replicates.samples.get(trial.number),
        fresh=replicates.fresh,
    )


def _versus(best: ConfigResult | None, default: ConfigResult | None, objective: Objective) -> Difference | None:
    if best is None or default is None or best.number == default.number:
        return None
    if best.confirmed is None or default.confirmed is None:
        return None
    return difference(best.confirmed, default.confirmed, sign=objective.sign)
