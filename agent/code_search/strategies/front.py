"""A front over examples, as in GEPA (Agrawal et al. 2025): every version that is best on some example may be edited.

A text that wins on few examples and loses on the others knows something that the best text on average does not. Parents
are drawn from the versions that are best on some example, in proportion to the number of such examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.agent.code_search.strategies.greedy import Greedy
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.variant import Variant


@dataclass(frozen=True, slots=True)
class Front(Greedy):
    """Edits one of the versions on the front; without scores of examples, the best version."""

    def request(self, state: SearchState) -> EditRequest | None:
        """Return a question about a version of the front."""
        found = Greedy.request(self, state)
        if found is None:
            return None
        wins = front(state.examples)
        codes = [code for code in wins if code in state.by_code and state.by_code[code].best is not None]
        return EditRequest(_drawn({code: wins[code] for code in codes}, state), 1) if codes else found

    def base(self, variant: Variant, state: SearchState) -> str:
        """Return the parent: a version of the front keeps what it is good at."""
        parent = state.variants.get(variant.parent or "")
        return parent.id if parent is not None and parent.is_edited else ""


def front(scores: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
    """Return the number of examples on which each version of the front is best, by the version's id.

    A version that is best on examples only together with others, each time with one that is best on more, is left out.

    Args:
        scores: of each version, by example; larger is better.
    """
    names = dict.fromkeys(name for found in scores.values() for name in found)
    best = {name: max(found[name] for found in scores.values() if name in found) for name in names}
    won = {code: {name for name, score in found.items() if score == best[name]} for code, found in scores.items()}
    kept = {
        code: names
        for code, names in won.items()
        if names and not any(names < others for other, others in won.items() if other != code)
    }
    return {code: len(names) for code, names in kept.items()}


def _drawn(wins: Mapping[str, int], state: SearchState) -> str:
    """Return a version, drawn with the number of its wins as weight; the same for the same state."""
    turn = sum(variant.is_edited for variant in state.variants.values())
    left = derived_seed(state.seed, "front", turn) / 2**31 * sum(wins.values())
    for code, weight in wins.items():
        left -= weight
        if left <= 0.0:
            return code
    return list(wins)[-1]
