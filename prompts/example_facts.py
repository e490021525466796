"""How a version of a text did on single examples, as the question for the next version shows it. Knows no template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import one_line, render_literal
from tunesmith.study.trials.observed.texts import ExampleText
from tunesmith.study.units import short_number

MAX_WEAK, MAX_GOOD = 8, 2
"""Number of weak and of good examples that are shown."""
_INPUT_CHARS, _OUTPUT_CHARS, _FEEDBACK_CHARS = 1200, 1200, 600


@dataclass(frozen=True, slots=True)
class ShownExample:
    """One example: a heading, and what was read, written and said of it."""

    heading: str
    input: str
    output: str
    feedback: str


@dataclass(frozen=True, slots=True)
class ExampleFacts:
    """The examples of one trial.

    Attributes:
        summary: how many there are and their scores, in one line.
        weak: the weakest first; none where all are equal.
        good: the best ones, which must stay good; more of them where none is weak.
    """

    summary: str
    weak: tuple[ShownExample, ...]
    good: tuple[ShownExample, ...]


def example_facts(found: Sequence[ExampleText], others: Mapping[str, Mapping[str, float]]) -> ExampleFacts:
    """Return the examples to show; each has a score, larger is better.

    Those come first on which the version lost most to another version, then those with the lowest score.

    Args:
        found: at least one example.
        others: scores of the other versions by example, by their id.
    """
    best = {text.id: max([s[text.id] for s in others.values() if text.id in s], default=0.0) for text in found}
    scores = [text.score or 0.0 for text in found]
    top = max(scores)
    lost = {text.id: max(best[text.id] - (text.score or 0.0), 0.0) for text in found}
    ranked = sorted(found, key=lambda text: (-lost[text.id], text.score or 0.0))
    weak = [text for text in ranked if (text.score or 0.0) < top or lost[text.id] > 0.0 or text.feedback][:MAX_WEAK]
    shown = MAX_GOOD if weak else MAX_WEAK
    good = [text for text in reversed(ranked) if text not in weak and (text.score or 0.0) == top][:shown]
    summary = (
        f"{len(found)} examples, mean score {short_number(sum(scores) / len(scores))}, "
        f"lowest {short_number(min(scores))}, highest {short_number(top)}"
    )
    return ExampleFacts(summary, tuple(_shown(t, lost[t.id]) for t in weak), tuple(_shown(t, 0.0) for t in good))


def _shown(text: ExampleText, lost: float) -> ShownExample:
    score = f"score {short_number(text.score or 0.0)}"
    behind = f", {short_number(lost)} behind another version" if lost > 0.0 else ""
    heading = f"example {render_literal(one_line(text.id, 60))}: {score}{behind}"
    return ShownExample(
        heading, text.input[:_INPUT_CHARS], text.output[:_OUTPUT_CHARS], text.feedback[:_FEEDBACK_CHARS]
    )
