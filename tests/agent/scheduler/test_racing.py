"""Races on instances: who runs next where, who drops out, and what a race costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.agent.scheduler.confirmation import Confirmation
from tunesmith.agent.scheduler.racing import MAX_ATTEMPTS, Race, is_worse
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.replicates.seeds import is_confirming, is_fresh
from tunesmith.study.trials.trial import (
    Failure,
    FailureKind,
    FailureScope,
    Outcome,
    Proposal,
    Source,
    Trial,
    TrialState,
)
from tunesmith.study.trials.winner import winner

INSTANCES = list(range(8))


def spec_of(
    command: str = "f {x} {instance}", values: Sequence[Any] = INSTANCES, max_usd: float | None = None, **more: Any
) -> StudySpec:
    confirm: dict[str, Any] = {"confirm": {}} if more.get("hold_out") else {}
    if max_usd is not None:
        confirm["constraints"] = [{"metric": "usd", "max": max_usd}]
    return parse_spec(
        {
            "study": {"name": "toy", "metric": "loss"},
            "run": {"command": command},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.0}},
            "instances": {"values": list(values), **more},
            "budget": {"runs": 100},
            **confirm,
        }
    )


def finished(number: int, proposal: Proposal, value: float | None, usd: float = 0.0) -> Trial:
    failure = None if value is not None else Failure(kind=FailureKind.CRASH, reason="boom")
    state = TrialState.COMPLETE if failure is None else TrialState.FAILED
    values = {} if value is None else {"loss": value, "usd": usd}
    return Trial(
        number=number, proposal=proposal, state=state, outcome=Outcome(state=state, values=values, failure=failure)
    )


class Played:
    """A study whose runs end at once.

    Args:
        spec: the study.
        loss: the loss of a configuration on an instance; None for a failure.
        usd: what a run costs.
    """

    def __init__(
        self,
        spec: StudySpec,
        loss: Callable[[float, str], float | None],
        usd: Callable[[float, str], float] = lambda _x, _name: 0.0,
    ) -> None:
        self.spec, self.race, self.loss, self.usd = spec, Race(spec), loss, usd
        self.raw: list[Trial] = []

    @property
    def trials(self) -> list[Trial]:
        """The trials as the history returns them."""
        assert self.spec.instance_set is not None
        return with_instances(self.raw, self.spec.instance_set, self.spec.objectives[0])

    def propose(self, x: float) -> Trial:
        """Run a new configuration on its first instance."""
        source = Source.SAMPLER if self.raw else Source.DEFAULT
        return self.end(self.race.placed(Proposal(params={"x": x}, source=source, seed=0), self.trials))

    def end(self, proposal: Proposal) -> Trial:
        """Add a finished run."""
        x = float(proposal.params["x"])  # type: ignore[arg-type]
        value, usd = self.loss(x, proposal.instance), self.usd(x, proposal.instance)
        self.raw.append(finished(len(self.raw), proposal, value, usd))
        return self.raw[-1]

    def settle(self, most: int = 1000) -> int:
        """Run all that is due and return how many runs that were."""
        for count in range(most):
            due = self.race.next_run(self.trials)
            if due is None:
                return count
            self.end(due)
        raise AssertionError("the race does not end")

    def runs_of(self, number: int) -> list[str]:
        """Return the instances that a configuration ran on, in order."""
        return [t.proposal.instance for t in self.raw if number in (t.number, t.proposal.replicate_of)]


def noisy(seed: int = 0, noise: float = 0.1) -> Callable[[float, str], float]:
    """Return losses with a minimum at 0.5, effects of instances larger than everything else, and noise."""

    def loss(x: float, instance: str) -> float:
        draw = random.Random(f"{seed} {x} {instance}").gauss(0.0, noise)
        return (x - 0.5) ** 2 + 10.0 * int(instance) + draw

    return loss


def test_the_first_configuration_has_nothing_to_race_against() -> None:
    played = Played(spec_of(), noisy())
    first = played.propose(0.0)
    assert first.proposal.instance in map(str, INSTANCES)
    assert played.settle() <= 1


def test_a_bad_challenger_drops_out_after_few_runs_and_a_good_one_takes_the_lead_over_several() -> None:
    played = Played(spec_of(), noisy(noise=0.01))
    for x in (0.0, 0.1, 0.2, 0.3, 0.4):
        played.propose(x)
        played.settle()
    bad = played.propose(0.9)
    played.settle()
    good = played.propose(0.5)
    for step in range(30):
        x = 0.1 + step * 0.01
        played.settle()
        played.propose(x)
    assert len(played.runs_of(bad.number)) <= 2
    found = winner(played.trials, played.spec)
    assert found is not None
    assert found.trial.number == good.number
    assert found.on_instances
    assert len(played.runs_of(good.number)) >= 3


def test_a_bound_that_one_dear_run_breaks_is_looked_at_again_and_one_that_all_runs_break_is_not() -> None:
    dear_at: list[str] = []

    def usd(x: float, name: str) -> float:
        if x != 0.5:
            return 3.0 if x > 0.6 else 0.1 + 0.12 * int(name)
        dear_at.append(name)
        return 1.3 if name == dear_at[0] else 0.2

    played = Played(spec_of(max_usd=1.0), noisy(noise=0.01), usd)
    for x in (0.1, 0.2, 0.3):
        played.propose(x)
        played.settle()
    unlucky, dear = played.propose(0.5), played.propose(0.7)
    for step in range(20):
        played.settle()
        played.propose(0.11 + 0.01 * step)
    found = winner(played.trials, played.spec)
    assert found is not None
    assert found.trial.number == unlucky.number
    assert len(played.runs_of(dear.number)) <= 2


def test_every_run_of_a_configuration_is_on_another_instance_with_the_same_seed_for_all() -> None:
    played = Played(spec_of(), noisy())
    rng = random.Random(1)
    for _ in range(20):
        played.propose(rng.random())
        played.settle()
    for trial in played.raw:
        if not trial.is_replicate:
            assert max(Counter(played.runs_of(trial.number)).values()) == 1
    seeds = {(t.proposal.instance, t.proposal.seed) for t in played.raw}
    assert len(seeds) == len({instance for instance, _ in seeds})
    assert not any(is_fresh(t.proposal.seed) for t in played.raw)


@pytest.mark.parametrize("seed", range(5))
def test_a_race_takes_far_fewer_runs_than_all_instances_for_each(seed: int) -> None:
    played = Played(spec_of(values=range(16)), noisy(seed, noise=0.02))
    rng = random.Random(seed)
    for _ in range(25):
        played.propose(rng.random())
        played.settle()
    best = winner(played.trials, played.spec)
    assert best is not None
    assert len(played.raw) < 25 * 16 / 2
    assert abs(float(best.trial.params["x"]) - 0.5) < 0.2  # type: ignore[arg-type]


def test_a_race_resumes_from_the_trials_alone() -> None:
    one, other = Played(spec_of(), noisy()), Played(spec_of(), noisy())
    for x in (0.0, 0.6, 0.4):
        for played in (one, other):
            played.propose(x)
            while (due := played.race.next_run(played.trials)) is not None:
                played.end(due)
                if played is other:
                    played.race = Race(played.spec)  # a new process
    assert [(t.params, t.proposal.instance) for t in one.raw] == [(t.params, t.proposal.instance) for t in other.raw]


def test_runs_that_have_not_ended_are_not_started_again_and_a_stage_runs_at_once() -> None:
    played = Played(spec_of(), noisy(noise=0.5))
    for x in (0.3, 0.6):
        played.propose(x)
        played.settle()
    played.propose(0.5)
    waiting: list[Trial] = []
    while (due := played.race.next_run([*played.trials, *waiting])) is not None:
        waiting.append(Trial(number=len(played.raw) + len(waiting), proposal=due, state=TrialState.RUNNING))
    started = [(t.proposal.replicate_of, t.proposal.instance) for t in waiting]
    assert len(set(started)) == len(started)
    assert len(waiting) <= len(INSTANCES)


@pytest.mark.parametrize("scope", FailureScope)
def test_an_instance_that_fails_ends_the_configuration_or_is_given_up(scope: FailureScope) -> None:
    played = Played(spec_of(), noisy())
    for x in (0.2, 0.5):
        played.propose(x)
        played.settle()
    last = played.propose(0.49)

    def failing() -> list[Trial]:
        return [
            replace(t, outcome=replace(t.outcome, failure=replace(t.failure, scope=scope)))
            if t.failure and t.outcome
            else t
            for t in played.raw
        ]

    played.loss = lambda x, instance: None
    for _ in range(50):
        assert played.spec.instance_set is not None
        told = with_instances(failing(), played.spec.instance_set, played.spec.objectives[0])
        due = played.race.next_run(told)
        if due is None:
            break
        played.end(due)
    times = Counter((t.proposal.replicate_of, t.proposal.instance) for t in played.raw if t.failure)
    assert max(times.values(), default=0) <= (1 if scope is FailureScope.CONFIGURATION else MAX_ATTEMPTS)
    assert last.number < len(played.raw)


def test_what_a_veto_meets_does_not_run_again() -> None:
    played = Played(spec_of(), noisy(noise=0.5))
    played.propose(0.3)
    played.settle()
    number = played.propose(0.5).number
    played.race.steering = Steering({}, ("x > 0.4",))
    played.settle()
    assert len(played.runs_of(number)) == 1


@pytest.mark.parametrize(("aggregate", "is_chosen"), [("mean", True), ("worst", False)])
def test_the_worst_instance_decides_where_the_study_says_so(aggregate: str, is_chosen: bool) -> None:
    def loss(x: float, instance: str) -> float:
        return 2.0 if x > 0.5 and instance == "3" else 2.0 - x

    played = Played(spec_of(values=range(4), aggregate=aggregate), loss)
    for x in (0.0, 0.1, 0.2, 0.9, *(0.3 + 0.01 * step for step in range(16))):
        played.propose(x)
        played.settle()
    found = winner(played.trials, played.spec)
    assert found is not None
    assert (found.trial.params["x"] == 0.9) == is_chosen


@pytest.mark.parametrize(
    ("differences", "noise", "worse"),
    [
        ([0.1], None, False),
        ([0.1, 0.1, 0.1], None, True),
        ([0.1, -0.2, 0.3], None, False),
        ([-0.1], None, False),
        ([0.0], None, False),
        ([1.0], 0.1, True),
        ([0.1], 0.1, False),
        ([0.1] * 16, 0.1, True),
        ([0.1, -0.1] * 8, 0.1, False),
        ([0.0, 0.0], 0.0, False),
        ([0.1, 0.1], 0.0, True),
        ([-5.0, 0.1, 0.1, 0.1], 0.1, False),
    ],
)
def test_worse_means_worse_beyond_noise(differences: list[float], noise: float | None, worse: bool) -> None:
    assert is_worse(differences, noise) == worse


def confirmed(spec: StudySpec, trials: list[Trial], loss: Callable[[float, str], float | None]) -> list[Trial]:
    """Run all that confirmation asks for and return those runs."""
    confirmation, done = Confirmation(spec), list(trials)
    while due := confirmation.next_replicates(done):
        for proposal in due:
            x = float(proposal.params["x"])  # type: ignore[arg-type]
            done.append(finished(len(done), proposal, loss(x, proposal.instance)))
    return done[len(trials) :]


@pytest.mark.parametrize("hold_out", [0.25, 0.5])
def test_confirmation_runs_the_default_and_the_choice_on_held_out_instances_in_pairs(hold_out: float) -> None:
    spec = spec_of(values=range(16), hold_out=hold_out)
    assert spec.instance_set is not None
    held_out = set(spec.instance_set.held_out)
    played = Played(spec, noisy(noise=0.02))
    for x in (0.0, 0.5, 0.4):
        played.propose(x)
        played.settle()
    assert not held_out & {t.proposal.instance for t in played.raw}
    runs = confirmed(spec, played.trials, played.loss)
    assert all(is_confirming(t.proposal.seed) for t in runs)
    assert {t.proposal.instance for t in runs} <= held_out
    by_trial = Counter(t.proposal.replicate_of for t in runs)
    # Instances differ by 10, the two configurations by 0.25: only pairs show that, and few of them.
    assert set(by_trial.values()) == {min(5, len(held_out))}
    assert len(by_trial) == 2
