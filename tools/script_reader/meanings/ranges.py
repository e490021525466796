"""Guesses a search range from the name, help, type, use and default of a setting, by the rules in ranges.toml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.tools.script_reader.meanings.names import meaning
from tunesmith.tools.script_reader.reading import Setting


@dataclass(frozen=True, slots=True)
class Guess:
    """A parameter whose range contains the script's default, and the reason for the range."""

    parameter: Parameter
    why: str


def guess_range(setting: Setting, domains: frozenset[str] = frozenset()) -> Guess:
    """Return the parameter for a setting that is a number, a switch or one of several choices.

    Raises:
        ValueError: the setting has none of these.
    """
    if setting.choices:
        return _choices(setting)
    if setting.kind == "bool":
        return Guess(Bool(default=bool(setting.default), help=setting.help, when=setting.when or None), "on or off")
    default = setting.default
    if isinstance(default, bool) or not isinstance(default, int | float) or not math.isfinite(default):
        raise ValueError(f"{setting.name} has no numeric default")
    known = meaning(setting, domains)
    if known is None:
        return _without_rule(setting, default)
    return Guess(_by_rule(setting, default, known.rule), known.why)


def _by_rule(setting: Setting, default: float, rule: dict[str, Any]) -> Parameter:
    if "values" in rule or (default == 0 and "zero" in rule):
        return _listed(setting, default, rule["zero" if default == 0 and "zero" in rule else "values"])
    if "powers" in rule and default >= 1:
        return _powers(setting, int(default), rule)
    return _numeric(setting, default, rule)


def _choices(setting: Setting) -> Guess:
    numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in setting.choices)
    ordered = numbers and list(setting.choices) == sorted(setting.choices)  # type: ignore[type-var]  # all are numbers
    default = setting.default if setting.default in setting.choices else None
    parameter = Choice(setting.choices, ordered=ordered, default=default, help=setting.help, when=setting.when or None)
    return Guess(parameter, "the script's own choices" + (", in order" if ordered else ""))


def _without_rule(setting: Setting, default: float) -> Guess:
    if setting.kind == "float" and 0 < default < 1:
        return Guess(
            _numeric(setting, default, {"low": 0.0, "high": 1.0}), "a default between 0 and 1 suggests a fraction"
        )
    if default == 0:
        values = [0.0, 0.001, 0.01, 0.1, 1.0] if setting.kind == "float" else [0, 1, 2, 4, 8]
        return Guess(_listed(setting, default, values), "no rule for this name: off, or upward by factors")
    span = 10 if setting.kind == "float" else 4
    if default > 0:
        rule = {"span": span, "log": True, "low": 0.0, "high": math.inf}
        return Guess(_numeric(setting, default, rule), f"no rule for this name: a factor of {span} around the default")
    low, high = sorted((default * 2, default / 2))
    return Guess(_numeric(setting, default, {"low": low, "high": high}), "no rule for this name: a factor of 2")


def _numeric(setting: Setting, default: float, rule: Mapping[str, Any]) -> Parameter:
    low, high = float(rule["low"]), float(rule["high"])
    if "span" in rule and default > 0:
        # A default at the rule's bound is a script's own convention, such as a rate of 20 for SGD on sums.
        if default >= high and not rule.get("natural"):
            high = default * 3
        low, high = max(low, default / rule["span"]), min(high, default * rule["span"])
    if "span" in rule and default <= 0:
        high = min(high, 1.0)
    low, high = _declared(setting, low, high)
    low, high = min(_rounded(low), default), max(_rounded(high), default)
    if setting.kind == "int":
        return _int(setting, int(default), low, high, log=bool(rule.get("log")))
    if low >= high:
        low, high = default - max(abs(default), 1.0), default + max(abs(default), 1.0)
    log = bool(rule.get("log")) and low > 0
    when = setting.when or None
    return Float(float(low), float(high), log=log, default=float(default), help=setting.help, when=when)


def _declared(setting: Setting, low: float, high: float) -> tuple[float, float]:
    """Return the bounds within those that the script declares."""
    low = low if setting.low is None else max(low, setting.low)
    return low, high if setting.high is None else min(high, setting.high)


def _int(setting: Setting, default: int, low: float, high: float, *, log: bool) -> Int:
    least, most = math.floor(low), min(math.ceil(high), default + 10**17)
    if log and default >= 1:
        least = max(least, 1)
    if least >= most:
        most = least + max(abs(least), 1)
    when = setting.when or None
    return Int(least, most, log=log and least >= 1, default=default, help=setting.help, when=when)


def _powers(setting: Setting, default: int, rule: Mapping[str, Any]) -> Choice:
    exponents = range(round(math.log2(default)) - rule["powers"], round(math.log2(default)) + rule["powers"] + 1)
    values = [2**e for e in exponents if e >= 0 and rule["low"] <= 2**e <= rule["high"]]
    return _listed(setting, default, values or [default * 2])


def _listed(setting: Setting, default: float, values: list[Any]) -> Choice:
    """Return ordered choices: these values and the default, within the bounds that the script declares."""
    kept = {value for value in values if _declared(setting, value, value) == (value, value)}
    typed = {int(v) if setting.kind == "int" else float(v) for v in kept | {default}}
    if len(typed) < 2:  # noqa: PLR2004  # one value leaves nothing to choose
        typed.add(default * 2 or 1)
    own = int(default) if setting.kind == "int" else float(default)
    return Choice(tuple(sorted(typed)), ordered=True, default=own, help=setting.help, when=setting.when or None)


def _rounded(value: float) -> float:
    """Return the number with two significant digits, as a person would write a bound."""
    if value == 0 or not math.isfinite(value):
        return value
    return float(f"{value:.1e}")
