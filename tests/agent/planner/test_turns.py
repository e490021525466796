"""Whose turn it is: what a model may get shrinks with its trials since the last new best, and comes back with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.views import trial

import tunesmith as ts
from tunesmith.agent.planner.order.turns import fruitless_trials, next_turn
from tunesmith.agent.sampler.beside_llm import without_llm_misses
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind, Source, Trial
from tunesmith.study.trials.view import Objective, StudyView

SPACE = SearchSpace({"x": ts.Float(0.0, 1.0)})
SOURCES = {"L": Source.LLM, "s": Source.SAMPLER, "d": Source.DEFAULT, "u": Source.USER, "c": Source.CONFIRM}
Row = tuple[str, float | FailureKind | None]


def view_of(rows: Sequence[Row], seed: int = 1) -> StudyView:
    trials: list[Trial] = []
    for number, (source, value) in enumerate(rows):
        made = trial(number, {"x": number / 100}, value)
        proposal = replace(made.proposal, source=SOURCES[source], replicate_of=0 if source == "c" else None)
        trials.append(replace(made, proposal=proposal))
    return StudyView(space=SPACE, objectives=(Objective("loss"),), trials=tuple(trials), number=len(trials), seed=seed)


def share(rows: Sequence[Row], earned: float = 0.95) -> float:
    return sum(next_turn(view_of(rows, seed), earned).is_llm for seed in range(400)) / 400


GAINS: list[Row] = [("d", 9.0), *(("sL"[n % 2], 8.0 - n) for n in range(8))]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ([], 0.6),
        ([("L", 5.0)] * 2, 0.35),
        ([("L", 5.0)] * 4, 0.16),
        ([("L", FailureKind.OOM)] * 8, 0.05),
        ([("s", 5.0)] * 2, 0.70),
        ([("s", 5.0)] * 8, 0.86),  # no more than four times the odds
        ([("s", 5.0), ("L", 5.0)] * 2, 0.46),
        ([("L", 5.0)] * 8 + [("s", 0.5)], 0.6),  # another best trial to think about
        ([("L", 5.0)] * 8 + [("u", 0.5)], 0.6),
        ([("c", 5.0)] * 8, 0.6),  # repeats say nothing of either
        ([("L", None)] * 8, 0.6),  # nor do trials that still run
    ],
)
def test_the_odds_of_a_model_shrink_with_each_of_its_trials_since_the_last_gain(
    since: list[Row], expected: float
) -> None:
    assert share([*GAINS, *since], earned=0.6) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("misses", "expected"), [(0, 0.95), (2, 0.87), (4, 0.71)])
def test_a_model_whose_trials_are_far_better_than_the_samplers_keeps_most_turns(misses: int, expected: float) -> None:
    assert share([*GAINS, *[("L", 5.0)] * misses], earned=0.95) == pytest.approx(expected, abs=0.06)


def test_a_misleading_model_gets_little_by_a_long_plateau() -> None:
    assert share([*GAINS, *[("s", 5.0)] * 30], earned=0.05) == pytest.approx(0.17, abs=0.05)


def test_a_model_without_a_gain_in_two_trials_no_longer_leads_the_first_ones() -> None:
    rows: list[Row] = [("d", 9.0), ("L", 8.0), ("L", 8.5), ("L", 8.6)]
    assert share(rows[:2], earned=0.8) == 1.0
    assert share(rows, earned=0.8) == pytest.approx(0.59, abs=0.06)


def test_counts_start_again_with_a_new_best_and_failures_count() -> None:
    rows: list[Row] = [("d", 9.0), ("L", 9.5), ("s", 9.4), ("L", FailureKind.NAN)]
    assert fruitless_trials(view_of(rows), Source.LLM) == 2
    assert fruitless_trials(view_of(rows), Source.SAMPLER) == 1
    assert fruitless_trials(view_of([*rows, ("s", 8.0)]), Source.LLM) == 0


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([("d", 9.0), ("s", 8.0)], [0, 1]),
        ([("d", 9.0), ("L", 8.0), ("L", 8.5), ("L", 7.0)], [0, 1, 3]),
        ([("d", 9.0), ("L", FailureKind.OOM), ("s", FailureKind.OOM)], [0, 2]),
        ([("d", 9.0), ("L", None), ("s", None)], [0, 1, 2]),  # pending ones are kept: nothing runs twice
        ([("L", 9.0), ("u", 9.5), ("L", 9.2), ("c", 8.0), ("L", 8.5)], [0, 1, 3, 4]),
    ],
)
def test_the_sampler_learns_from_its_own_trials_and_the_models_gains(rows: list[Row], kept: list[int]) -> None:
    assert [t.number for t in without_llm_misses(view_of(rows)).trials] == kept


def test_with_several_objectives_it_learns_from_every_trial() -> None:
    seen = replace(view_of([("L", 1.0), ("L", 2.0)]), objectives=(Objective("loss"), Objective("size")))
    assert without_llm_misses(seen) is seen
