"""Where a gain came from: edits against their parents on the same seed, and tuning for what later trials gain."""

from __future__ import annotations

from dataclasses import replace

from fakes.views import trial

from tunesmith.study.trials.trial import FailureKind, Trial
from tunesmith.study.variant import Variant
from tunesmith.tools.variants.lineage import first_pair, gain_steps

VARIANTS = {
    v.id: v
    for v in (
        Variant(id="root"),
        Variant(id="edit-a", parent="root"),
        Variant(id="edit-b", parent="edit-a"),
        Variant(id="edit-j", parent="edit-b", joined="edit-c", direction="combine"),
        Variant(id="edit-c", parent="root"),
    )
}


def ran(number: int, code: str, loss: float | FailureKind, seed: int) -> Trial:
    made = trial(number, {"x": 0.5}, loss)
    return replace(made, proposal=replace(made.proposal, variant=code or "root", seed=seed))


TRIALS = [
    ran(0, "", 4.8, 1),
    ran(1, "", 2.0, 2),
    ran(2, "edit-a", 1.5, 2),
    ran(3, "edit-a", 1.2, 3),
    ran(4, "edit-c", 1.9, 2),
    ran(5, "edit-b", 1.3, 3),
    ran(6, "edit-j", 1.0, 3),
    ran(7, "edit-j", 0.9, 7),
]


def test_the_way_to_the_best_is_split_into_tuning_and_edits() -> None:
    steps = gain_steps(TRIALS[7], TRIALS[0], TRIALS, VARIANTS, "loss")
    found = [(s.code, s.is_edit, s.before, s.after, s.trial) for s in steps]
    assert found == [
        ("", False, 4.8, 2.0, 1),
        ("edit-a", True, 2.0, 1.5, 2),
        ("edit-a", False, 1.5, 1.2, 3),
        ("edit-b", True, 1.2, 1.3, 5),
        ("edit-j", True, 1.3, 1.0, 6),
        ("edit-j", False, 1.0, 0.9, 7),
    ], "a join counts as an edit"
    assert sum(s.before - s.after for s in steps) == 4.8 - 0.9


def test_tuning_alone_is_one_step_and_a_broken_way_gives_none() -> None:
    (step,) = gain_steps(TRIALS[1], TRIALS[0], TRIALS, VARIANTS, "loss")
    assert (step.is_edit, step.after) == (False, 2.0)
    assert gain_steps(TRIALS[0], TRIALS[0], TRIALS, VARIANTS, "loss") == []
    unknown = ran(8, "edit-x", 0.1, 3)
    assert gain_steps(unknown, TRIALS[0], [*TRIALS, unknown], VARIANTS, "loss") == []


def test_a_pair_is_the_parents_trial_on_the_same_seed() -> None:
    found = first_pair(VARIANTS["edit-b"], TRIALS, VARIANTS)
    assert found is not None
    assert (found.first.number, found.paired.number) == (5, 3)
    failed = [*TRIALS[:2], ran(2, "edit-a", FailureKind.CRASH, 2)]
    assert first_pair(VARIANTS["edit-a"], failed, VARIANTS) is None
    elsewhere = [*TRIALS[:2], ran(2, "edit-a", 1.0, 9)]
    assert first_pair(VARIANTS["edit-a"], elsewhere, VARIANTS) is None
    assert first_pair(VARIANTS["edit-a"], TRIALS[:1], VARIANTS) is None
