"""The end of a budget: leaders that noise hides run again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from fakes.views import trial

import tunesmith as ts
from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.planner.ending import due_repeat, is_ending
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.seeds import noise_seed
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import Objective, StudyView

SPACE = SearchSpace({"x": ts.Float(0.0, 1.0), "y": ts.Float(1e-3, 1.0, log=True), "c": ts.Choice(["a", "b"])})


def point(number: int) -> Mapping[str, Value]:
    return {"x": 0.02 * number, "y": 0.01 + 0.01 * number, "c": "a"}


def repeat(number: int, of: int, value: float) -> Trial:
    made = trial(number, point(of), value)
    kept = {"source": Source.CONFIRM, "replicate_of": of, "seed": noise_seed(0, number)}
    return replace(made, proposal=replace(made.proposal, **kept))


def view_of(values: Sequence[float], repeats: Sequence[tuple[int, float]] = (), left: float = 2.0) -> StudyView:
    trials = [trial(n, point(n), value) for n, value in enumerate(values)]
    trials += [repeat(len(values) + i, of, value) for i, (of, value) in enumerate(repeats)]
    objectives = (Objective("loss"),)
    return StudyView(space=SPACE, objectives=objectives, trials=trials, number=len(trials), seed=0, runs_left=left)


TWELVE = [3.0 - 0.1 * n for n in range(12)]


@pytest.mark.parametrize(
    ("done", "left", "ending"),
    [(12, 2, True), (12, 3, False), (12, math.inf, False), (5, 1, False), (45, 5, True), (45, 6, False), (12, 0, True)],
)
def test_the_end_is_the_last_tenth_and_two_trials_at_least(done: int, left: float, ending: bool) -> None:
    assert is_ending(view_of([1.0 + 0.01 * n for n in range(done)], left=left)) is ending


@pytest.mark.parametrize(
    ("repeats", "due"),
    [
        ([], None),  # nothing is known of the noise
        ([(11, 1.9), (11, 1.901)], None),  # known, and far below the distance of the leaders
        ([(11, 2.4), (11, 1.6)], 10),  # within the noise: the next best ran once, the best three times
        ([(11, 2.4), (11, 1.6), (10, 1.7), (10, 2.3)], None),  # one repeat per four trials is enough
    ],
)
def test_of_leaders_within_the_noise_the_one_that_ran_least_runs_again(
    repeats: list[tuple[int, float]], due: int | None
) -> None:
    found = due_repeat(view_of(TWELVE, repeats))
    assert (found.number if found is not None else None) == due


@pytest.mark.parametrize(("repeats_leaders", "left", "source"), [
    (True, 2.0, Source.CONFIRM), (False, 2.0, Source.SAMPLER), (True, 9.0, Source.SAMPLER),
])  # fmt: skip
def test_the_arbiter_repeats_a_leader_at_the_end_unless_the_choice_is_confirmed_later(
    repeats_leaders: bool, left: float, source: Source
) -> None:
    chooses = Arbiter(BayesSampler(), repeats_leaders=repeats_leaders)
    proposal = chooses.choose(view_of(TWELVE, [(11, 2.4), (11, 1.6)], left=left))
    assert proposal.source is source
    if source is Source.CONFIRM:
        assert proposal.replicate_of == 10
        assert "noise hides" in proposal.rationale
