"""Trials of all versions are pooled, shifted by the difference that each version's paired first trial shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.views import trial

from tunesmith.agent.code_search.task_model import pool_trials, variant_shifts
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.study.space.parameters import Choice, Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.study.trials.view import Objective, StudyView

LOSS = Objective("loss")
PARENTS = {"edit-a": "", "edit-b": "edit-a", "edit-c": "", "edit-d": ""}
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
    found = variant_shifts(trials, LOSS, PARENTS, SPACE)
    assert set(found) == {"", "edit-a", "edit-b"}, "c ran on another seed, d did not complete"
    assert np.isclose([found["edit-a"].value, found["edit-b"].value], [-0.3, -0.4]).all()


def test_pooled_trials_have_the_values_of_one_version() -> None:
    wider = SearchSpace({**SPACE.parameters, "warmup": Float(0.0, 1.0, default=0.1)})
    trials = [run(0, "", 1.0, seed=1), run(1, "edit-a", 0.7, seed=1), run(2, "", 0.9, seed=3, x=0.3)]
    found = pool_trials(trials, "edit-a", wider, LOSS, variant_shifts(trials, LOSS, PARENTS, SPACE))
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
    known = pool_trials(trials, "edit-a", SPACE, LOSS, variant_shifts(trials, LOSS, PARENTS, SPACE))
    view = StudyView(space=SPACE, objectives=(LOSS,), trials=known, number=15)
    params = BayesSampler(SamplerSettings(n_initial=1)).suggest(view).params
    assert abs(float(params["x"]) - 0.8) < 0.2  # type: ignore[arg-type]
    assert abs(float(params["y"]) - 0.2) < 0.2  # type: ignore[arg-type]


def test_a_version_is_tuned_around_the_configuration_that_its_edit_was_written_for() -> None:
    """The parent is best at x = 0.8; the edit came with x = 0.3 and gained there, so the search continues there."""
    rng = np.random.default_rng(1)
    points = rng.random((14, 2)).round(3)
    trials = [
        run(n, "", float((x - 0.8) ** 2 + (y - 0.2) ** 2), seed=n, x=float(x), y=float(y))
        for n, (x, y) in enumerate(points)
    ]
    best = min(trials, key=lambda t: t.values["loss"])
    y = float(best.params["y"])  # type: ignore[arg-type]
    trials.append(run(14, "edit-a", best.values["loss"] - 0.5, seed=best.proposal.seed, x=0.3, y=y))
    known = pool_trials(trials, "edit-a", SPACE, LOSS, variant_shifts(trials, LOSS, PARENTS, SPACE))
    view = StudyView(space=SPACE, objectives=(LOSS,), trials=known, number=15)
    params = BayesSampler(SamplerSettings(n_initial=1)).suggest(view).params
    assert abs(float(params["x"]) - 0.3) < 0.2  # type: ignore[arg-type]


def test_a_pair_is_a_trial_of_the_parent_even_where_a_sibling_ran_on_the_same_seed() -> None:
    trials = [
        run(0, "", 1.0, seed=1),
        run(1, "edit-a", 0.7, seed=1),
        run(2, "edit-c", 0.4, seed=1),
    ]
    found = variant_shifts(trials, LOSS, PARENTS, SPACE)
    assert np.isclose([found["edit-a"].value, found["edit-c"].value], [-0.3, -0.6]).all()


def test_offsets_add_up_along_the_tree_and_values_without_an_order_are_swapped() -> None:
    space = SearchSpace({**SPACE.parameters, "opt": Choice(("sgd", "adam", "lion"), default="sgd")})
    rows = [
        (0, "", 1.0, 1, 0.5, "sgd"),
        (1, "", 1.2, 2, 0.4, "adam"),
        (2, "edit-a", 0.7, 1, 0.6, "adam"),
        (3, "edit-b", 0.5, 1, 0.8, "lion"),
        (4, "", 1.5, 3, 0.9, "sgd"),
    ]
    trials = []
    for number, code, loss, seed, x, opt in rows:
        made = run(number, code, loss, seed=seed, x=x)
        trials.append(replace(made, proposal=replace(made.proposal, params={**made.params, "opt": opt})))
    shifts = variant_shifts(trials, LOSS, PARENTS, space)

    def pooled(code: str) -> dict[int, tuple[object, object]]:
        found = pool_trials(trials, code, space, LOSS, shifts)
        return {t.number: (pytest.approx(t.params["x"]), t.params["opt"]) for t in found}

    assert pooled("edit-b") == {0: (0.8, "lion"), 1: (0.7, "adam"), 2: (0.8, "lion"), 3: (0.8, "lion")}
    assert pooled("edit-a")[3] == (0.6, "adam"), "a child's trial is moved back to its parent's configuration"
