"""A candidate that breaks a rule is refused with the rule quoted; a model sees rules and derived values."""

from __future__ import annotations

from fakes.views import view

from tunesmith.agent.llm.candidates import revalidate, validate_candidates
from tunesmith.prompts.history_summary import space_table
from tunesmith.study.space.parameters import Int
from tunesmith.study.space.space import SearchSpace

PARAMETERS = {"depth": Int(1, 16, default=4), "aspect": Int(16, 128, multiple_of=16, default=64), "heads": Int(1, 64)}
DERIVED = {"width": "depth * aspect"}
SPACE = SearchSpace(PARAMETERS, derived=DERIVED, forbid=["heads > width / 16"])


def test_a_candidate_that_breaks_a_rule_is_refused_with_the_rule_quoted() -> None:
    raw = [
        {"params": {"depth": 2, "aspect": 32, "heads": 40}, "rationale": "more heads"},
        {"params": {"depth": 8, "aspect": 32, "heads": 8}, "rationale": "deeper"},
        {"params": {"depth": 8, "aspect": 33, "heads": 8}, "rationale": "odd"},
    ]
    found = validate_candidates(raw, view(SPACE))
    assert [dict(c.params)["heads"] for c in found.valid] == [8]
    reasons = " ".join(invalid.problem for invalid in found.invalid)
    assert "heads > width / 16 is forbidden, and heads=40 width=64" in reasons
    assert "33 is not a multiple of 16" in reasons


def test_a_waiting_candidate_is_dropped_when_a_rule_is_added() -> None:
    raw = [{"params": {"depth": 8, "aspect": 32, "heads": 8}, "rationale": "deeper"}]
    (valid,) = validate_candidates(raw, view(SPACE)).valid
    assert revalidate([valid], view(SPACE)) == (valid,)
    assert revalidate([valid], view(SPACE.related({}, ["depth > 6"]))) == ()


def test_the_model_sees_what_holds_between_parameters() -> None:
    shown = space_table(SPACE)
    assert "aspect: whole number from 16 to 128, a multiple of 16" in shown
    assert "width = depth * aspect (derived" in shown
    assert "- heads > width / 16" in shown
