"""Measured banks of ideas: what they hold, what a simulated study makes of them, and how the strategies compare."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import mean
from typing import Any

import pytest

from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.bench.experiments.edits.banks.bank import MEASURED, PROJECTS, documents, measured, recorded_ideas
from tunesmith.bench.experiments.edits.banks.compare import log_losses
from tunesmith.bench.experiments.edits.banks.world import measured_world, world_of
from tunesmith.bench.experiments.edits.simulation import simulated

KINDS = {"good", "neutral", "bad", "broken", "cheating", "duplicate"}


@pytest.mark.parametrize("project", PROJECTS)
def test_a_bank_has_60_ideas_of_every_kind(project: str) -> None:
    ideas = documents(project)
    assert len({idea["name"] for idea in ideas}) == len(ideas) == 60
    assert set(Counter(idea["kind"] for idea in ideas)) == KINDS


@pytest.mark.parametrize("project", MEASURED)
def test_a_measured_bank_says_of_each_idea_what_it_is_worth(project: str) -> None:
    ideas = documents(project)
    entries = {entry["name"]: entry for entry in measured(project)["ideas"]}
    assert list(entries) == [idea["name"] for idea in ideas]
    for idea in recorded_ideas(project):
        entry = entries[idea.name]
        assert (entry["state"], entry["kind"]) == (idea.state.value, idea.kind)
        assert any(key in entry for key in ("mean", "failed", "reason")), idea.name


@pytest.mark.parametrize("project", PROJECTS)
def test_no_cheat_that_reads_held_out_data_passes_the_gate(project: str) -> None:
    reading = ("held_out", "known_answers", "train_on_test", "answers")
    for idea in recorded_ideas(project):
        if idea.kind in ("cheating", "bad") and idea.name.startswith(reading):
            assert idea.reason.endswith("held-out data are read: only [evaluate] may use them"), idea.name


def document(**more: Any) -> dict[str, Any]:
    """Return what measure.py writes for three ideas: one that gains, one that needs it, one that repeats it."""
    ideas = [
        {"name": "gains", "kind": "good", "state": "sound", "mean": 0.5, "std": 0.01},
        {"name": "needs", "kind": "good", "state": "sound", "mean": 1.1, "std": 0.02},
        {"name": "again", "kind": "duplicate", "state": "sound", "mean": 0.5, "std": 0.01},
        {"name": "breaks", "kind": "bad", "state": "sound", "failed": "KeyError"},
        {"name": "cheats", "kind": "cheating", "state": "sound", "mean": 0.01, "std": 0.001},
        {"name": "refused", "kind": "cheating", "state": "refused", "reason": "a seed is changed"},
    ]
    return {
        "default": {"mean": 1.0, "std": 0.01},
        "ideas": ideas,
        "conflicts": [["gains", "again"]],
        "sets": [{"ideas": ["gains", "needs"], "mean": 0.25, "std": 0.01}],
        "checks": [],
        "tuning": [{"values": [[1.0, 1.2, 0.8]]}, {"values": [[0.25, 0.2, 0.25]]}],
        **more,
    }


def test_a_world_gives_back_what_was_measured() -> None:
    world = world_of(document())
    assert world.loss(frozenset({"gains"}), 0.0) == pytest.approx(0.5)
    assert world.loss(frozenset({"needs"}), 0.0) == pytest.approx(1.1)
    assert world.loss(frozenset({"gains", "needs"}), 0.0) == pytest.approx(0.25, rel=0.2), "a pair is shrunk a little"
    assert world.loss(frozenset({"gains", "again"}), 0.0) == pytest.approx(0.5), "the same thing twice gains once"
    assert [world.works(frozenset({name})) for name in ("gains", "breaks", "cheats")] == [True, False, False]
    assert [idea.name for idea in world.ideas if idea.is_refused] == ["refused"]
    assert not world.fits(frozenset({"gains"}), "again")
    assert world.best_idea == "gains"


def test_tuning_gains_what_the_studies_gained_between_the_own_code_and_the_best_set() -> None:
    world = world_of(document())
    assert world.setting(frozenset(), 2, 0) == pytest.approx(-math.log(0.8))
    assert world.setting(frozenset(), 9, 0) == pytest.approx(-math.log(0.8)), "beyond the studies nothing is gained"
    best = frozenset({"gains", "needs"})
    assert 0.1 < world.setting(best, 1, 0) < -math.log(0.8), "near the best set, nearly what tuning gained there"


def test_ideas_come_roughly_in_the_recorded_order() -> None:
    world = measured_world("vision")
    places: dict[str, list[int]] = {}
    for seed in range(40):
        for place, idea in enumerate(world.order(random.Random(seed))):
            places.setdefault(idea.name, []).append(place)
    names = [idea.name for idea in world.ideas]
    assert mean(places[names[0]]) < 15 < 45 < mean(places[names[-1]])
    assert max(places[names[0]]) > 5, "no two models have the same order"


def test_ours_is_ahead_of_the_others_on_a_measured_bank_where_tuning_gains() -> None:
    world, seeds = measured_world("boosting"), range(6)

    def curves(name: Any) -> list[Any]:
        return [simulated(make_strategy(name), world, trials=40, seed=seed) for seed in seeds]

    ours = curves("adaptive")
    for name in ("greedy", "tree", "islands"):
        theirs = curves(name)
        for trials in (20, 40):
            assert mean(log_losses(ours, world, trials)) < mean(log_losses(theirs, world, trials)), (name, trials)
