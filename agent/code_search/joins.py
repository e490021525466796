"""Which versions of the code are worth joining: those whose gains exceed noise and that nobody joined yet.

Pure functions; the join itself is made in tools/variants/build.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.agent.code_search.arms import Arm, gain_on_parent
from tunesmith.study.variant import Variant

MIN_JOIN_GAIN = 0.05
"""Gain, relative to the best edit's gain, below which an edit is not joined with others."""


def pairs_to_join(arms: Sequence[Arm], variants: Mapping[str, Variant], noise: float) -> list[tuple[Variant, Variant]]:
    """Return pairs of versions to join, the most promising first; the better one of each pair comes first.

    Both are better than their parents by more than `noise`, the first one is the best version or within `noise` of it,
    and no version has the edits of both, not even a broken one.
    """
    by_code = {arm.code: arm for arm in arms if arm.best is not None}
    gains = {code: _gain(variants[code], by_code) for code in by_code if code in variants and variants[code].is_edited}
    least = max(noise, MIN_JOIN_GAIN * max(gains.values(), default=0.0))
    winners = sorted((code for code in gains if gains[code] > least), key=lambda code: by_code[code].value)
    if not winners:
        return []
    leading = min(arm.value for arm in by_code.values()) + noise
    ideas = {code: ideas_of(variants[code], variants) for code in variants if variants[code].is_edited}
    return [
        (variants[first], variants[second])
        for index, first in enumerate(winners)
        for second in winners[index + 1 :]
        if by_code[first].value <= leading and _is_new_union(first, second, ideas, variants)
    ]


def ideas_of(variant: Variant, variants: Mapping[str, Variant]) -> set[str]:
    """Return the edits that a version contains, by the id of the version that each was proposed as."""
    found: set[str] = set()
    known: Variant | None = variant
    while known is not None and known.is_edited:
        found.add(_own_idea(known, variants))
        known = variants.get(known.parent or "")
    return found


def _is_new_union(first: str, second: str, ideas: Mapping[str, set[str]], variants: Mapping[str, Variant]) -> bool:
    """Return whether the second version's edit can be added to the first, and no version has the edits of both."""
    own = {_own_idea(variants[second], variants)}
    union = ideas[first] | own
    # The edit was made on top of others, which the first version must have as well.
    return ideas[second] - own <= ideas[first] and not any(union <= known for known in ideas.values())


def _own_idea(variant: Variant, variants: Mapping[str, Variant]) -> str:
    """Return the version that a version's last edit was proposed as; a joined or moved edit stays the same idea."""
    while variant.joined is not None and variant.joined in variants:
        variant = variants[variant.joined]
    return variant.id


def _gain(variant: Variant, arms: Mapping[str, Arm]) -> float:
    gain = gain_on_parent(variant, arms)
    return 0.0 if gain is None else gain
