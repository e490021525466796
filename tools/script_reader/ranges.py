"""Guesses a search range from the name, type and default of a setting, by the rules in ranges.toml."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.tools.script_reader.findings import Setting


@dataclass(frozen=True, slots=True)
class Guess:
    """A parameter whose range contains the script's default, and the reason for the range."""

    parameter: Parameter
    why: str


def guess_range(setting: Setting) -> Guess:
    """Return the parameter for a setting that is a number, a switch or one of several choices.

    Raises:
        ValueError: the setting has none of these.
    """
    if setting.choices:
        return _choices(setting)
    if setting.kind == "bool":
        return Guess(Bool(default=bool(setting.default), help=setting.help), "on or off")
    default = setting.default
    if isinstance(default, bool) or not isinstance(default, int | float) or not math.isfinite(default):
        raise ValueError(f"{setting.name} has no numeric default")
    rule = _rule_for(setting)
    if rule is None:
        return _without_rule(setting, default)
    if "powers" in rule and default >= 1:
        return Guess(_powers(setting, int(default), rule), rule["why"])
    return Guess(_numeric(setting, default, rule), rule["why"])


def _choices(setting: Setting) -> Guess:
    numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in setting.choices)
    ordered = numbers and list(setting.choices) == sorted(setting.choices)  # type: ignore[type-var]  # all are numbers
    default = setting.default if setting.default in setting.choices else None
    parameter = Choice(setting.choices, ordered=ordered, default=default, help=setting.help)
    return Guess(parameter, "the script's own choices" + (", in order" if ordered else ""))


@cache
def _rules() -> list[dict[str, Any]]:
    text = files("tunesmith.tools.script_reader").joinpath("ranges.toml").read_text(encoding="utf-8")
    rules: list[dict[str, Any]] = tomllib.loads(text)["rule"]
    return rules


def _rule_for(setting: Setting) -> dict[str, Any] | None:
    name = setting.name.lower()
    fits = (rule for rule in _rules() if rule["type"] in (setting.kind, "number") and re.search(rule["name"], name))
    return next(fits, None)


def _without_rule(setting: Setting, default: float) -> Guess:
    if setting.kind == "float" and 0 < default < 1:
        return Guess(
            _numeric(setting, default, {"low": 0.0, "high": 1.0}), "a default between 0 and 1 suggests a fraction"
        )
    if default > 0:
        rule = {"span": 10 if setting.kind == "float" else 4, "log": True, "low": 0.0, "high": math.inf}
        return Guess(
            _numeric(setting, default, rule), f"no rule for this name: a factor of {rule['span']} around the default"
        )
    size = max(abs(default), 1) * 2
    rule = {"low": default - size, "high": default + size}
    return Guess(_numeric(setting, default, rule), "no rule for this name: twice the default's size around it")


def _numeric(setting: Setting, default: float, rule: Mapping[str, Any]) -> Parameter:
    low, high = float(rule["low"]), float(rule["high"])
    if "span" in rule and default > 0:
        low, high = max(low, default / rule["span"]), min(high, default * rule["span"])
    if "span" in rule and default <= 0:
        high = min(high, 1.0)
    low = low if setting.low is None else max(low, setting.low)
    high = high if setting.high is None else min(high, setting.high)
    low, high = min(_rounded(low), default), max(_rounded(high), default)
    if setting.kind == "int":
        return _int(setting, int(default), low, high, log=bool(rule.get("log")))
    if low >= high:
        low, high = default - max(abs(default), 1.0), default + max(abs(default), 1.0)
    log = bool(rule.get("log")) and low > 0
    return Float(float(low), float(high), log=log, default=float(default), help=setting.help)


def _int(setting: Setting, default: int, low: float, high: float, *, log: bool) -> Int:
    least, most = math.floor(low), min(math.ceil(high), default + 10**17)
    if log and default >= 1:
        least = max(least, 1)
    if least >= most:
        most = least + max(abs(least), 1)
    return Int(least, most, log=log and least >= 1, default=default, help=setting.help)


def _powers(setting: Setting, default: int, rule: Mapping[str, Any]) -> Choice:
    exponents = range(round(math.log2(default)) - rule["powers"], round(math.log2(default)) + rule["powers"] + 1)
    values = {2**e for e in exponents if e >= 0 and rule["low"] <= 2**e <= rule["high"]} | {default}
    values = {v for v in values if (setting.low or v) <= v <= (setting.high or v)} | {default}
    if len(values) < 2:
        values.add(default * 2)
    return Choice(tuple(sorted(values)), ordered=True, default=default, help=setting.help)


def _rounded(value: float) -> float:
    """Return the number with two significant digits, as a person would write a bound."""
    if value == 0 or not math.isfinite(value):
        return value
    return float(f"{value:.1e}")
