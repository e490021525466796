"""What of a search space no trial has tried: parameters that always had one value, and choices that never ran."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.study.formatting import render_short
from tunesmith.study.space.parameters import Bool, Choice
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial

_MANY = 8
"""Number of choices that one sentence lists."""


def untried(space: SearchSpace, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return a sentence on the parameters that never changed, and one for each choice with values that never ran."""
    if not trials:
        return ()
    seen = {name: {t.params[name] for t in trials if name in t.params} for name in space.names}
    fixed = [name for name, values in seen.items() if len(values) == 1]
    never = [name for name, values in seen.items() if not values]
    sentences = []
    if fixed:
        values = ", ".join(f"{name} ({render_short(next(iter(seen[name])))})" for name in fixed)
        sentences.append(f"always the same value: {values}")
    sentences += [f"never active: {', '.join(never)}"] if never else []
    for name, parameter in space.parameters.items():
        every = parameter.choices if isinstance(parameter, Choice) else (False, True)
        if not isinstance(parameter, Choice | Bool) or len(seen[name]) < 2:  # noqa: PLR2004  # listed above
            continue
        missing = [render_short(value) for value in every if value not in seen[name]]
        if missing:
            sentences.append(f"values of {name} that never ran: {', '.join(missing[:_MANY])}")
    return tuple(sentences)
