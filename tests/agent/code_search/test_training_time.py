"""Edited code may not train longer than the code before it; noise, faster code and heavier settings are no fault."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunesmith.agent.code_search.training_time import longer_training
from tunesmith.agent.loop.learning_curves import LearningCurves
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState, Usage
from tunesmith.study.variant import Variant

FIRST, SECOND = "edit-1", "edit-2"
VARIANTS = {
    "root": Variant(id="root"),
    FIRST: Variant(id=FIRST, parent="root"),
    SECOND: Variant(id=SECOND, parent=FIRST),
}


def ran(
    number: int, code: str, cpu: float, wall: float = 0.0, *, lr: float = 0.1, fidelity: float | None = None
) -> Trial:
    proposal = Proposal(params={"lr": lr}, source=Source.LLM, seed=number, variant=code, fidelity=fidelity)
    usage = Usage(cpu_s=cpu, wall_s=wall or cpu)
    return Trial(
        number=number,
        proposal=proposal,
        state=TrialState.COMPLETE,
        outcome=Outcome(state=TrialState.COMPLETE, usage=usage),
    )


def reason(new: Trial, before: Sequence[Trial], steps: Sequence[float] = ()) -> str:
    assert new.outcome is not None
    return longer_training(new, new.outcome, before, VARIANTS, dict(enumerate(steps)))


@pytest.mark.parametrize(
    ("new", "before", "steps", "words"),
    [
        (ran(1, FIRST, 30), [ran(0, "base", 10)], [], "30 s of CPU time, more than the 10 s of your code"),
        (ran(1, FIRST, 12), [ran(0, "base", 10)], [], "more than the 10 s"),
        (ran(1, FIRST, 1, 30), [ran(0, "base", 1, 10)], [], "it took 30 s, more than the 10 s of your code"),
        (ran(2, SECOND, 12), [ran(0, FIRST, 10)], [], "of edit-1"),
        (ran(2, SECOND, 12), [ran(0, FIRST, 11), ran(1, "base", 10)], [], "of your code"),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [12, 12, 60], "to step 60, beyond the 12"),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [100, 100, 115], "to step 115"),
        (ran(1, FIRST, 30, fidelity=3.0), [ran(0, "base", 10, fidelity=3.0)], [], "of your code"),
    ],
)
def test_training_longer_is_found(new: Trial, before: list[Trial], steps: list[float], words: str) -> None:
    assert words in reason(new, before, steps)


@pytest.mark.parametrize(
    ("new", "before", "steps"),
    [
        (ran(1, FIRST, 10.9), [ran(0, "base", 10)], []),
        (ran(1, FIRST, 0.5), [ran(0, "base", 0.1)], []),
        (ran(1, FIRST, 10, 14), [ran(0, "base", 10, 10)], []),
        (ran(1, FIRST, 30, lr=0.2), [ran(0, "base", 10)], []),
        (ran(1, FIRST, 30, fidelity=9.0), [ran(0, "base", 10, fidelity=3.0)], []),
        (ran(2, FIRST, 14), [ran(0, "base", 10), ran(1, "base", 13)], []),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [830, 790, 1500]),
        (ran(1, FIRST, 1), [ran(0, "base", 1)], [830, 1500]),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [12, 12, 13]),
        (ran(2, "base", 30), [ran(0, "base", 10), ran(1, "base", 10)], [12, 12, 60]),
        (ran(1, "edit-unknown", 30), [ran(0, "base", 10)], []),
        (ran(1, FIRST, 3), [ran(0, "base", 10)], []),
    ],
)
def test_what_is_no_longer_training_passes(new: Trial, before: list[Trial], steps: list[float]) -> None:
    assert reason(new, before, steps) == ""


def test_the_last_step_is_that_of_any_metric_and_is_forgotten_with_the_trial() -> None:
    curves = LearningCurves("loss")
    curves.add(
        3,
        [Observation(step=5, metric="train", value=1.0, at=0.0), Observation(step=2, metric="loss", value=1.0, at=0.0)],
    )
    curves.add(3, [Observation(step=4, metric="loss", value=1.0, at=0.0)])
    assert curves.last_steps == {3: 5}
    curves.drop(3)
    assert curves.last_steps == {}
