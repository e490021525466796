"""Edited code may not train longer than the code before it; noise, faster code and heavier settings are no fault."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunesmith.agent.code_search.training_time import LongerTraining, confirmed_text, longer_training
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


def ran(  # noqa: PLR0913  # what a trial used
    number: int,
    code: str,
    cpu: float,
    wall: float = 0.0,
    *,
    lr: float = 0.1,
    fidelity: float | None = None,
    gpu: float = 0.0,
    **values: float,
) -> Trial:
    proposal = Proposal(params={"lr": lr}, source=Source.LLM, seed=number, variant=code, fidelity=fidelity)
    usage = Usage(cpu_s=cpu, wall_s=wall or cpu, gpu_s=gpu)
    return Trial(
        number=number,
        proposal=proposal,
        state=TrialState.COMPLETE,
        outcome=Outcome(state=TrialState.COMPLETE, usage=usage, values=values),
    )


def found(new: Trial, before: Sequence[Trial], steps: Sequence[float] = ()) -> LongerTraining | None:
    assert new.outcome is not None
    return longer_training(new, new.outcome, before, VARIANTS, dict(enumerate(steps)))


@pytest.mark.parametrize(
    ("new", "before", "steps", "words"),
    [
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [12, 12, 60], "to step 60, beyond the 12"),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [100, 100, 115], "to step 115"),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1)], [12, 12, 60], "of your code at the same settings"),
        (
            ran(2, FIRST, 1, tokens=2000),
            [ran(0, "base", 1, tokens=1000), ran(1, "base", 1, tokens=1000)],
            [],
            "tokens = 2000, more than the 1000",
        ),
        (
            ran(2, FIRST, 1, **{"train/samples_seen": 64}),
            [ran(n, "base", 1, **{"train/samples_seen": 32}) for n in range(2)],
            [],
            "train/samples_seen = 64",
        ),
    ],
)
def test_more_steps_or_tokens_are_certain_whatever_the_load(
    new: Trial, before: list[Trial], steps: list[float], words: str
) -> None:
    finding = found(new, before, steps)
    assert finding is not None
    assert finding.is_certain
    assert words in finding.reason


@pytest.mark.parametrize(
    ("new", "before", "words"),
    [
        (ran(1, FIRST, 30), [ran(0, "base", 10)], "30 s of CPU time, more than the 10 s of your code"),
        (ran(1, FIRST, 13), [ran(0, "base", 10)], "more than the 10 s"),
        (ran(1, FIRST, 13, 13), [ran(0, "base", 10, 30)], "more than the 10 s"),
        (ran(1, FIRST, 1, 30), [ran(0, "base", 1, 10)], "it took 30 s, more than the 10 s of your code"),
        (ran(1, FIRST, 13, 13, gpu=13), [ran(0, "base", 13, 10, gpu=10)], "it took 13 s, more than the 10 s"),
        (ran(2, SECOND, 12), [ran(0, FIRST, 10)], "of edit-1"),
        (ran(2, SECOND, 12), [ran(0, FIRST, 11), ran(1, "base", 10)], "of your code"),
        (ran(1, FIRST, 30, fidelity=3.0), [ran(0, "base", 10, fidelity=3.0)], "of your code"),
        (ran(1, FIRST, 30, lr=0.2), [ran(0, "base", 10)], "more than the 10 s of your code at any settings"),
    ],
)
def test_more_seconds_are_a_suspicion(new: Trial, before: list[Trial], words: str) -> None:
    finding = found(new, before)
    assert finding is not None
    assert not finding.is_certain
    assert words in finding.reason


CLOCKED = [ran(0, "base", 10, 20), ran(1, "base", 14, 20.5, lr=0.2)]
"""Trials that end when a wall time is up, on a machine that was busy in the first one."""


@pytest.mark.parametrize(
    ("new", "before", "steps"),
    [
        (ran(1, FIRST, 10.9), [ran(0, "base", 10)], []),
        (ran(1, FIRST, 0.3), [ran(0, "base", 0.1)], []),
        (ran(1, FIRST, 10, 19), [ran(0, "base", 10, 10)], []),
        (ran(1, FIRST, 10, 60), [ran(0, "base", 10, 10)], []),
        (ran(1, FIRST, 10, 70), [ran(0, "base", 10, 50)], []),
        (ran(2, FIRST, 18, 20), CLOCKED, []),
        (ran(1, FIRST, 30, 10, gpu=10), [ran(0, "base", 10, 10, gpu=10)], []),
        (ran(1, FIRST, 30, fidelity=9.0), [ran(0, "base", 10, fidelity=3.0)], []),
        (ran(2, FIRST, 14, lr=0.3), [ran(0, "base", 10), ran(1, "base", 13, lr=0.2)], []),
        (ran(2, FIRST, 14), [ran(0, "base", 10), ran(1, "base", 13)], []),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [830, 790, 1500]),
        (ran(1, FIRST, 1), [ran(0, "base", 1)], [830, 1500]),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1)], [830, 790, 1500]),
        (ran(2, FIRST, 1), [ran(0, "base", 1), ran(1, "base", 1, lr=0.2)], [12, 12, 13]),
        (ran(2, FIRST, 1, tokens=99), [ran(0, "base", 1, tokens=10), ran(1, "base", 1, tokens=12)], []),
        (ran(2, "base", 30), [ran(0, "base", 10), ran(1, "base", 10)], [12, 12, 60]),
        (ran(2, FIRST, 30, lr=0.2), [ran(0, "base", 10), ran(1, FIRST, 10)], []),
        (ran(1, "edit-unknown", 30), [ran(0, "base", 10)], []),
        (ran(1, FIRST, 3), [ran(0, "base", 10)], []),
    ],
)
def test_what_is_no_longer_training_passes(new: Trial, before: list[Trial], steps: list[float]) -> None:
    assert found(new, before, steps) is None


def test_a_script_that_trains_by_the_clock_may_not_move_the_clock() -> None:
    assert found(ran(2, FIRST, 20, 27), CLOCKED) is not None


@pytest.mark.parametrize(
    ("edited", "before", "is_confirmed"),
    [
        (Usage(cpu_s=13, wall_s=26), Usage(cpu_s=10, wall_s=21), True),
        (Usage(cpu_s=13, wall_s=7), Usage(cpu_s=10, wall_s=10), False),
        (Usage(cpu_s=0.56, wall_s=1.2), Usage(cpu_s=0.41, wall_s=1.0), False),
        (Usage(cpu_s=10.5, wall_s=60), Usage(cpu_s=10, wall_s=36), False),
        (Usage(cpu_s=2, wall_s=30, gpu_s=30), Usage(cpu_s=2, wall_s=20, gpu_s=20), True),
        (Usage(cpu_s=9, wall_s=20, gpu_s=20), Usage(cpu_s=2, wall_s=20, gpu_s=20), False),
    ],
    ids=["longer", "more threads", "steps that cost more in a short trial", "a busy machine", "a GPU", "a busy loader"],
)
def test_runs_next_to_each_other_decide(edited: Usage, before: Usage, *, is_confirmed: bool) -> None:
    assert bool(confirmed_text(edited, before, "")) is is_confirmed


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
