"""Which trials confirmation repeats, on which seeds, and when it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunesmith.agent.scheduler.confirmation import NOISE_RUNS, Confirmation
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.seeds import is_confirming, is_fresh
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.tools.analysis.confirmation.sequential_test import SequentialDecision, sequential_decision
from tunesmith.tools.analysis.confirmation.significance import Sample, sample


def spec_of(*, trials: int = 40, command: str = "f {x} {seed}", **confirm: Any) -> StudySpec:
    return parse_spec(
        {
            "study": {"name": "toy", "metric": "loss"},
            "run": {"command": command},
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.0}},
            "budget": {"trials": trials},
            "confirm": confirm,
        }
    )


def finished(number: int, proposal: Proposal, value: float | None) -> Trial:
    if value is None:
        failure = Failure(kind=FailureKind.CRASH, reason="boom")
        return Trial(
            number=number,
            proposal=proposal,
            state=TrialState.FAILED,
            outcome=Outcome(state=TrialState.FAILED, failure=failure),
        )
    outcome = Outcome(state=TrialState.COMPLETE, values={"loss": value})
    return Trial(number=number, proposal=proposal, state=TrialState.COMPLETE, outcome=outcome)


def tuned(truth: Callable[[float], float], count: int = 12) -> list[Trial]:
    """Return a default at 0 and trials spread over [0, 1]."""
    found = []
    for n in range(count):
        source = Source.SAMPLER if n else Source.DEFAULT
        proposal = Proposal(params={"x": n / (count - 1)}, source=source, seed=n)
        found.append(finished(n, proposal, truth(n / (count - 1))))
    return found


def with_noise_runs(trials: list[Trial]) -> list[Trial]:
    """Return the trials and the repetitions of the default, which give its value again."""
    again = Confirmation(spec_of()).noise_runs(trials[:1])
    return [*trials, *(finished(len(trials) + i, p, trials[0].values["loss"]) for i, p in enumerate(again))]


def confirmed(spec: StudySpec, trials: list[Trial], truth: Callable[[float], float | None]) -> list[Trial]:
    """Run all repetitions that confirmation asks for and return those on fresh seeds.

    Where the default's noise was not measured, its repetitions on tuning seeds give its value again.
    """
    confirmation, done = Confirmation(spec), list(trials)
    while missing := confirmation.next_replicates(done):
        proposal = missing[0]
        is_noise = not is_fresh(proposal.seed)
        value = trials[0].values["loss"] if is_noise else truth(float(proposal.params["x"]))
        done.append(finished(len(done), proposal, value))
    return [t for t in done[len(trials) :] if is_fresh(t.proposal.seed)]


def test_the_default_runs_again_early_on_tuning_seeds() -> None:
    spec = spec_of()
    confirmation, trials = Confirmation(spec), tuned(lambda x: 1 - x)[:1]
    missing = confirmation.noise_runs(trials)
    assert len(missing) == NOISE_RUNS
    assert {p.replicate_of for p in missing} == {0}
    assert not any(is_fresh(p.seed) for p in missing)
    trials += [finished(1 + i, p, 1.0) for i, p in enumerate(missing)]
    assert confirmation.noise_runs(trials) == []


@pytest.mark.parametrize("spec", [spec_of(trials=10), spec_of(command="f {x}")])
def test_noise_is_not_measured_early_in_a_small_study_or_without_a_seed(spec: StudySpec) -> None:
    assert Confirmation(spec).noise_runs(tuned(lambda x: 1 - x)[:1]) == []


def test_a_clear_gain_is_confirmed_on_the_first_seeds_only() -> None:
    noise = random.Random(0)
    again = confirmed(spec_of(), tuned(lambda x: 1 - x), lambda x: 1 - x + noise.gauss(0, 0.01))
    assert len(again) == 10
    assert {t.proposal.replicate_of for t in again} == {0, 11}
    assert all(is_confirming(t.proposal.seed) for t in again)
    by = [{t.proposal.seed for t in again if t.proposal.replicate_of == n} for n in (0, 11)]
    assert by[0] == by[1]


def test_an_unclear_gain_gets_more_seeds_up_to_the_maximum() -> None:
    noise = random.Random(3)
    doubtful = confirmed(spec_of(), tuned(lambda x: 1 - x), lambda x: -0.35 * (x > 0.5) + noise.gauss(0, 1))
    assert 10 <= len(doubtful) <= 50
    few = confirmed(spec_of(max_seeds=5), tuned(lambda x: 1 - x), lambda x: noise.gauss(0, 1))
    assert len(few) == 10


def test_one_of_several_leaders_is_chosen_on_seeds_that_confirmation_does_not_use() -> None:
    noise = random.Random(1)
    again = confirmed(spec_of(top=3), tuned(lambda x: 1 - x), lambda x: abs(x - 0.9) + noise.gauss(0, 0.005))
    choosing = [t for t in again if not is_confirming(t.proposal.seed)]
    assert len({t.proposal.replicate_of for t in choosing}) == 3
    held = {t.proposal.replicate_of for t in again if is_confirming(t.proposal.seed)}
    assert held == {0, 10}


@pytest.mark.parametrize(
    ("truth", "std", "least", "most"),
    [
        (lambda x: abs(x - 0.9), 0.001, 6, 6),
        (lambda x: abs(x - 0.9), 0.02, 7, 12),
        (lambda x: 0.0 * x, 1.0, 6, 15),
        (lambda x: 0.0 * x, 0.0, 6, 6),
    ],
    ids=["clear on two seeds", "one of two is clear", "never clear", "equal"],
)
def test_choosing_stops_when_it_is_clear(truth: Callable[[float], float], std: float, least: int, most: int) -> None:
    noise = random.Random(5)
    again = confirmed(spec_of(top=3), tuned(lambda x: 1 - x), lambda x: truth(x) + noise.gauss(0, std))
    choosing = [t for t in again if not is_confirming(t.proposal.seed)]
    assert least <= len(choosing) <= most


def test_what_was_chosen_before_is_not_run_again_after_more_trials() -> None:
    """A study that is extended keeps its leaders and the seeds: only what is new runs."""
    noise = random.Random(1)
    spec, trials = spec_of(top=2), tuned(lambda x: 1 - x)
    first = confirmed(spec, trials, lambda x: abs(x - 0.9) + noise.gauss(0, 0.005))
    worse = finished(len(trials) + len(first), Proposal(params={"x": 0.3}, source=Source.SAMPLER, seed=99), 5.0)
    assert Confirmation(spec).next_replicates([*trials, *first, worse]) == []


def test_a_lucky_value_does_not_lead() -> None:
    """Trial 6 has the best value by chance; its neighbours are much worse."""
    noise = random.Random(2)
    trials = tuned(lambda x: 1 - x + noise.gauss(0, 0.3), count=40)
    trials[6] = finished(6, trials[6].proposal, min(t.values["loss"] for t in trials) - 0.05)
    for proposal in Confirmation(spec_of()).noise_runs(trials):
        trials.append(finished(len(trials), proposal, 1 + noise.gauss(0, 0.3)))
    again = confirmed(spec_of(max_seeds=5), trials, lambda x: 1 - x + noise.gauss(0, 0.3))
    (chosen,) = {t.proposal.replicate_of for t in again} - {0}
    assert chosen is not None
    assert chosen >= 25


def test_repetitions_that_fail_are_not_repeated_again() -> None:
    again = confirmed(spec_of(), tuned(lambda x: 1 - x), lambda x: None)  # noqa: ARG005
    assert len(again) == 10


def test_nothing_is_confirmed_if_no_trial_beat_the_default() -> None:
    assert confirmed(spec_of(), tuned(lambda x: x), lambda x: x) == []
    assert Confirmation(spec_of(command="f {x}")).next_replicates(tuned(lambda x: x)) == []


@pytest.mark.parametrize("trials", [10, 40], ids=["a small study", "one that was extended"])
def test_a_default_that_ran_once_is_repeated_before_the_choice(trials: int) -> None:
    done, confirmation = tuned(lambda x: x + 1), Confirmation(spec_of(trials=trials))
    noise = confirmation.next_replicates(done)
    assert [(p.replicate_of, is_fresh(p.seed)) for p in noise] == [(0, False)] * NOISE_RUNS
    running = [Trial(number=20 + i, proposal=p, state=TrialState.RUNNING) for i, p in enumerate(noise)]
    assert confirmation.next_replicates([*done, *running]) == []
    ended = [finished(20 + i, p, 5.0) for i, p in enumerate(noise)]
    compared = {p.replicate_of for p in confirmation.next_replicates([*done, *ended])}
    assert len(compared - {0}) == 1


def values(*given: float) -> Sample:
    found = sample(given)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        (values(1.0, 1.1, 0.9, 1.0, 1.0), values(2.0, 2.1, 1.9, 2.0, 2.0), SequentialDecision.BETTER),
        (values(2.0, 2.1, 1.9, 2.0, 2.0), values(1.0, 1.1, 0.9, 1.0, 1.0), SequentialDecision.FUTILE),
        (values(0.0, 1.0, 0.2, 0.8, 0.4), values(0.6, 1.5, 0.1, 1.2, 0.7), SequentialDecision.CONTINUE),
        (values(1.0, 1.0), values(1.0, 1.0), SequentialDecision.FUTILE),
    ],
)
def test_a_comparison_is_better_futile_or_continues(
    candidate: Sample, reference: Sample, expected: SequentialDecision
) -> None:
    assert sequential_decision(candidate, reference, sign=1.0, most=25) is expected
    flipped = [values(*(-v for v in s.values)) for s in (candidate, reference)]
    assert sequential_decision(*flipped, sign=-1.0, most=25) is expected


def test_the_last_look_always_decides() -> None:
    assert (
        sequential_decision(values(0.0, 1.0, 0.2), values(0.6, 1.5, 0.1), sign=1.0, most=3) is SequentialDecision.FUTILE
    )


@pytest.mark.parametrize(("gain", "least", "most"), [(0.0, 0.02, 0.06), (1.0, 0.8, 1.0)])
def test_claims_are_rare_without_a_gain_and_frequent_with_one_standard_deviation(
    gain: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(7)
    claims = 0
    for _ in range(1000):
        candidate, reference = rng.normal(-gain, 1.0, 25), rng.normal(0.0, 1.0, 25)
        for look in range(5, 26, 5):
            found = sequential_decision(values(*candidate[:look]), values(*reference[:look]), sign=1.0, most=25)
            claims += found is SequentialDecision.BETTER
            if found is not SequentialDecision.CONTINUE:
                break
    assert least <= claims / 1000 <= most


@pytest.mark.parametrize(
    ("steering", "may_run"),
    [
        (Steering({}, ("x > 0.6",)), lambda x: x <= 0.6),
        (Steering({}, ("x > 0.6", "x < 0.5")), lambda x: 0.5 <= x <= 0.6),
        (Steering({"x": 6 / 11}), lambda x: x in (0.0, 6 / 11)),
        (Steering({}, ("x == 0.0",)), lambda x: x != 0.0),
        (Steering({"x": 0.99}), lambda x: False),
        (Steering({}, ("x >= 0.0",)), lambda x: False),
    ],
)
def test_pins_and_vetoes_hold_for_confirmations(steering: Steering, may_run: Callable[[float], bool]) -> None:
    """The best is at 1; a configuration that is forbidden by now is not run again, the next allowed one is."""
    confirmation, trials = Confirmation(spec_of()), with_noise_runs(tuned(lambda x: 1 - x))
    assert confirmation.next_replicates(trials)[0].params["x"] in (0.0, 1.0)
    confirmation.steering = steering
    asked = [float(str(p.params["x"])) for p in confirmation.next_replicates(trials)]
    assert all(may_run(x) for x in asked)
    assert bool(asked) == any(may_run(n / 11) for n in range(1, 12))
    is_forbidden = bool(steering.objection({"x": 1.0}))
    assert ("trial 11 is the best, but is not confirmed" in confirmation.remark) == is_forbidden
    confirmation.steering = Steering({})
    assert any(p.params["x"] == 1.0 for p in confirmation.next_replicates(trials))
    assert confirmation.remark == ""


def test_a_vetoed_default_is_not_repeated_to_measure_noise() -> None:
    confirmation = Confirmation(spec_of())
    default = tuned(lambda x: 1 - x, 2)[:1]
    assert confirmation.noise_runs(default)
    confirmation.steering = Steering({}, ("x < 0.5",))
    assert confirmation.noise_runs(default) == []
