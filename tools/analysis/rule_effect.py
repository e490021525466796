"""What a rule would do to a study, before it is added: whether it fits, what it leaves, which trials it rules out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.commands import Forbid
from tunesmith.study.config.changes import SpecChange, requested_change, with_change
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError, ToolRefused
from tunesmith.study.space.rules.repair import allowed_fraction
from tunesmith.study.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """A rule that may be added.

    Attributes:
        change: what is changed in the study file.
        spec: the study with the rule.
        left: the part of the space that remains, with the rules that hold already.
        ended: numbers of trials that ended and break it; they can no longer be the best.
        unfinished: numbers of waiting and running trials that break it.
    """

    change: SpecChange
    spec: StudySpec
    left: float
    ended: tuple[int, ...]
    unfinished: tuple[int, ...]


def rule_effect(spec: StudySpec, rule: str, trials: Sequence[Trial]) -> RuleEffect:
    """Return what a further rule would do.

    Args:
        spec: the study as it is.
        rule: a formula that no trial may fulfil, from a person or a model.
        trials: the study's trials.

    Raises:
        ToolRefused: the rule cannot be read, is there already, or forbids the default or everything.
    """
    change = requested_change(spec.document, Forbid(rule=rule))
    try:
        after = parse_spec(with_change(spec.document, change), where="the changed study")
    except SpecError as error:
        is_of_default = "the default configuration" in str(error)
        instead = "; to keep the default as the baseline and steer later trials, use veto" if is_of_default else ""
        raise ToolRefused(f"{error}{instead}") from None
    known = [t for t in trials if not t.is_replicate and not spec.space.broken_rule(t.params)]
    broken = [t for t in known if after.space.broken_rule(t.params)]
    return RuleEffect(
        change,
        after,
        allowed_fraction(after.space),
        tuple(t.number for t in broken if t.state.is_finished),
        tuple(t.number for t in broken if not t.state.is_finished),
    )
