"""Which trials pause and which paused trials resume, on trials and curves made by hand: no process, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from fakes.studies import make_spec
from fakes.views import trial, view

from tunesmith.agent.scheduler.curve_forecasts import CurveForecasts
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.agent.scheduler.pausing import MIN_CONFIGURATIONS, Pausing, TrialPace, is_worth_pausing, resume_paused
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Trial, TrialState
from tunesmith.study.trials.view import Fidelity, StudyView

EPOCHS = Fidelity("epochs", 1, 9)


def study_with(
    ends: Mapping[int, float], parts: Mapping[int, float], *, left: float = math.inf
) -> tuple[StudyView, CurveForecasts]:
    """Return a study in which trials ran in full to `ends` or stopped after 1 of 9 epochs on the way to `parts`."""
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
    now = replace(
        view(spec.space), trials=tuple(trials), number=len(trials), fidelity=EPOCHS, fidelity_rises=True, runs_left=left
    )
    forecasts = EarlyStopping(spec, seen).forecasts(trials)
    assert forecasts is not None
    return now, forecasts


def resumed(study: tuple[StudyView, CurveForecasts]) -> int | None:
    """Return the number of the paused trial that resumes; None if none does."""
    proposal = resume_paused(*study)
    return None if proposal is None else proposal.parent


def test_the_best_paused_trial_resumes_once_enough_configurations_started() -> None:
    assert resumed(study_with({0: 0.5}, {1: 0.2, 2: 0.9, 3: 0.8})) is None
    now, forecasts = study_with({0: 0.5}, {1: 0.9, 2: 0.2, 3: 0.8, 4: 0.7})
    assert len(now.trials) == MIN_CONFIGURATIONS
    proposal = resume_paused(now, forecasts)
    assert proposal is not None
    assert (proposal.parent, proposal.fidelity, proposal.params) == (2, 9, {"x": 0.02})
    assert proposal.rationale == "trial 2 resumes: rank 1 of the 5 that came this far"


def test_once_half_continued_the_others_stay_paused_until_more_start() -> None:
    ends = {0: 0.5, 1: 0.4, 2: 0.6}
    assert resumed(study_with(ends, {3: 0.9, 4: 0.8})) is None
    assert resumed(study_with(ends, {3: 0.9, 4: 0.8, 5: 0.45, 6: 1.0, 7: 1.1})) == 5


def test_near_the_end_of_the_budget_the_most_promising_paused_trial_resumes() -> None:
    ends, parts = {n: 0.3 + 0.1 * n for n in range(6)}, {6: 0.31, 7: 0.9}
    assert resumed(study_with(ends, parts)) is None
    assert resumed(study_with(ends, parts, left=2.0)) == 6
    assert resumed(study_with(ends, {7: 5.0}, left=2.0)) is None


@pytest.mark.parametrize(("left", "expected"), [(math.inf, (9, 9)), (2.0, None)])
def test_a_running_trial_outside_the_better_half_pauses_unless_the_budget_ends(
    left: float, expected: tuple[int, int] | None
) -> None:
    now, forecasts = study_with({n: 0.3 + 0.1 * n for n in range(8)}, {8: 3.0}, left=left)
    running: Trial = replace(now.trials[8], state=TrialState.RUNNING, outcome=None)
    now = replace(now, trials=(*now.trials[:8], running))
    rank = Pausing(now, forecasts).pause_rank(running)
    assert (None if rank is None else (rank.position, rank.count)) == expected


def test_pausing_is_worth_it_if_much_is_left_and_little_runs_twice() -> None:
    kept, anew = (TrialPace(start_s=2.0, step_s=1.0, keeps_files=files) for files in (True, False))
    assert is_worth_pausing(10, 90, kept)
    assert is_worth_pausing(10, 90, anew)
    assert is_worth_pausing(40, 90, kept)
    assert not is_worth_pausing(40, 90, anew)
    assert not is_worth_pausing(1, 12, TrialPace(start_s=2.0, step_s=0.1, keeps_files=True))
    assert is_worth_pausing(1, 12, None)
