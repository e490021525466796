"""Finds the choice of an algorithm among settings: most of its values have settings of their own.

Its values become arms. Such a choice is tuned although its name alone would leave it to the user: the script has each
of its values ready, and settings for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.study.space import condition as conditions
from tunesmith.tools.script_reader.reading import Setting


def algorithm_choice(settings: Sequence[Setting]) -> Setting | None:
    """Return the first choice of an algorithm; None where there is none."""
    return next((s for s in settings if _is_algorithm(s, settings)), None)


def _is_algorithm(setting: Setting, others: Sequence[Setting]) -> bool:
    named = all(isinstance(choice, str) for choice in setting.choices) and len(setting.choices) > 1
    return named and not setting.when and _with_own_settings(setting, others) > len(setting.choices) / 2


def _with_own_settings(setting: Setting, others: Sequence[Setting]) -> int:
    """Return the number of values that have a setting that not all of them have."""
    whens = [conditions.parse(other.when) for other in others if other.when]
    about = [when for when in whens if {c.name for c in conditions.comparisons(when)} == {setting.name}]
    holding = [[when.holds({setting.name: value}) for value in setting.choices] for when in about]
    partial = [holds for holds in holding if not all(holds)]
    return sum(any(holds[index] for holds in partial) for index in range(len(setting.choices)))
