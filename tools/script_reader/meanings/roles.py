"""Sorts the settings of a script: what is tuned, what makes a run shorter, what is left alone, and why."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunesmith.study.space.parameters import Choice
from tunesmith.tools.script_reader.meanings.algorithms import algorithm_choice
from tunesmith.tools.script_reader.meanings.budgets import budget, followers, is_budget
from tunesmith.tools.script_reader.meanings.names import (
    Meaning,
    is_known_choice,
    is_known_switch,
    meaning,
    reason_to_leave,
    spelled,
)
from tunesmith.tools.script_reader.meanings.ranges import Guess, guess_range
from tunesmith.tools.script_reader.reading import LeftAlone, Setting, Tuned

_SEED = re.compile(
    r"^(random_?|np_?|torch_?|manual_?|rng_?|global_?|training_?|train_?|init_?)?(seed|random_state)$|^seed_everything$"
)
_SPEED = (
    "speed and memory, not quality",
    "arithmetic and speed, not quality",
    "a state of the script or a place in it",
)
"""Reasons that do not hold for a program that is measured by its time."""
_LARGEST = 10**15
"""Largest default that a range is guessed for; larger ones usually mean "no limit"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The settings of a script by what becomes of them."""

    tuned: tuple[Tuned, ...]
    left_alone: tuple[LeftAlone, ...]
    fidelity: Setting | None
    follows: tuple[Setting, ...]
    seeds: tuple[Setting, ...]
    required: tuple[Setting, ...]


def sort_out(settings: Sequence[Setting], domains: frozenset[str] = frozenset()) -> Roles:
    """Return what becomes of each setting.

    Args:
        settings: of the script, each name once.
        domains: what kind of script it is, such as "rl".
    """
    seeds = _seeds(settings)
    fidelity = budget([s for s in settings if s not in seeds], domains)
    follows = followers(settings, fidelity)
    algorithm = algorithm_choice(settings)
    tuned, left = [], []
    for setting in settings:
        if setting is fidelity or setting in seeds or any(setting is other for other in follows):
            continue
        reason = "" if setting is algorithm else why_not(setting, domains)
        if reason and setting.is_literal and setting.uses:
            continue  # an argument in the code that nobody takes for a setting
        if reason:
            left.append(LeftAlone(name=setting.name, why=reason))
        else:
            guess = guess_range(_as_number(setting, domains), domains)
            tuned.append(_as_arms(setting, guess) if setting is algorithm else _tuned(setting, guess))
    return Roles(
        tuned=tuple(tuned),
        left_alone=tuple(left),
        fidelity=fidelity,
        follows=tuple(follows),
        seeds=seeds,
        required=tuple(s for s in settings if s.required and all(s is not t.setting for t in tuned)),
    )


def _tuned(setting: Setting, guess: Guess) -> Tuned:
    return Tuned(setting=setting, parameter=guess.parameter, why=guess.why)


def _as_arms(setting: Setting, guess: Guess) -> Tuned:
    if not isinstance(guess.parameter, Choice):
        return _tuned(setting, guess)
    why = "each has settings of its own, so trials are divided among them"
    return Tuned(setting=setting, parameter=replace(guess.parameter, arms=True), why=why)


def _seeds(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Return the option for the seed; without one, every seed in the code."""
    usable = [
        s
        for s in settings
        if _SEED.match(spelled(re.sub(r"_\d+$", "", s.path.rpartition(".")[2] or s.name)))
        and not isinstance(s.default, str | bool)
        and not s.choices
    ]
    option = next((s for s in usable if not s.is_literal), None)
    return tuple(usable) if option is None else (option,)


def why_not(setting: Setting, domains: frozenset[str] = frozenset()) -> str:
    """Return why a setting is not tuned, "" if it is."""
    if setting.required and setting.default is None and not setting.choices:
        return "must be given"
    is_program = "program" in domains and not setting.is_literal
    if setting.choices or setting.kind == "bool":
        return _why_not_choice(setting, is_program=is_program)
    known = meaning(_as_number(setting, domains), domains) if setting.kind in ("int", "float") else None
    if (reason := reason_to_leave(setting)) and not (is_program and reason in _SPEED):
        # A name such as target_network_frequency has its own rule for scripts of one kind.
        return "" if known is not None and "domain" in known.rule and _is_usable(setting.default) else reason
    if is_budget(setting, domains) and (known is None or not _has_domain_rule(setting, domains)):
        return "another limit on how long a run takes"
    if setting.kind not in ("int", "float"):
        return "no number and no list of choices"
    if not _is_usable(setting.default):
        return "has no number as its default" if setting.default is None else "its default means no limit"
    if known is not None:
        return _why_not_number(setting, known)
    is_own_option = bool(setting.word) and not setting.is_literal and "." not in setting.path
    if is_own_option and (is_program or setting.kind == "float"):
        return ""
    return "its name and help do not say what it does"


def _why_not_number(setting: Setting, known: Meaning) -> str:
    """Return why a number of known meaning is not tuned, "" if it is: -1 and 0 often stand for something else."""
    default, rule = setting.default, known.rule
    if default == 0 and ("zero" in rule or rule.get("low") == 0 or 0 in rule.get("values", ())):
        return ""
    is_special = (
        isinstance(default, int | float) and default <= 0 and default < rule.get("low", min(rule.get("values", [1])))
    )
    return f"its default {default} means something else" if is_special else ""


def _has_domain_rule(setting: Setting, domains: frozenset[str]) -> bool:
    known = meaning(setting, domains)
    return known is not None and ("domain" in known.rule or "powers" in known.rule)


def _why_not_choice(setting: Setting, *, is_program: bool) -> str:
    if (reason := reason_to_leave(setting)) and not (is_program and reason in _SPEED):
        return reason
    if setting.kind == "bool" and not setting.choices:
        return (
            ""
            if is_program or is_known_switch(setting)
            else "a switch; its name does not say that it changes what is learnt"
        )
    if len(setting.choices) < 2 or not all(isinstance(c, str) or _is_usable(c) for c in setting.choices):  # noqa: PLR2004
        return "has only one choice"
    if any(isinstance(c, bool) for c in setting.choices):
        return "a switch; its name does not say that it changes what is learnt"
    numbers = all(not isinstance(c, str) for c in setting.choices)
    return (
        ""
        if is_program or is_known_choice(setting) or (numbers and meaning(setting))
        else "which one, is for you to say"
    )


def _as_number(setting: Setting, domains: frozenset[str]) -> Setting:
    """Return a whole number such as `lr = 1` or `dropout = 0` as the fraction that its name says it is."""
    if setting.kind != "int" or setting.choices or setting.is_typed:
        return setting
    as_float = replace(setting, kind="float")
    known = meaning(setting, domains)
    if known is None and (by_name := meaning(as_float, domains)) and by_name.rule["type"] == "float":
        return replace(as_float, default=_floated(setting.default)) if _is_usable(setting.default) else setting
    return replace(as_float, default=_floated(setting.default)) if _is_rate(known, setting) else setting


def _is_rate(known: object, setting: Setting) -> bool:
    rule = getattr(known, "rule", {})
    return rule.get("type") == "number" and float(rule.get("low", 1)) < 1 and _is_usable(setting.default)


def _floated(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # the caller checked that it is a number


def _is_usable(value: object) -> bool:
    """Return whether a range around the number makes sense; an infinite or huge default means "no limit"."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST and math.isfinite(value)  # type: ignore[arg-type]
