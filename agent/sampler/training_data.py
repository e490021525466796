"""A study's view as arrays: where trials lay and what came of them. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.agent.sampler.surrogate.encoding import Array, Mask
from tunesmith.agent.sampler.surrogate.gp_ensemble import lowest_and_spread
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.study.trials.view import Foretold, StudyView

MOST_EARLIER = 2_000
"""So many trials of an earlier study are looked at: the best for one half, the rest selected evenly by rank."""

_HUGE = 1e100
"""Values are clipped here, so that differences and squares of them stay finite."""


@dataclass(frozen=True, slots=True)
class Past:
    """One row per finished trial that teaches something.

    Attributes:
        units: (n, d) coordinates.
        values: (n, k) objectives, all to be minimized; nan where there is none.
        complete: (n,) ran through, and all objectives are finite numbers.
        failed: (n,) did not, and the configuration is to blame.
        violations: (n, constraints) above 0 where a constraint is broken, nan where its metric is missing.
        pending: (p, d) coordinates of what is waiting or running.
        fidelity: (n,) at which fidelity each ran, in [0, 1], 1 for the full one.
        seconds: (n,) how long each took; nan where that is not known.
        offered: how many of all these an LLM proposed.
        echoes: how many say of a trial that ran through what a part of its curve had foretold; before the repeats.
        repeats: how many repeat a configuration, to tell how much is chance; the last ones.

    A trial that was stopped early counts as complete at a lower fidelity, with the end that its curve foretells; the
    echoes tell the model how such forecasts differ from ends, and where in the space. Where nothing is foretold, a stop
    is neither complete nor failed, and its first value is the one at that moment.
    """

    units: Array
    values: Array
    complete: Mask
    failed: Mask
    violations: Array
    pending: Array
    fidelity: Array
    seconds: Array
    offered: int
    echoes: int
    repeats: int

    @property
    def spread(self) -> int:
        """How many of them no LLM proposed: what it offers says nothing of the rest of the space."""
        return self.count - self.offered - self.repeats

    @property
    def count(self) -> int:
        """How many configurations are known, pending ones too."""
        return len(self.units) - self.echoes + len(self.pending)

    @property
    def allowed(self) -> Mask:
        """(n,) complete, and no constraint known to be broken."""
        return self.complete & ~(self.violations > 0.0).any(axis=1)


def past_of(view: StudyView) -> Past:
    """Return the arrays. A run that was lost with its machine says nothing about its configuration and is left out."""
    own = [t for t in view.finished if t.failure is None or t.failure.kind is not FailureKind.LOST]
    stopped = [_foretold(t, view) if t.state is TrialState.STOPPED else None for t in own]
    echoes = [(t, part) for t in own if t.state is TrialState.COMPLETE for part in view.foretold.get(t.number, ())]
    repeats = view.repeats
    told = [*own, *(t for t, _ in echoes), *repeats]
    parts = [*stopped, *(part for _, part in echoes), *(None for _ in repeats)]
    n, k = len(told), len(view.objectives)
    signed = [[o.sign * t.values.get(o.metric, np.nan) for o in view.objectives] for t in told]
    values = np.reshape(np.array(signed, dtype=float), (n, k))
    fidelity = np.array([view.fidelity_of(t) for t in told], dtype=float)
    for row, part in enumerate(parts):
        if part is not None:
            values[row, 0], fidelity[row] = view.objectives[0].sign * part.value, part.part
    known = np.array([p is not None for p in parts], dtype=bool)
    ran = np.array([t.state is TrialState.COMPLETE for t in told], dtype=bool)
    complete = (ran | known) & np.isfinite(values).all(axis=1)
    ended = np.array([t.state is TrialState.STOPPED for t in told], dtype=bool)
    broken = [
        [c.violation(t.values[c.metric]) if c.metric in t.values else np.nan for c in view.constraints] for t in told
    ]
    return Past(
        units=_units(told, view.space),
        values=np.clip(values, -_HUGE, _HUGE),
        complete=complete,
        failed=~complete & ~ended,
        violations=np.reshape(np.array(broken, dtype=float), (n, len(view.constraints))),
        pending=_units(view.pending, view.space),
        fidelity=fidelity,
        seconds=np.where(known, np.nan, np.array([_seconds(t) for t in told], dtype=float)),
        offered=sum(t.proposal.source is Source.LLM for t in [*own, *view.pending]),
        echoes=len(echoes),
        repeats=len(repeats),
    )


def _foretold(trial: Trial, view: StudyView) -> Foretold | None:
    """Return what the whole curve of a stopped trial said of its end, None where nothing is known."""
    parts = view.foretold.get(trial.number, ())
    return parts[-1] if parts else None


def earlier_past(view: StudyView, study: EarlierStudy) -> Past:
    """Return the arrays of an earlier study: its trials as far as they fit the present space.

    A parameter that it did not have takes its default, or its middle; one that is gone is left out; a configuration
    with a value outside the present range is left out as a whole. Of very many trials a selection stands for all.
    """
    selected = replace(study, trials=_selected(view, study.trials))
    return past_of(replace(view, trials=list(selected.fitting(view.space)), foretold={}))


def _selected(view: StudyView, trials: Sequence[Trial]) -> Sequence[Trial]:
    if len(trials) <= MOST_EARLIER:
        return trials
    first = view.objectives[0]
    values = np.array([first.sign * t.values.get(first.metric, np.inf) for t in trials], dtype=float)
    return [trials[row] for row in lowest_and_spread(np.where(np.isnan(values), np.inf, values), MOST_EARLIER)]


def _seconds(trial: Trial) -> float:
    seconds = trial.outcome.usage.wall_s if trial.outcome else 0.0
    return seconds if seconds > 0.0 else math.nan


def _units(trials: Sequence[Trial], space: SearchSpace) -> Array:
    return np.reshape(np.array([space.to_unit(t.params) for t in trials], dtype=float), (len(trials), len(space)))
