"""Says which configurations a judge with hidden data is asked about, and makes the choice of what it answered.

Used by the loop ([confirm].command) and by `Tuner.choose`, which differ in how they judge. Starts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.scheduler.confirmation import Confirmation
from tunesmith.history.queries.hidden_choice import without_hidden_values
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.record import Event
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import PYTHON_FUNCTION, ConfirmTable
from tunesmith.study.trials.hidden import HiddenSource
from tunesmith.study.trials.results import baseline_trial
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.confirmation.hidden_choice import (
    Judged,
    best_judged,
    choice_detail,
    is_of_source,
    judged_before,
)

OWN_FILES = 0
"""Key of the value of what a trial itself kept; other values are keyed by the seed of their run."""
_NAMELESS = HiddenSource()
"""The source of a judge in Python, whose data nobody can compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenLook:
    """A look at hidden data that a study could take.

    Attributes:
        trials: every trial of the study, without values on hidden data.
        leaders: the configurations to choose from, the best of the search first, and the default.
        new: those that no earlier look judged.
        before: what earlier looks said, of these leaders and of others.
        seeds: seeds on which the leaders ran again to be judged; () where what the trials kept is judged.
        number: 1 for the first look; where nothing is new, that of the last one.
        is_settled: whether nothing came since the last choice.
        source: the data and the judge of this look.
    """

    trials: Sequence[Trial]
    leaders: Sequence[Trial]
    new: Sequence[Trial]
    before: Sequence[Judged]
    seeds: tuple[int, ...]
    number: int
    is_settled: bool
    source: HiddenSource

    def choice(self, judged: Sequence[Judged], spec: StudySpec) -> tuple[Trial, dict[str, Any]] | None:
        """Return the chosen trial and the detail of its event; None if no configuration has a value.

        Args:
            judged: what the judge said of the new leaders.
            spec: the study.
        """
        every = [*self.before, *judged]
        default = baseline_trial(self.trials, spec)
        known = {t.number: t for t in self.trials if t.counts}
        able = [one for one in every if one.trial in known]
        sign = spec.objectives[0].sign
        chosen = best_judged(able, sign=sign, default=default.number if default is not None else None)
        if chosen is None:
            return None
        return known[chosen], choice_detail(
            every, chosen, trials=len(self.trials), look=self.number, source=self.source
        )


def next_look(
    spec: StudySpec,
    trials: Sequence[Trial],
    events: Sequence[Event],
    steering: Steering,
    source: HiddenSource = _NAMELESS,
) -> HiddenLook:
    """Return the look at hidden data that a study with [confirm] could take now.

    Args:
        spec: the study.
        trials: all of it.
        events: those of earlier choices by hidden data.
        steering: the pins and vetoes that a leader respects.
        source: the data and the judge as they are now; what others said counts for nothing.
    """
    blind = without_hidden_values(list(trials))
    confirmation = Confirmation(spec)
    confirmation.steering = steering
    leaders, seeds = confirmation.judged(blind), tuple(confirmation.judged_seeds())
    keys = set(seeds) or {OWN_FILES}
    known, looks = judged_before(events, source)
    before = [one for one in known if one.values and set(one.values) <= keys]
    new = [t for t in leaders if t.number not in {one.trial for one in before}]
    return HiddenLook(
        trials=blind,
        leaders=leaders,
        new=new,
        before=before,
        seeds=seeds,
        number=looks + bool(new),
        is_settled=not leaders or (not new and _is_last_word(events[-1], len(trials), source)),
        source=source,
    )


def _is_last_word(choice: Event, trials: int, source: HiddenSource) -> bool:
    return bool(choice.detail["trials"] == trials) and is_of_source(choice, source)


def judged_choice(
    spec: StudySpec, trials: Sequence[Trial], events: Sequence[Event], *, judge: Callable[[Trial], float], top: int
) -> tuple[Trial, dict[str, Any]] | None:
    """Have the leaders judged by a function that no earlier look judged; return the choice and its event's detail.

    Args:
        spec: the study.
        trials: all of it.
        events: those of earlier choices by hidden data.
        judge: returns a trial's value of the first objective on hidden data; nan if it has none. What it raises is
            passed on.
        top: number of leaders.

    Returns:
        None where nothing came since the last choice, and where no leader has a value.
    """
    asked = spec.model_copy(update={"confirm": ConfirmTable(command=PYTHON_FUNCTION, top=top)})
    look = next_look(asked, trials, events, Steering({}))
    return None if look.is_settled else look.choice([_judged_by(judge, trial) for trial in look.new], spec)


def _judged_by(judge: Callable[[Trial], float], trial: Trial) -> Judged:
    value = float(judge(trial))
    if not math.isfinite(value):
        return Judged(trial=trial.number, reason=f"its value was {value}")
    return Judged(trial=trial.number, values={OWN_FILES: value})
