"""Bandit of code versions and checks of suspicious gains, on numbers small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.views import trial

from tunesmith.agent.code_search.bandit import (
    EDIT_SHARE_RANGE,
    active_arms,
    build_arms,
    choose_parent,
    edit_share,
    overused_direction,
    pairs_to_combine,
)
from tunesmith.agent.code_search.suspicious_gains import identical_run, is_suspicious_gain, resolve_rerun
from tunesmith.study.config.load import parse_spec
from tunesmith.study.trials.trial import FailureKind, Outcome, Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.variant import Variant, VariantState

LOSS = Objective("loss")
SPEC = parse_spec(
    {
        "study": {"name": "s", "metric": "loss"},
        "run": {"command": "python train.py {x}"},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
    }
)


def run(number: int, code: str, loss: float | FailureKind, *, x: float = 0.5, seed: int | None = None) -> Trial:
    made = trial(number, {"x": x}, loss)
    return replace(made, proposal=replace(made.proposal, variant=code or "root", seed=number if seed is None else seed))


def trials(*results: tuple[str, float | FailureKind]) -> list[Trial]:
    return [run(number, f"edit-{code}" if code else "", loss) for number, (code, loss) in enumerate(results)]


def codes(found: Sequence[Trial], left: int = 10) -> list[str]:
    return [arm.code for arm in active_arms(build_arms(found, LOSS, ()), left)]


def version(
    name: str, parent: str = "root", direction: str = "data", state: VariantState = VariantState.SOUND
) -> Variant:
    return Variant(id=f"edit-{name}", parent=parent, direction=direction, state=state)


def test_a_version_that_cannot_catch_up_gets_no_more_trials() -> None:
    found = trials(("", 1.0), ("", 0.9), ("", 0.9), ("", 0.9), ("a", 0.5), ("b", 3.0))
    assert codes(found) == ["edit-a"]


def test_a_version_that_still_improves_stays_active_next_to_the_best() -> None:
    falling = [("", 1.0), ("a", 0.9), ("a", 0.8), ("a", 0.7), ("a", 0.6)]
    assert "edit-a" in codes(trials(*falling, ("b", 0.55), ("b", 0.55), ("b", 0.55), ("b", 0.55)))


def test_a_version_without_a_complete_trial_is_not_active() -> None:
    assert codes(trials(("", 1.0), ("a", FailureKind.CRASH))) == [""]
    assert codes(trials(("", FailureKind.OOM))) == []


def test_the_share_of_edits_follows_what_they_gain() -> None:
    start = trials(("", 1.0))
    assert edit_share(start, LOSS, ()) == pytest.approx(0.5, abs=0.2)
    gaining = trials(("", 1.0), ("a", 0.9), ("", 1.1), ("b", 0.8), ("", 1.2), ("c", 0.7), ("", 1.2))
    failing = trials(("", 1.0), ("a", 1.9), ("", 0.9), ("b", 1.8), ("", 0.8), ("c", FailureKind.CRASH), ("", 0.7))
    assert (
        EDIT_SHARE_RANGE[0]
        <= edit_share(failing, LOSS, ())
        < 0.35
        < 0.6
        < edit_share(gaining, LOSS, ())
        <= EDIT_SHARE_RANGE[1]
    )


def test_a_direction_is_overused_after_three_edits_in_a_row() -> None:
    data = [version(name) for name in "abc"]
    assert overused_direction(data) == "data"
    assert overused_direction(data[:2]) == ""
    assert overused_direction([*data, version("d", direction="schedule")]) == ""
    assert overused_direction([*data[:2], version("c", state=VariantState.REFUSED)]) == "", "refused edits do not count"


def test_improving_versions_are_combined_unless_one_descends_from_the_other() -> None:
    a, b, c, d = version("a"), version("b"), version("c", parent="edit-a"), version("d")
    known = {v.id: v for v in (a, b, c, d)}
    arms = build_arms(trials(("", 1.0), ("a", 0.8), ("b", 0.7), ("c", 0.6), ("d", 1.5)), LOSS, ())
    pairs = {frozenset((one.id, two.id)) for one, two in pairs_to_combine(arms, known)}
    assert pairs == {frozenset(("edit-a", "edit-b")), frozenset(("edit-b", "edit-c"))}


def test_a_simplified_version_within_the_noise_is_edited_next() -> None:
    known = {v.id: v for v in (version("a"), version("b", parent="edit-a", direction="simplify"))}
    arms = build_arms(trials(("", 1.0), ("a", 0.8), ("b", 0.81)), LOSS, ())
    picked = {choose_parent(arms, known, 0.02, seed=0, number=n).code for n in range(20)}
    assert "edit-b" in picked
    first = [choose_parent(arms, known, 0.02, seed=0, number=n).code for n in range(40)]
    assert first.count("edit-b") > first.count("edit-a")
    assert [choose_parent(arms, known, 0.0, seed=0, number=n).code for n in range(40)].count("edit-a") > 20


def test_identical_runs_report_the_same_numbers_on_the_same_seed() -> None:
    one, two = run(0, "", 0.123456789, seed=7), run(1, "edit-a", 0.123456789, seed=7)
    assert identical_run(two, [one, two], {}) is one
    assert identical_run(run(1, "edit-a", 0.123456789, seed=8), [one], {}) is None, "another seed"
    assert identical_run(run(1, "edit-a", 0.5, seed=7), [run(0, "", 0.5, seed=7)], {}) is None, (
        "a coarse number may agree"
    )
    curves = {0: [3.0, 2.0, 0.5], 1: [3.0, 2.0, 0.5]}
    assert identical_run(run(1, "edit-a", 0.5, seed=7), [run(0, "", 0.5, seed=7)], curves) is not None
    assert (
        identical_run(run(1, "edit-a", 0.5, seed=7), [run(0, "", 0.5, seed=7)], {**curves, 1: [3.0, 2.1, 0.5]}) is None
    )


def test_a_suspicious_gain_must_be_reproduced_on_another_seed() -> None:
    known = trials(("", 1.0), ("", 0.95), ("", 0.9), ("", 0.92))
    suspect = run(4, "edit-a", 0.1)
    assert suspect.outcome is not None
    assert is_suspicious_gain(suspect, suspect.outcome, known, SPEC)
    modest = run(4, "edit-a", 0.85)
    assert modest.outcome is not None
    assert not is_suspicious_gain(modest, modest.outcome, known, SPEC)
    assert not is_suspicious_gain(run(4, "", 0.1), suspect.outcome, known, SPEC), (
        "the user's own code is never suspicious"
    )
    gone = resolve_rerun(suspect.outcome, ended(0.95), known, SPEC)
    assert gone.failure is not None
    assert gone.failure.kind is FailureKind.TAMPERED
    back = resolve_rerun(suspect.outcome, ended(0.2), known, SPEC)
    assert back.state is TrialState.COMPLETE
    assert back.values["loss"] == 0.2, "the worse of the two counts"


def ended(loss: float) -> Outcome:
    return Outcome(state=TrialState.COMPLETE, values={"loss": loss})
