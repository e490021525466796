"""Trials of all versions are pooled, shifted by the difference that each version's paired first trial shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakes.views import trial

from tunesmith.agent.code_search.task_model import pool_trials, variant_shifts
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate_model import SamplerSettings
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.study.trials.view import Objective, StudyView

LOSS = Objective("loss")
SPACE = SearchSpace({"x": Float(0.0, 1.0, default=0.5), "y": Float(0.0, 1.0, default=0.5)})


def run(number: int, code: str, loss: float | FailureKind, *, seed: int, **params: float) -> Trial:
    made = trial(number, {"x": 0.5, "y": 0.5, **params}, loss)
    return replace(made, proposal=replace(made.proposal, variant=code or "root", seed=seed))


def test_shifts_come_from_pairs_and_add_up_along_the_tree() -> None:
    trials = [
        run(0, "", 1.0, seed=1),
        run(1, "edit-a", 0.7, seed=1),
        run(2, "edit-a", 0.6, seed=2, x=0.4),
        run(3, "edit-b", 0.5, seed=2, x=0.4),
        run(4, "edit-c", 0.1, seed=9),
        run(5, "edit-d", FailureKind.CRASH, seed=1),
    ]
    found = variant_shifts(trials, LOSS)
    assert set(found) == {"", "edit-a", "edit-b"}, "c ran on another seed, d did not complete"
    assert np.isclose([found["edit-a"], found["edit-b"]], [-0.3, -0.4]).all()


def test_pooled_trials_have_the_values_of_one_version() -> None:
    wider = SearchSpace({**SPACE.parameters, "warmup": Float(0.0, 1.0, default=0.1)})
    trials = [run(0, "", 1.0, seed=1), run(1, "edit-a", 0.7, seed=1), run(2, "", 0.9, seed=3, x=0.3)]
    found = pool_trials(trials, "edit-a", wider, LOSS, variant_shifts(trials, LOSS))
    assert np.isclose([t.values["loss"] for t in found], [0.7, 0.7, 0.6]).all()
    assert all(t.params["warmup"] == 0.1 for t in found)


def test_tuning_a_new_version_uses_the_trials_of_the_old_one() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((14, 2)).round(3)
    trials = [
        run(n, "", float((x - 0.8) ** 2 + (y - 0.2) ** 2), seed=n, x=float(x), y=float(y))
        for n, (x, y) in enumerate(points)
    ]
    best = min(trials, key=lambda t: t.values["loss"])
    first = replace(best, number=14, proposal=replace(best.proposal, variant="edit-a"))
    trials.append(replace(first, outcome=run(14, "edit-a", best.values["loss"] - 0.5, seed=0).outcome))
    known = pool_trials(trials, "edit-a", SPACE, LOSS, variant_shifts(trials, LOSS))
    view = StudyView(space=SPACE, objectives=(LOSS,), trials=known, number=15)
    params = BayesSampler(SamplerSettings(n_initial=1)).suggest(view).params
    assert abs(float(params["x"]) - 0.8) < 0.2  # type: ignore[arg-type]
    assert abs(float(params["y"]) - 0.2) < 0.2  # type: ignore[arg-type]
