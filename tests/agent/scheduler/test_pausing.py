"""Who rests and who goes on, on trials and curves made by hand: no process, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from fakes.studies import make_spec
from fakes.views import trial, view

from tunesmith.agent.scheduler.curve_forecasts import Foresight
from tunesmith.agent.scheduler.early_stopping import Watch
from tunesmith.agent.scheduler.pausing import OPENING, Resting, Tempo, resting_pays
from tunesmith.agent.scheduler.successive_halving import resting_due
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.trials.view import Fidelity, StudyView

EPOCHS = Fidelity("epochs", 1, 9)


def standing(
    ends: Mapping[int, float], parts: Mapping[int, float], *, left: float = math.inf
) -> tuple[StudyView, Foresight]:
    """Return a study in which some ran to their ends, and some stopped after the first of 9 epochs."""
    spec = make_spec(
        run={"command": "python train.py --x {x}"},
        space={"x": {"type": "float", "low": 0.0, "high": 1.0}},
        fidelity={"name": "epochs", "min": 1, "max": 9},
        schedule={"kind": "curves"},
    )
    trials, seen = [], {}
    for number, end in sorted({**ends, **parts}.items()):
        steps = range(1, 10) if number in ends else range(1, 2)
        seen[number] = [Observation("loss", step, end + 1.0 / step - 1.0 / 9.0, 0.0) for step in steps]
        made = trial(number, {"x": number / 100}, seen[number][-1].value)
        if number in parts:
            made = replace(
                made, state=TrialState.STOPPED, outcome=Outcome(state=TrialState.STOPPED, values=made.values)
            )
        trials.append(made)
    now = replace(view(spec.space), trials=tuple(trials), number=len(trials), fidelity=EPOCHS, raised=True, left=left)
    foresight = Watch(spec, seen).foresight(trials)
    assert foresight is not None
    return now, foresight


def going(found: tuple[StudyView, Foresight]) -> int | None:
    proposal = resting_due(*found)
    return None if proposal is None else proposal.parent


def test_before_enough_began_nobody_goes_on_then_the_best_does() -> None:
    assert going(standing({0: 0.5}, {1: 0.2, 2: 0.9, 3: 0.8})) is None
    now, foresight = standing({0: 0.5}, {1: 0.9, 2: 0.2, 3: 0.8, 4: 0.7})
    assert len(now.trials) == OPENING
    proposal = resting_due(now, foresight)
    assert proposal is not None
    assert (proposal.parent, proposal.fidelity, proposal.params) == (2, 9, {"x": 0.02})
    assert proposal.rationale == "trial 2 goes on: number 1 of the 5 that came as far"


def test_when_half_went_on_the_others_rest_until_more_came() -> None:
    ends = {0: 0.5, 1: 0.4, 2: 0.6}
    assert going(standing(ends, {3: 0.9, 4: 0.8})) is None
    assert going(standing(ends, {3: 0.9, 4: 0.8, 5: 0.45, 6: 1.0, 7: 1.1})) == 5


def test_near_the_end_of_the_budget_nothing_rests_and_the_best_hope_goes_on() -> None:
    ends, parts = {n: 0.3 + 0.1 * n for n in range(6)}, {6: 0.31, 7: 0.9}
    assert going(standing(ends, parts)) is None
    assert going(standing(ends, parts, left=2.0)) == 6
    assert going(standing(ends, {7: 5.0}, left=2.0)) is None


@pytest.mark.parametrize(("left", "place"), [(math.inf, (9, 9)), (2.0, None)])
def test_a_running_trial_rests_behind_the_better_half(left: float, place: tuple[int, int] | None) -> None:
    now, foresight = standing({n: 0.3 + 0.1 * n for n in range(8)}, {8: 3.0}, left=left)
    running: Trial = replace(now.trials[8], state=TrialState.RUNNING, outcome=None)
    now = replace(now, trials=(*now.trials[:8], running))
    found = Resting(now, foresight).rests(running)
    assert (None if found is None else (found.rank, found.count)) == place


def test_resting_pays_where_much_is_left_and_little_is_paid_twice() -> None:
    kept, anew = (Tempo(start_s=2.0, step_s=1.0, keeps_files=files) for files in (True, False))
    assert resting_pays(10, 90, kept)
    assert resting_pays(10, 90, anew)
    assert resting_pays(40, 90, kept)
    assert not resting_pays(40, 90, anew)
    assert not resting_pays(1, 12, Tempo(start_s=2.0, step_s=0.1, keeps_files=True))
    assert resting_pays(1, 12, None)
