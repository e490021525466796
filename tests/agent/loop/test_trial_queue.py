"""The trial queue: what runs next, when tuning is over, and which limit ends a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes.studies import complete, make_spec, proposal

from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.limits.clocks import Clocks
from tunesmith.agent.loop.slots.slot_pool import SlotPool
from tunesmith.agent.loop.slots.trial_queue import Proposers, TrialQueue, TrialStore
from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.scheduler.early_stopping import EarlyStopping
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.config.budget import Spent
from tunesmith.study.config.changes import Steering
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import EDITED, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView

VARIANT = f"{EDITED}0123456789"
"""The id of edited code."""
SEEDED = {"command": "python train.py --lr {lr} --seed {seed}"}


class Study:
    """A study in memory: its queue, and trials that end when a test says so."""

    def __init__(self, *, slots: int = 1, code: Any = None, **tables: Any) -> None:
        self.spec = make_spec(**tables)
        self.trials: list[Trial] = []
        self.notes: list[str] = []
        self.seconds = 0.0
        clocks = Clocks(lambda: self.seconds, lambda: self.seconds)
        budget = self.spec.budget.starting_at(0.0)
        self.ledger = BudgetLedger(budget, Spent(), clocks=clocks, opened_at=0.0)
        self.slots = SlotPool(
            [Slot(index=index) for index in range(slots)], self.spec, memory_gib={}, trials=lambda: self.trials
        )
        sampler = make_sampler("random")
        self.queue = TrialQueue(
            self.spec,
            store=TrialStore(trials=lambda: self.trials, record=self._record, earlier=()),
            ledger=self.ledger,
            slots=self.slots,
            proposers=Proposers(arbiter=Arbiter(sampler), sampler=sampler, code=code, variant="base"),
            early_stopping=EarlyStopping(self.spec, {}),
            note=self.notes.append,
        )

    def _record(self, asked: Proposal) -> Trial:
        self.trials.append(Trial(number=len(self.trials), proposal=asked, state=TrialState.WAITING))
        return self.trials[-1]

    def start(self, trial: Trial) -> None:
        self.trials[trial.number] = replace(trial, state=TrialState.RUNNING, started_at=self.seconds)
        self.slots.free()[0].evaluation = cast(Evaluation, SimpleNamespace(trial=self.trials[trial.number]))

    def end(self, trial: Trial, *, seconds: float = 1.0, loss: float = 1.0) -> None:
        """End a trial that took `seconds`."""
        self.seconds += seconds
        done = complete(loss)
        outcome = replace(done, usage=replace(done.usage, wall_s=seconds))
        self.trials[trial.number] = replace(trial, state=outcome.state, outcome=outcome)
        self.ledger.add_ended(trial)
        for slot in self.slots:
            if slot.trial is not None and slot.trial.number == trial.number:
                slot.clear()

    def run(self, *, seconds: float = 1.0, loss: float = 1.0) -> Trial | None:
        """Run the next trial to its end."""
        trial = self.queue.next()
        if trial is not None:
            self.start(trial)
            self.end(trial, seconds=seconds, loss=loss)
        return trial


def test_the_default_runs_first_and_then_proposals_until_the_budget_is_spent() -> None:
    study = Study(budget={"trials": 3})
    ran = [study.run() for _ in range(3)]
    assert [trial.proposal.source for trial in ran if trial] == [Source.DEFAULT, Source.SAMPLER, Source.SAMPLER]
    assert study.queue.next() is None
    assert study.queue.ended_by == "trials"


def test_a_waiting_trial_runs_before_any_proposal() -> None:
    study = Study()
    waiting = study._record(proposal(0.5, source=Source.USER))
    study.queue.waiting.append(waiting)
    assert study.queue.next() is waiting
    trial = study.queue.next()
    assert trial is not None
    assert trial.number == 1


def test_a_paused_queue_starts_nothing_and_does_not_end() -> None:
    study = Study()
    study.queue.is_paused = True
    assert study.queue.next() is None
    assert study.queue.ended_by == ""
    study.queue.is_paused = False
    assert study.queue.next() is not None


def test_the_study_does_not_end_while_a_trial_runs() -> None:
    study = Study(budget={"trials": 1}, slots=2)
    trial = study.queue.next()
    assert trial is not None
    study.start(trial)
    assert study.queue.next() is None
    assert study.queue.ended_by == ""
    study.end(trial)
    assert study.queue.next() is None
    assert study.queue.ended_by == "trials"


def test_no_trial_starts_that_would_not_end_in_time() -> None:
    study = Study(budget={"trials": 100, "hours": 0.1})
    assert study.run(seconds=200.0) is not None
    # 160 s are left, and the only trial so far took 200 s.
    assert study.queue.next() is None
    assert study.queue.ended_by == "hours"


def test_the_first_trial_starts_however_little_time_is_left() -> None:
    assert Study(budget={"trials": 100, "hours": 0.0001}).queue.next() is not None


def test_the_best_trials_are_confirmed_once_tuning_is_over() -> None:
    study = Study(run=SEEDED, budget={"trials": 2}, confirm={"top": 1, "seeds": 2})
    study.run(loss=1.0)
    study.run(loss=0.5)
    replicate = study.queue.next()
    assert replicate is not None
    assert replicate.proposal.source is Source.CONFIRM
    assert replicate.proposal.replicate_of in (0, 1)
    assert study.queue.ended_by == ""


def test_confirmation_does_not_wait_for_a_trial_that_exceeds_its_planned_time() -> None:
    study = Study(
        run=SEEDED, budget={"trials": 100, "hours": 0.1}, confirm={"top": 1, "seeds": 2, "max_seeds": 2}, slots=2
    )
    study.run(seconds=50.0)
    hanging = study.queue.next()
    assert hanging is not None
    study.start(hanging)
    study.seconds += 20.0
    while (trial := study.queue.next()) is not None and not trial.is_replicate:
        study.start(trial)
        study.end(trial, seconds=50.0)
    assert trial is not None
    assert trial.is_replicate


def test_pins_hold_for_proposals_but_not_for_the_default() -> None:
    study = Study()
    study.queue.steering = Steering({"hidden": 32})
    ran = [study.run() for _ in range(4)]
    assert [trial.params["hidden"] for trial in ran if trial] == [64, 32, 32, 32]


def test_a_finite_space_ends_the_study_as_exhausted() -> None:
    study = Study(space={"layers": {"type": "int", "low": 1, "high": 2}}, run={"command": "python train.py {layers}"})
    while study.run() is not None:
        pass
    assert (study.queue.ended_by, len(study.trials)) == ("exhausted", 2)


def test_a_larger_budget_resumes_an_ended_study() -> None:
    study = Study(budget={"trials": 1})
    study.run()
    assert study.queue.next() is None
    larger = make_spec(budget={"trials": 2})
    study.ledger.budget = larger.budget.starting_at(0.0)
    study.queue.change_spec(larger)
    assert study.queue.ended_by == ""
    assert study.queue.next() is not None


def test_while_the_disk_is_full_a_spent_budget_still_ends_the_study() -> None:
    study = Study(budget={"trials": 1})
    study.queue.end_if_over()
    assert study.queue.ended_by == ""
    study.run()
    study.queue.end_if_over()
    assert study.queue.ended_by == "trials"


class EditedCode:
    """A code search that always wants another trial of one edited version, with the same configuration."""

    is_asking = False

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    def prepare(self, view: StudyView) -> None:
        """Ask nothing."""

    def is_waiting_for_edit(self, trials: Sequence[Trial]) -> bool:  # noqa: ARG002
        return False

    def tuned(self, view: StudyView) -> tuple[str, StudyView]:
        return "", self.unedited_view(view)

    def next(self, view: StudyView) -> Proposal:
        return Proposal(params=self.params, source=Source.LLM, seed=view.number, variant=VARIANT)

    def unedited_view(self, view: StudyView) -> StudyView:
        return replace(view, trials=[t for t in view.trials if not t.proposal.code])

    def space_of(self, code: str) -> SearchSpace:
        assert code == VARIANT
        return make_spec().space


@pytest.mark.parametrize(
    "steering",
    [
        Steering({"hidden": 32}),
        Steering({}, ("lr > 0.05",)),
        Steering({}, ("optimizer == 'adam'",)),
        Steering({"optimizer": "sgd"}, ("momentum < 0.5",)),
        Steering({"lr": 0.5}, ("hidden >= 64",)),
    ],
)
def test_pins_and_vetoes_hold_for_trials_of_edits(steering: Steering) -> None:
    study = Study(code=EditedCode({"lr": 0.1, "hidden": 64, "optimizer": "adam"}), budget={"trials": 8})
    study.run()  # the default
    first = study.run()
    assert first is not None
    assert dict(first.params) == {"lr": 0.1, "hidden": 64, "optimizer": "adam"}
    study.queue.steering = steering
    for _ in range(3):
        trial = study.run()
        assert trial is not None
        assert trial.proposal.variant == VARIANT
        assert steering.objection(trial.params) == ""
        assert study.spec.space.contains(trial.params)


def test_an_edit_of_which_every_configuration_is_vetoed_runs_no_trial_and_says_so_once() -> None:
    study = Study(code=EditedCode({"lr": 0.1, "hidden": 64, "optimizer": "adam"}), budget={"trials": 8})
    study.run()
    study.queue.steering = Steering({}, ("lr < 2",))
    assert study.run() is None
    assert len([note for note in study.notes if "nothing new is left to try" in note]) == 1


def test_a_vetoed_configuration_is_not_confirmed_and_the_study_says_so() -> None:
    study = Study(run=SEEDED, confirm={"seeds": 2, "top": 1}, budget={"trials": 3})
    for loss in (1.0, 0.1, 0.5):
        study.run(loss=loss)
    best = study.trials[1]
    study.queue.steering = Steering({}, (f"lr == {best.params['lr']!r}",))
    while study.run(loss=0.4) is not None:
        pass
    repeated = {t.proposal.replicate_of for t in study.trials if t.is_replicate}
    assert repeated == {0, 2}
    assert [note for note in study.notes if "trial 1 is the best, but is not confirmed: no trial may have lr" in note]


def test_a_study_ends_after_no_gain_trials_without_a_new_best() -> None:
    study = Study(budget={"trials": 30}, stop={"no_gain": 4})
    for loss in (3.0, 2.0, 2.5, 2.5, 1.0, 2.0, 2.0, 2.0, 2.0, 0.5):
        study.run(loss=loss)
    assert len(study.trials) == 9
    assert study.queue.is_tuning_over()
    assert study.queue.ended_by == "no_gain"
