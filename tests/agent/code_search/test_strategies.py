"""Strategies of code search, driven by a simulation with ideas of known value; and each one's own rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from statistics import mean

import pytest
from fakes.views import trial

from tunesmith.agent.code_search.arms import build_arms
from tunesmith.agent.code_search.bandit import FRUITLESS
from tunesmith.agent.code_search.strategies.adaptive import MAX_IDEAS
from tunesmith.agent.code_search.strategies.base import SearchState
from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.agent.code_search.strategies.tree import DRAFTS
from tunesmith.bench.experiments.edits.simulation import (
    STRATEGIES,
    Idea,
    MadeUpWorld,
    Names,
    made_up_ideas,
    simulate,
)
from tunesmith.study.config.tables.planner import EditStrategy
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective
from tunesmith.study.variant import Variant

NEUTRAL = [Idea(f"edit-n{n}", 0.0) for n in range(30)]


def ran(number: int, code: str, loss: float) -> Trial:
    made = trial(number, {"x": 0.5}, loss)
    return replace(made, proposal=replace(made.proposal, variant=code or "root", seed=number))


def state(
    *results: tuple[str, float], untried: tuple[Variant, ...] = (), left: int = 20, slots: int = 1
) -> SearchState:
    trials = [ran(number, code, loss) for number, (code, loss) in enumerate(results)]
    known = [Variant(id="root"), *(Variant(id=code, parent="root") for code, _ in results if code), *untried]
    return SearchState(
        trials=trials,
        arms=build_arms(trials, Objective("loss"), ()),
        variants={v.id: v for v in known},
        untried=untried,
        objective=Objective("loss"),
        trials_left=left,
        number=len(trials),
        slots=slots,
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_finds_a_large_gain_and_never_gets_worse(name: EditStrategy) -> None:
    world = MadeUpWorld(ideas=[*NEUTRAL[:8], Idea("edit-win", 2.0), Idea("edit-bad", 0.0, is_broken=True)], spread=0.0)
    curve = simulate(make_strategy(name), world, trials=24, seed=1)
    assert curve[-1] < 2.1
    assert all(after <= before + 1e-9 for before, after in zip(curve, curve[1:], strict=False))


def test_edits_and_tuning_share_the_trials_by_what_they_gain() -> None:
    """Where only tuning gains, most trials tune; where only edits do, most are edits."""

    def final(world: MadeUpWorld, name: EditStrategy = "adaptive") -> float:
        return mean(simulate(make_strategy(name), world, trials=30, seed=seed)[-1] for seed in range(4))

    only_tuning = MadeUpWorld(ideas=NEUTRAL, tuning_gain=2.0, tuning_trials=8.0, spread=0.0)
    assert final(only_tuning) < 2.5 < final(only_tuning, "greedy") - 1.0
    only_edits = MadeUpWorld(ideas=[Idea(f"edit-{n}", 0.1) for n in range(29)], tuning_gain=0.0, spread=0.0)
    assert final(only_edits) < 4.0 - 0.1 * 20


def test_the_sum_of_both_is_ahead_of_edits_alone() -> None:
    def final(name: EditStrategy, trials: int) -> float:
        curves = [
            simulate(
                make_strategy(name), MadeUpWorld(ideas=made_up_ideas(seed), tuning_gain=2.5), trials=trials, seed=seed
            )
            for seed in range(6)
        ]
        return mean(curve[-1] for curve in curves)

    assert final("adaptive", 20) < final("greedy", 20) - 0.5


def test_ideas_are_asked_for_as_long_as_they_can_run() -> None:
    strategy = make_strategy("adaptive")
    request = strategy.request(state(("", 1.0)))
    assert request is not None
    assert (request.parent, request.count) == ("", MAX_IDEAS)
    assert strategy.request(state(("", 1.0), left=0)) is None
    few = strategy.request(state(("", 1.0), left=2))
    assert few is not None
    assert few.count == 2
    waiting = Variant(id="edit-w", parent="root")
    assert strategy.request(state(("", 1.0), untried=(waiting,))) is None, "its result may change the next idea"
    tuned = (("", 1.0), ("", 1.0), ("", 1.0))
    assert strategy.request(state(*tuned, untried=(waiting,))) is None
    assert strategy.request(state(*tuned, untried=(waiting,), slots=4)) is not None


def test_greedy_edits_the_best_version_only() -> None:
    strategy = make_strategy("greedy")
    request = strategy.request(state(("", 1.0), ("edit-a", 0.5), ("edit-b", 0.7)))
    assert request is not None
    assert request.parent == "edit-a"
    assert strategy.joins(state(("", 1.0), ("edit-a", 0.5), ("edit-b", 0.7))) == []


def test_tree_drafts_from_the_users_code_first() -> None:
    strategy = make_strategy("tree")
    results = [("", 1.0)]
    for number in range(DRAFTS):
        request = strategy.request(state(*results))
        assert request is not None
        assert request.parent == ""
        results.append((f"edit-{number}", 0.9 - number / 10))
    improved = strategy.request(state(*results))
    assert improved is not None
    assert improved.parent == f"edit-{DRAFTS - 1}"


def test_islands_take_turns_and_refuse_what_is_nearly_known() -> None:
    strategy = make_strategy("islands")
    found = state(("", 1.0), ("edit-a", 0.5), ("edit-b", 0.7), ("edit-c", 0.6))
    asked = set()
    for extra in range(6):
        more = [Variant(id=f"edit-x{n}", parent="edit-a") for n in range(extra)]
        request = strategy.request(replace(found, variants={**found.variants, **{v.id: v for v in more}}))
        assert request is not None
        asked.add(request.parent)
    assert len(asked) > 1
    known = Variant(
        id="edit-k", parent="root", diff="--- a\n+++ b\n-lr = 0.1\n+lr = schedule(0.1, steps=1000, warm=10)\n"
    )
    near = replace(known, id="edit-l", diff=known.diff.replace("warm=10", "warm=11"))
    other = replace(known, id="edit-m", diff="--- a\n+++ b\n-x = 1\n+x = normalize(x)\n")
    full = replace(found, variants={**found.variants, known.id: known})
    assert "nearly the same edit as edit-k" in strategy.objection(near, full)
    assert strategy.objection(other, full) == ""


@dataclass(frozen=True)
class SameLines(MadeUpWorld):
    """Ideas of which two change the same lines: who has the small one cannot put the large one on top."""

    def fits(self, names: Names, idea: str) -> bool:
        return not {"edit-small", "edit-large"} <= {*names, idea}


def test_an_idea_that_does_not_fit_the_best_version_is_found_from_the_users_own_code() -> None:
    ideas = [Idea("edit-small", 0.4), Idea("edit-large", 2.0), *NEUTRAL[:12]]
    world = SameLines(ideas=ideas, tuning_gain=0.0, spread=0.0, max_ideas=MAX_IDEAS)
    reached = [min(simulate(make_strategy("adaptive"), world, trials=40, seed=seed)) for seed in range(8)]
    assert max(reached) <= 2.0, "also where the small one came first"


def test_after_trials_without_a_gain_half_of_the_questions_show_the_users_own_code() -> None:
    fruitless = [("edit-best", 3.0 + 0.1 * n) for n in range(1, FRUITLESS + 1)]

    def parents(*results: tuple[str, float]) -> Counter[str]:
        found = [make_strategy("adaptive").request(replace(state(*results), number=number)) for number in range(40)]
        return Counter(request.parent for request in found if request is not None)

    stuck = parents(("", 4.0), ("edit-best", 3.0), *fruitless)
    assert set(stuck) == {"", "edit-best"}
    assert 10 < stuck[""] < 30
    assert set(parents(("", 4.0), ("edit-best", 3.0), *fruitless[1:])) == {"edit-best"}
