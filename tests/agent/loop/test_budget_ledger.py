"""The budget ledger: what a study has used, and what is left in trials, time and energy."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from fakes.studies import complete, proposal

from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.limits.clocks import Clocks
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.trial import Source, Trial, TrialState, Usage


class FakeClocks:
    """Clocks that stand still until a test moves them."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = 1000.0, 50.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall_s, lambda: self.steady_s)

    def advance(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


@pytest.fixture
def fake() -> FakeClocks:
    return FakeClocks()


@pytest.fixture
def make(fake: FakeClocks) -> Callable[..., BudgetLedger]:
    def ledger(budget: Budget, before: Spent | None = None) -> BudgetLedger:
        return BudgetLedger(budget, before or Spent(), clocks=fake.clocks(), opened_at=fake.steady_s)

    return ledger


def trial(*, replicate_of: int | None = None) -> Trial:
    source = Source.SAMPLER if replicate_of is None else Source.CONFIRM
    asked = proposal(source=source, replicate_of=replicate_of)
    return Trial(number=0, proposal=asked, state=TrialState.COMPLETE, outcome=complete(0.1))


def test_usage_is_added_to_that_of_earlier_runs(make: Callable[..., BudgetLedger], fake: FakeClocks) -> None:
    ledger = make(Budget(), Spent(trials=3, hours=1.0, gpu_hours=2.0, kwh=0.5))
    ledger.add_usage(Usage(wall_s=1.0, gpu_s=1800.0, energy_j=3.6e6))
    ledger.add_ended(trial())
    fake.advance(900.0)
    spent = ledger.spent()
    assert (spent.trials, spent.hours, spent.gpu_hours, spent.kwh) == (4, 1.25, 2.5, 1.5)


def test_replicates_count_neither_as_numbered_nor_as_ended(make: Callable[..., BudgetLedger]) -> None:
    ledger = make(Budget(trials=5))
    ledger.add_numbered(trial(), trial(replicate_of=0))
    ledger.add_ended(trial(replicate_of=0))
    assert (ledger.numbered, ledger.spent().trials, ledger.trials_left()) == (1, 0, 4)


def test_saved_runs_leave_room_for_more_trials(make: Callable[..., BudgetLedger]) -> None:
    ledger = make(Budget(trials=2))
    ledger.add_numbered(trial(), trial())
    assert ledger.trials_left() == 0
    ledger.saved = 0.75
    assert ledger.trials_left() == 0.75


def test_without_a_limit_the_trials_left_are_infinite(make: Callable[..., BudgetLedger]) -> None:
    ledger = make(Budget(hours=1.0))
    assert ledger.trials_left() == math.inf
    assert ledger.runs_left(None, 2) == math.inf


def test_runs_left_follow_from_the_time_left_and_the_number_of_slots(make: Callable[..., BudgetLedger]) -> None:
    assert make(Budget(hours=1.0)).runs_left(600.0, 2) == 12
    assert make(Budget(hours=1.0, trials=5)).runs_left(600.0, 2) == 5


def test_the_earlier_of_two_time_limits_is_the_deadline(make: Callable[..., BudgetLedger], fake: FakeClocks) -> None:
    ledger = make(Budget(hours=1.0, until=fake.wall_s + 600.0))
    deadline = ledger.deadline()
    assert deadline is not None
    assert (deadline.name, deadline.seconds_left) == ("until", 600.0)
    assert not ledger.is_late
    fake.advance(600.0)
    assert ledger.is_late
    assert ledger.reached() == "until"


def test_a_trial_is_too_late_if_it_and_the_reserve_exceed_the_time_left(
    make: Callable[..., BudgetLedger], fake: FakeClocks
) -> None:
    ledger = make(Budget(hours=1.0))
    fake.advance(3000.0)  # 600 s are left
    assert ledger.too_late_for(300.0, reserved_s=200.0, max_reserved=1.0) == ""
    assert ledger.too_late_for(300.0, reserved_s=400.0, max_reserved=1.0) == "hours"
    # At most a tenth of the hour is reserved: 300 + 360 s exceed 600 s, 200 + 360 s do not.
    assert ledger.too_late_for(300.0, reserved_s=1e6, max_reserved=0.1) == "hours"
    assert ledger.too_late_for(200.0, reserved_s=1e6, max_reserved=0.1) == ""
    assert make(Budget(trials=1)).too_late_for(1e9, reserved_s=0.0, max_reserved=1.0) == ""


def test_the_usage_of_the_llm_comes_from_its_own_count(make: Callable[..., BudgetLedger]) -> None:
    ledger = make(Budget(), Spent(llm_calls=2))
    assert ledger.spent().llm_calls == 2
    ledger.llm_spent = lambda: Spent(llm_calls=7, llm_tokens=100, llm_usd=0.25)
    spent = ledger.spent()
    assert (spent.llm_calls, spent.llm_tokens, spent.llm_usd) == (7, 100, 0.25)


def test_what_is_left_is_given_to_the_llm_in_words(make: Callable[..., BudgetLedger], fake: FakeClocks) -> None:
    ledger = make(Budget(trials=10, llm_calls=4, until=fake.wall_s + 90.0), Spent(trials=4, llm_calls=1))
    assert ledger.left_in_words() == "trials 6 of 10, llm_calls 3 of 4, 1 min 30 s until the end"
