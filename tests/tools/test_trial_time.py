"""How long a trial takes, from what a dry run showed."""

from __future__ import annotations

import pytest
from fakes.studies import make_spec

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.evaluator.preview.output_survey import ProgressMark
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, TrialState, Usage
from tunesmith.tools.checks.trial_time import budget_text, estimate_trial

FIDELITY = {"name": "epochs", "min": 3, "max": 27}


def ran(*, ended=True, wall_s=9.0, fidelity=None, steps=(), marks=(), slots=1, failure=None) -> DryRun:
    state = TrialState.COMPLETE if ended else TrialState.STOPPED
    return DryRun(
        params={}, fidelity=fidelity, limit_s=20.0, ran_judge=False, slots=slots, sightings=(), counts={},
        outcome=Outcome(state=TrialState.FAILED if failure else state, usage=Usage(wall_s=wall_s), failure=failure),
        marks=[ProgressMark(*mark) for mark in marks], steps=steps,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("run", "seconds"),
    [
        (ran(fidelity=3, steps=[(3, 1), (5, 2), (7, 3)]), 9 + 24 * 2),
        (ran(fidelity=3, steps=[(3, 0), (5, 1), (7, 2)]), 9 + 24 * 2),
        (ran(fidelity=3, steps=[(7, 3)]), 81),
        (ran(fidelity=3, steps=[(3, 100), (5, 200), (7, 300)]), 81),
        (ran(fidelity=3, steps=[(1, 5), (2, 10), (3, 15)], marks=[(3, "epoch", 1, 3), (5, "epoch", 2, 3)]), 9 + 24 * 2),
        (ran(ended=False, wall_s=20, fidelity=3, steps=[(8, 1), (18, 2)]), 18 + 25 * 10),
        (ran(ended=False, wall_s=20, fidelity=3, marks=[(8, "epoch", 1, 3), (18, "epoch", 2, 3)]), 18 + 25 * 10),
    ],
)
def test_a_full_trial_is_estimated_from_the_smallest_fidelity(run, seconds):
    spec = make_spec(fidelity=FIDELITY, run={"command": "python train.py --lr {lr} --epochs {epochs}"})
    assert estimate_trial(spec, run).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("run", "seconds"),
    [
        (ran(), 9),
        (ran(ended=False, marks=[(4, "epoch", 1, 30), (7, "epoch", 2, 30)]), 7 + 28 * 3),
        (ran(ended=False, marks=[(1, "step", 5, 100), (4, "epoch", 1, 30), (5, "step", 5, 100), (7, "epoch", 2, 30)]),
         7 + 28 * 3),
        (ran(ended=False, marks=[(2, "step", 100, 1000), (3, "step", 200, 1000)]), 3 + 8),
        (ran(ended=False, marks=[(2, "batch", 900, 1000), (3, "batch", 100, 1000)]), None),
        (ran(ended=False, marks=[(4, "epoch", 1, 30)]), None),
        (ran(ended=False), None),
        (ran(failure=Failure(kind=FailureKind.CRASH, reason="x")), None),
        (ran(failure=Failure(kind=FailureKind.NO_METRIC, reason="x")), 9),
    ],
)  # fmt: skip
def test_without_a_fidelity_the_run_or_its_progress_tells(run, seconds):
    assert estimate_trial(make_spec(), run).seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("budget", "slots", "trial_s", "text"),
    [
        ({"hours": 8}, 1, 60.0, "about 480 full trials fit into 8 hours, one at a time"),
        ({"hours": 8}, 2, 8.7, "about 6,600 full trials fit into 8 hours, 2 at once"),
        ({"hours": 1, "trials": 40}, 1, 60.0, "about 60 full trials fit into 1 hour, one at a time; "
                                               "[budget].trials = 40 ends it before"),
        ({"hours": 0.5, "trials": 40}, 1, 60.0, "about 30 full trials fit into 0.5 hours, one at a time"),
        ({"trials": 5}, 2, 60.0, "5 full trials take about 3 min 0 s, 2 at once"),
        ({"until": "07:00"}, 1, 60.0, ""),
    ],
)  # fmt: skip
def test_the_budget_is_told_in_trials_or_in_time(budget, slots, trial_s, text):
    spec = parse_spec({**make_spec().document, "budget": budget})
    assert budget_text(spec, ran(slots=slots), trial_s) == text
