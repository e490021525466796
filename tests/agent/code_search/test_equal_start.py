"""A version that computes what another computed is found by its first values; one that may act later is not."""

from __future__ import annotations

import pytest

from tunesmith.agent.code_search.equal_start import acts_later, equal_start
from tunesmith.study.trials.trial import Proposal, Source, Trial, TrialState

DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-x = a * b\n+x = b * a\n"
LOSSES = [0.912345678, 0.81234567, 0.712345671, 0.61234567]


def trial(
    number: int, code: str = "base", *, lr: float = 0.1, seed: int = 0, state: TrialState = TrialState.COMPLETE
) -> Trial:
    return Trial(
        number=number, state=state, proposal=Proposal(params={"lr": lr}, source=Source.LLM, seed=seed, variant=code)
    )


PARENT = trial(0)
NEW = trial(1, "edit-1", state=TrialState.RUNNING)


def test_the_same_first_values_are_found() -> None:
    series = {0: {"loss": LOSSES, "seconds": [1.0, 2.0]}, 1: {"loss": LOSSES[:3], "seconds": [1.1, 2.1]}}
    assert equal_start(NEW, [PARENT, NEW], series, DIFF) == PARENT


@pytest.mark.parametrize(
    ("parent", "own"),
    [
        ({"loss": LOSSES}, {"loss": LOSSES[:2]}),
        ({"loss": LOSSES}, {"loss": [*LOSSES[:2], 0.5]}),
        ({"loss": LOSSES}, {"other": LOSSES[:3]}),
        ({"loss": LOSSES, "acc": [0.5, 0.6, 0.7]}, {"loss": LOSSES[:3], "acc": [0.5, 0.6, 0.8]}),
        ({"acc": [0.9, 0.9, 0.9]}, {"acc": [0.9, 0.9, 0.9]}),
        ({"seconds": LOSSES}, {"seconds": LOSSES}),
        ({}, {}),
    ],
)
def test_other_or_few_values_are_not(parent: dict[str, list[float]], own: dict[str, list[float]]) -> None:
    assert equal_start(NEW, [PARENT, NEW], {0: parent, 1: own}, DIFF) is None


@pytest.mark.parametrize(
    "other", [trial(0, lr=0.2), trial(0, seed=3), trial(0, "edit-1"), trial(0, state=TrialState.STOPPED)]
)
def test_only_a_complete_trial_of_other_code_at_the_same_settings_counts(other: Trial) -> None:
    assert equal_start(NEW, [other, NEW], {0: {"loss": LOSSES}, 1: {"loss": LOSSES}}, DIFF) is None


@pytest.mark.parametrize(
    "line",
    [
        "if epoch > 8:",
        "scheduler = StepLR(optimizer)",
        "average.update_parameters(network)",
        "lr = lr * (1 - clock.share())",
        "for i in range(3):",
        "ema = 0.9 * ema + 0.1 * w",
        "final_dropout = 0.0",
    ],
)
def test_an_edit_that_may_act_later_gets_its_time(line: str) -> None:
    diff = f"{DIFF}+{line}\n"
    assert acts_later(diff)
    assert equal_start(NEW, [PARENT, NEW], {0: {"loss": LOSSES}, 1: {"loss": LOSSES}}, diff) is None


def test_a_comment_and_the_lines_around_do_not_count() -> None:
    assert not acts_later(DIFF + " for epoch in range(3):\n+y = 3  # the last epoch\n")
