"""Which configuration is named best where each ran on other instances: what lost every comparison is not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

import pytest

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.winner import leaderboard, winner

NAMES = tuple("abcdefgh")
Aggregate = Literal["mean", "p95", "worst"]


def spec_of(aggregate: Aggregate, direction: str = "minimize") -> StudySpec:
    return parse_spec(
        {
            "study": {"name": "toy", "metric": "score", "direction": direction},
            "run": {"command": "f {x} {instance}"},
            "space": {"x": {"type": "float", "low": 0.0, "high": 100.0}},
            "instances": {"values": list(NAMES), "aggregate": aggregate},
            "budget": {"trials": 4},
        }
    )


def history(table: Sequence[dict[str, float]], spec: StudySpec) -> list[Trial]:
    """Return the trials of configurations, given the value of each on its instances in the order of its runs."""
    raw: list[Trial] = []
    for index, values in enumerate(table):
        first: int | None = None
        for name, value in values.items():
            proposal = Proposal(
                params={"x": float(index)}, source=Source.SAMPLER, seed=1, instance=name, replicate_of=first
            )
            outcome = Outcome(state=TrialState.COMPLETE, values={"score": value})
            raw.append(Trial(number=len(raw), proposal=proposal, state=outcome.state, outcome=outcome))
            first = raw[-1].number if first is None else first
    assert spec.instance_set is not None
    return with_instances(raw, spec.instance_set, spec.objectives[0])


def best(table: Sequence[dict[str, float]], aggregate: Aggregate, direction: str = "minimize") -> int:
    """Return the place of the configuration that is named best."""
    spec = spec_of(aggregate, direction)
    found = winner(history(table, spec), spec)
    assert found is not None
    return int(found.trial.params["x"])  # type: ignore[arg-type]


def test_few_runs_on_easy_instances_are_not_better_than_many_that_won_in_pairs() -> None:
    # The fifth instance and those after it are hard, and no configuration with several runs says how hard.
    many = {name: (4.0 if name in "abcd" else 30.0) for name in NAMES}
    few = dict.fromkeys("abcd", 5.0)
    assert best([many, few], "mean") == 0
    assert best([few, many], "mean") == 1


@pytest.mark.parametrize("aggregate", ["worst", "p95"])
def test_what_did_not_run_where_the_best_is_worst_does_not_replace_it(aggregate: Aggregate) -> None:
    many = dict.fromkeys(NAMES, 4.0) | {"h": 9.0, "g": 9.0}
    few = dict.fromkeys("abcd", 5.0)
    better = dict.fromkeys("abgh", 3.5)
    assert best([many, few], aggregate) == 0
    assert best([many, few, better], aggregate) == 2
    assert best([many, dict.fromkeys("abcd", 3.5)], aggregate) == 0


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("aggregate", ["mean", "p95", "worst"])
def test_nothing_with_as_many_runs_beats_the_best_on_every_instance_that_both_ran_on(
    aggregate: Aggregate, direction: str
) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    for seed in range(60):
        rng = random.Random(seed)
        hard = {name: rng.choice([0.0, 0.0, 5.0]) * rng.random() for name in NAMES}
        order = rng.sample(NAMES, len(NAMES))
        table = []
        for _ in range(rng.randint(2, 9)):
            count, level = rng.choice([1, 1, 2, 3, 4, 6, 8]), rng.random()
            table.append({name: sign * (level + hard[name] + rng.gauss(0.0, 0.5)) for name in order[:count]})
        spec = spec_of(aggregate, direction)
        ranked = [table[int(t.params["x"])] for t in leaderboard(history(table, spec), spec)]  # type: ignore[arg-type]
        lost = [
            other
            for other in ranked[1:]
            if len(other) >= len(ranked[0])
            and all(sign * other[name] < sign * value for name, value in ranked[0].items())
        ]
        assert not lost, seed
        assert len(ranked) == len(table)
