"""Population-based training on trials made by hand: who continues, who is replaced, what changes, who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.studies import make_spec
from fakes.views import trial

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.scheduler.pbt import Population
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.trials.trial import FailureKind, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Direction, StudyView

RUNNING, FAILED = None, FailureKind.CRASH
SIZE = 4


class StubSampler:
    """Suggests fixed parameters and keeps the view that it was given."""

    def __init__(self, rate: float = 0.5, width: int = 64) -> None:
        self.params = {"rate": rate, "width": width}
        self.view: StudyView | None = None

    def suggest(self, view: StudyView) -> Suggestion:
        self.view = view
        return Suggestion(params=self.params)


class ExhaustedSampler:
    """Has no untried point left."""

    def suggest(self, view: StudyView) -> Suggestion:
        raise SpaceExhausted("every configuration was tried")


def pbt_spec(*, population: int = SIZE, end: float = 3.0, movable: Sequence[str] = ("rate",)) -> StudySpec:
    return make_spec(
        run={"command": "python train.py --rate {rate} --width {width} --epochs {epochs}"},
        space={
            "rate": {"type": "float", "low": 0.0, "high": 1.0},
            "width": {"type": "int", "low": 1, "high": 64},
        },
        fidelity={"name": "epochs", "min": 1, "max": end},
        schedule={"kind": "pbt", "population": population, "movable": list(movable)},
    )


def population_of(spec: StudySpec) -> Population:
    population = Population.from_spec(spec)
    assert population is not None
    return population


def view_of(spec: StudySpec, trials: Sequence[Trial]) -> StudyView:
    return StudyView(space=spec.space, objectives=spec.objectives, trials=tuple(trials), number=len(trials), seed=7)


def member(
    number: int, result: float | FailureKind | None, *, parent: Trial | None = None, rate: float | None = None
) -> Trial:
    """Return the first generation of a member, or with `parent` its next one; seeds differ between members."""
    params = {"rate": number / 100 if rate is None else rate, "width": number + 1}
    made = trial(number, dict(parent.params) if parent else params, result)
    generation = 1.0 if parent is None else (parent.proposal.fidelity or 0.0) + 1.0
    seed = number if parent is None else parent.proposal.seed
    proposal = replace(made.proposal, fidelity=generation, seed=seed, parent=parent.number if parent else None)
    return replace(made, proposal=proposal)


def first_generation(*results: float | FailureKind | None) -> list[Trial]:
    return [member(number, result) for number, result in enumerate(results)]


def ran(proposal: Proposal, number: int, value: float | FailureKind | None) -> Trial:
    return replace(trial(number, proposal.params, value), proposal=proposal)


def next_trials(spec: StudySpec, trials: Sequence[Trial], count: int) -> list[Trial]:
    """Return the next `count` trials, all of which keep running."""
    population, grown = population_of(spec), list(trials)
    for _ in range(count):
        proposal = population.next_generation(view_of(spec, grown), StubSampler())
        assert proposal is not None
        grown.append(ran(proposal, len(grown), RUNNING))
    return grown[len(trials) :]


@pytest.mark.parametrize("schedule", [{"kind": "halving"}, {"kind": "curves"}])
def test_a_study_with_another_schedule_has_no_population(schedule: dict[str, str]) -> None:
    assert Population.from_spec(make_spec(
        run={"command": "python train.py --x {x} --epochs {epochs}"},
        space={"x": {"type": "float", "low": 0.0, "high": 1.0}},
        fidelity={"name": "epochs", "min": 1, "max": 9},
        schedule=schedule,
    )) is None  # fmt: skip


def test_all_parameters_may_change_unless_some_are_named() -> None:
    assert population_of(pbt_spec()).movable == {"rate"}
    assert population_of(pbt_spec(movable=())).movable == {"rate", "width"}


def test_a_new_member_starts_with_one_generation() -> None:
    proposal = Proposal(params={"rate": 0.1, "width": 8}, source=Source.LLM, seed=3, fidelity=3.0)
    assert population_of(pbt_spec()).first_generation(proposal) == replace(proposal, fidelity=1.0)


def test_members_start_until_the_population_is_full() -> None:
    spec = pbt_spec()
    population = population_of(spec)
    for trials in ([], first_generation(0.1), first_generation(0.1, 0.2, RUNNING)):
        assert population.next_generation(view_of(spec, trials), StubSampler()) is None
        assert not population.must_wait(trials)


def test_a_full_population_waits_for_its_running_members() -> None:
    trials = first_generation(RUNNING, RUNNING, RUNNING, RUNNING)
    assert population_of(pbt_spec()).must_wait(trials)
    assert population_of(pbt_spec()).next_generation(view_of(pbt_spec(), trials), StubSampler()) is None


def test_the_worst_is_replaced_by_a_changed_child_of_the_best() -> None:
    trials = first_generation(0.4, 0.1, 0.2, 0.3)
    following = next_trials(pbt_spec(), trials, SIZE)
    assert [t.proposal.parent for t in following] == [1, 2, 3, 1]
    assert all(t.proposal.fidelity == 2.0 for t in following)
    *continued, changed = following
    for child in continued:
        parent = trials[child.proposal.parent or 0]
        assert (child.params, child.proposal.seed) == (parent.params, parent.proposal.seed)
        assert child.proposal.rationale == f"trial {parent.number} continues: not in the worst quarter"
    assert changed.params == {"rate": 0.5, "width": trials[1].params["width"]}  # width may not change
    assert changed.proposal.seed not in {t.proposal.seed for t in trials}
    assert changed.proposal.rationale == "continues trial 1, one of the best, in place of trial 0; changed: rate"


def test_larger_is_better_for_a_metric_to_maximize() -> None:
    spec = pbt_spec()
    population = replace(population_of(spec), objective=replace(spec.objectives[0], direction=Direction.MAXIMIZE))
    proposal = population.next_generation(view_of(spec, first_generation(0.4, 0.1, 0.2, 0.3)), StubSampler())
    assert proposal is not None
    assert proposal.parent == 0


def test_a_member_that_stays_in_any_case_does_not_wait_for_the_others() -> None:
    # For any results of the two running members, the best finished one is not in the worst quarter.
    trials = first_generation(0.4, 0.1, RUNNING, RUNNING)
    (child,) = next_trials(pbt_spec(), trials, 1)
    assert child.proposal.parent == 1
    assert population_of(pbt_spec()).must_wait([*trials, child])


def test_a_quarter_of_a_larger_population_is_replaced_by_the_best_quarter() -> None:
    trials = first_generation(*(0.1 * n for n in range(1, 9)))
    following = next_trials(pbt_spec(population=8), trials, 8)
    assert [t.proposal.parent for t in following] == [0, 1, 2, 3, 4, 5, 0, 1]
    assert [t.proposal.rationale.partition("in place of ")[2][:7] for t in following[6:]] == ["trial 6", "trial 7"]


def test_failed_members_are_replaced_even_beyond_a_quarter() -> None:
    trials = first_generation(0.2, FAILED, 0.1, FAILED)
    following = next_trials(pbt_spec(), trials, SIZE)
    assert [t.proposal.parent for t in following] == [2, 0, 2, 2]
    replaced = [t.proposal.rationale for t in following if "in place of" in t.proposal.rationale]
    assert ["trial 1" in replaced[0], "trial 3" in replaced[1]] == [True, True]


def test_a_value_that_is_nan_counts_as_failed() -> None:
    following = next_trials(pbt_spec(), first_generation(0.2, float("nan"), 0.1, 0.3), SIZE)
    assert [t.proposal.parent for t in following] == [2, 0, 3, 2]


def test_a_new_population_starts_after_the_last_generation_or_if_a_whole_generation_failed() -> None:
    spec = pbt_spec(end=2.0)
    first = first_generation(0.1, 0.2, 0.3, 0.4)
    second = [member(n + SIZE, 0.05, parent=first[n]) for n in range(SIZE)]
    for trials in ([*first, *second], first_generation(FAILED, FAILED, FAILED, FAILED)):
        assert population_of(spec).next_generation(view_of(spec, trials), StubSampler()) is None
        assert not population_of(spec).must_wait(trials)


def test_the_next_population_is_independent_of_the_first() -> None:
    spec = pbt_spec(end=2.0)
    first = first_generation(0.1, 0.2, 0.3, 0.4)
    second = [member(n + SIZE, 0.05, parent=first[n]) for n in range(SIZE)]
    third = [member(n + 2 * SIZE, value, rate=0.5) for n, value in enumerate((0.9, 0.6, 0.7, 0.8))]
    following = next_trials(spec, [*first, *second, *third], SIZE)
    assert [t.proposal.parent for t in following] == [9, 10, 11, 9]
    assert all(t.proposal.fidelity == 2.0 for t in following)


def test_the_sampler_learns_standardized_gains_over_the_parents() -> None:
    spec, sampler = pbt_spec(), StubSampler()
    first = first_generation(0.9, 0.1, 0.2, 0.3)
    second = [member(4, 0.01, parent=first[1]), member(5, 0.19, parent=first[2]), member(6, 0.28, parent=first[3])]
    second.append(member(7, 0.09, parent=first[1]))
    proposal = None
    trials = [*first, *second]
    while proposal is None or "in place of" not in proposal.rationale:
        proposal = population_of(spec).next_generation(view_of(spec, trials), sampler)
        assert proposal is not None
        trials.append(ran(proposal, len(trials), RUNNING))
    assert sampler.view is not None
    gains = {t.number: t.values["loss"] for t in sampler.view.trials if t.state is TrialState.COMPLETE}
    assert sum(gains[n] for n in range(4, 8)) == pytest.approx(0.0, abs=1e-9)
    # Trial 4 fell by 0.09 from its parent, trials 5 and 7 by 0.01, trial 6 by 0.02.
    assert sorted(range(4, 8), key=gains.__getitem__)[:2] == [4, 6]
    assert gains[5] == pytest.approx(gains[7])
    assert [t.number for t in sampler.view.trials if not t.state.is_finished] == [8, 9, 10]


def test_the_parents_parameters_stay_if_the_sampler_has_nothing_new() -> None:
    spec = pbt_spec()
    trials = first_generation(0.4, 0.1, 0.2, 0.3)
    trials += next_trials(spec, trials, SIZE - 1)
    proposal = population_of(spec).next_generation(view_of(spec, trials), ExhaustedSampler())
    assert proposal is not None
    assert proposal.params == trials[1].params
    assert proposal.rationale.endswith("changed: nothing")


def test_replicates_are_not_members() -> None:
    spec = pbt_spec()
    trials = first_generation(0.4, 0.1, 0.2, 0.3)
    replicate = trial(4, trials[0].params, 0.0)
    replicate = replace(replicate, proposal=replace(replicate.proposal, replicate_of=0, source=Source.CONFIRM))
    (child,) = next_trials(spec, [*trials, replicate], 1)
    assert (child.number, child.proposal.parent) == (5, 1)


def test_a_resumed_study_continues_the_same_way() -> None:
    """The next generation follows from the trials only."""
    spec = pbt_spec()
    trials = first_generation(0.4, 0.1, 0.2, 0.3)
    whole = next_trials(spec, trials, SIZE)
    for cut in range(SIZE):
        assert next_trials(spec, [*trials, *whole[:cut]], SIZE - cut) == whole[cut:]


def test_a_fallback_or_changed_child_is_attributed_to_the_sampler() -> None:
    spec = pbt_spec()
    trials = [
        replace(t, proposal=replace(t.proposal, source=source))
        for t, source in zip(
            first_generation(0.4, 0.1, 0.2, 0.3),
            (Source.LLM, Source.LLM, Source.FALLBACK, Source.SAMPLER),
            strict=True,
        )
    ]
    following = next_trials(spec, trials, SIZE)
    assert [t.proposal.source for t in following] == [Source.LLM, Source.SAMPLER, Source.SAMPLER, Source.SAMPLER]
