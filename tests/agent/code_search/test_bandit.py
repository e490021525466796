"""Bandit of code versions and checks of suspicious gains, on numbers small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.views import trial

from tunesmith.agent.code_search.arms import build_arms
from tunesmith.agent.code_search.bandit import (
    active_arms,
    choose_parent,
    edit_share,
    is_edit_due,
    overused_direction,
)
from tunesmith.agent.code_search.joins import ideas_of, pairs_to_join
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


def codes(found: Sequence[Trial], left: int = 10, noise: float = 0.0, **parents: str) -> list[str]:
    known = {f"edit-{name}": version(name, parents.get(name, "root")) for name in "abcd"}
    return [arm.code for arm in active_arms(build_arms(found, LOSS, ()), known, noise=noise, trials_left=left)]


def version(
    name: str,
    parent: str = "root",
    direction: str = "data",
    state: VariantState = VariantState.SOUND,
    joined: str | None = None,
) -> Variant:
    return Variant(id=f"edit-{name}", parent=parent, direction=direction, state=state, joined=joined)


def test_a_version_behind_by_more_than_noise_gets_no_second_trial() -> None:
    """What tuning gained before the version existed (1.0 to 0.6) is not hope for it: its first trial had that."""
    tuned = [("", 1.0), ("", 0.7), ("", 0.6)]
    assert codes(trials(*tuned, ("a", 0.65))) == [""]
    assert codes(trials(*tuned, ("a", 0.65)), noise=0.06) == ["", "edit-a"]
    assert codes(trials(*tuned, ("a", 0.5))) == ["edit-a"], "the code that it was made from is not tuned any more"
    assert codes(trials(*tuned, ("a", 0.5), ("b", 3.0))) == ["edit-a"]


def test_what_tuning_gained_since_is_hope() -> None:
    found = trials(("", 1.0), ("a", 0.8), ("b", 0.85), ("a", 0.7))
    assert codes(found) == ["edit-a"], "0.85 - 0.1 does not reach 0.7"
    assert "edit-b" in codes(trials(("", 1.0), ("a", 0.8), ("b", 0.75), ("a", 0.7)))


def test_a_version_that_still_improves_stays_active_next_to_the_best() -> None:
    falling = [("", 1.0), ("a", 0.9), ("a", 0.8), ("a", 0.7), ("a", 0.6)]
    assert "edit-a" in codes(trials(*falling, ("b", 0.55), ("b", 0.55), ("b", 0.55), ("b", 0.55)))


def test_a_version_without_a_complete_trial_is_not_active() -> None:
    assert codes(trials(("", 1.0), ("a", FailureKind.CRASH))) == [""]
    assert codes(trials(("", FailureKind.OOM))) == []


def test_the_share_of_edits_follows_what_they_gain() -> None:
    def share(*results: tuple[str, float | FailureKind], noise: float = 0.0) -> float:
        return edit_share(trials(*results), LOSS, (), noise=noise)

    assert share(("", 1.0)) == 0.6
    gaining = [("", 1.0), ("a", 0.9), ("", 1.1), ("b", 0.8), ("", 1.2), ("c", 0.7), ("", 1.2)]
    failing = [("", 1.0), ("a", 1.9), ("", 0.9), ("b", 1.8), ("", 0.8), ("c", FailureKind.CRASH), ("", 0.7)]
    assert share(*failing) < 0.5 < 0.6 < share(*gaining)
    assert share(*failing, noise=0.2) == 0.5, "gains within the noise are none"
    assert share(*gaining, *gaining[1:]) > share(*gaining[:3]), "the range of shares widens with the results"


def test_an_edit_is_due_when_edits_had_less_than_their_share() -> None:
    assert is_edit_due(trials(("", 1.0)), 0.5, 0)
    assert not is_edit_due(trials(("", 1.0), ("a", 1.0)), 0.5, 0)
    assert not is_edit_due(trials(("", 1.0), ("", 1.0)), 0.5, 1), "one that waits counts as well"
    assert is_edit_due(trials(("", 1.0), ("a", 1.0), ("", 1.0)), 0.5, 0)
    assert is_edit_due(trials(("", 1.0), ("a", 1.0), ("a", 1.0)), 0.5, 0), "a version's later trials are tuning"
    kinds = [("", 1.0)]
    for number in range(40):
        is_due = is_edit_due(trials(*kinds), 0.25, 0)
        kinds.append((f"n{number}", 1.0) if is_due else ("", 1.0))
    assert sum(bool(code) for code, _ in kinds) == pytest.approx(10, abs=2)


def test_a_direction_is_overused_after_three_edits_in_a_row() -> None:
    data = [version(name) for name in "abc"]
    assert overused_direction(data) == "data"
    assert overused_direction(data[:2]) == ""
    assert overused_direction([*data, version("d", direction="schedule")]) == ""
    assert overused_direction([*data[:2], version("c", state=VariantState.REFUSED)]) == "", "refused edits do not count"


def test_gains_beyond_noise_are_joined_with_the_best_version() -> None:
    known = {v.id: v for v in (version("a"), version("b"), version("c", parent="edit-a"), version("d"))}
    arms = build_arms(trials(("", 1.0), ("a", 0.8), ("b", 0.7), ("c", 0.6), ("d", 0.98)), LOSS, ())

    def pairs(noise: float) -> set[tuple[str, str]]:
        return {(one.id, two.id) for one, two in pairs_to_join(arms, known, noise)}

    assert pairs(0.05) == {("edit-c", "edit-b")}, "c is the best and contains a; d gained no more than noise"
    assert pairs(0.01) == {("edit-c", "edit-b"), ("edit-c", "edit-d")}
    assert pairs(0.35) == set()


@pytest.mark.parametrize(
    "existing",
    [
        version("j", parent="edit-a", direction="combine", joined="edit-b"),
        version("j", parent="edit-b", direction="combine", joined="edit-a"),
        version("j", parent="edit-b", direction="combine", joined="edit-a", state=VariantState.BROKEN),
        version("j", parent="edit-b", direction="data", joined="edit-a"),
    ],
    ids=["a + b", "b + a", "broken", "moved"],
)
def test_no_union_is_made_twice(existing: Variant) -> None:
    """All parents are followed: the join, a join of that join, and an edit that was moved onto another version."""
    known = {v.id: v for v in (version("a"), version("b"), existing, version("k", parent="edit-j"))}
    arms = build_arms(trials(("", 1.0), ("a", 0.8), ("b", 0.7), ("k", 0.65)), LOSS, ())
    assert pairs_to_join(arms, known, 0.0) == []
    assert ideas_of(known["edit-k"], known) == {"edit-a", "edit-b", "edit-k"}


def test_an_edit_of_another_branch_is_joined_only_where_what_it_was_made_on_is_there() -> None:
    known = {v.id: v for v in (version("a"), version("b"), version("c", parent="edit-b"))}
    arms = build_arms(trials(("", 1.0), ("a", 0.5), ("b", 0.8), ("c", 0.7)), LOSS, ())
    assert [(one.id, two.id) for one, two in pairs_to_join(arms, known, 0.0)] == [("edit-a", "edit-b")]


def test_the_best_version_is_edited_unless_another_is_within_the_noise() -> None:
    def chosen(noise: float, *known: Variant) -> str:
        arms = build_arms(trials(("", 1.0), ("a", 0.8), ("b", 0.81)), LOSS, ())
        return choose_parent(arms, {v.id: v for v in known}, noise).code

    siblings = (version("a"), version("b"))
    assert chosen(0.0, *siblings) == "edit-a"
    edited = (version("c", parent="edit-a"), version("d", parent="edit-a"))
    assert chosen(0.0, *siblings, *edited) == "edit-a"
    assert chosen(0.02, *siblings, *edited) == "edit-b", "it was edited less"
    simpler = version("b", parent="edit-a", direction="simplify")
    assert chosen(0.0, version("a"), simpler) == "edit-a"
    assert chosen(0.02, version("a"), simpler) == "edit-b"


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
