"""The curated tables of what names mean: which settings are left alone, and what range a name suggests."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.reading import Setting

_OUTER_LEFT_ALONE = re.compile(
    r"^(paths?|logg(er|ing)|wandb|tensorboard|mlflow|callbacks?|hydra|extras|eval(uation)?|test(ing)?|validation|"
    r"infer(ence)?|checkpoint(ing)?|deploy|server|visuali[sz]ation|metrics?|debug|profiler?|meta|generation)$"
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A rule of ranges.toml that fits a setting: its numbers and the reason."""

    rule: dict[str, Any]

    @property
    def why(self) -> str:
        """The reason for the range."""
        return str(self.rule["why"])


def spelled(name: str) -> str:
    """Return a name as the tables write it: `learning_rate` for learningRate, learning-rate and LEARNING_RATE."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name) if not name.isupper() else name
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def reason_to_leave(setting: Setting) -> str:
    """Return why a setting is not tuned with any value, "" if nothing says so."""
    outer = [spelled(part) for part in setting.path.split(".")[:-1]]
    if part := next((part for part in outer if _OUTER_LEFT_ALONE.search(part)), ""):
        return f"belongs to {part}"
    name = spelled(setting.name if not setting.path else setting.path.rpartition(".")[2])
    for rule in _table("left_alone.toml", "rule"):
        is_kind = rule.get("kind", setting.kind) == setting.kind
        if is_kind and _is_small_enough(rule, setting.default) and _fits(rule, name, setting.help):
            return str(rule["why"])
    return ""


def meaning(setting: Setting, domains: frozenset[str] = frozenset()) -> Meaning | None:
    """Return what the name, the help and the use of a number say about its range; None if they say nothing."""
    known = domains | use_domains(setting)
    for name in _names(setting):
        for rule in _table("ranges.toml", "rule"):
            # A whole number cannot be a rate, even if its name sounds like one.
            is_type = rule["type"] == setting.kind or (
                rule["type"] == "number" and not (setting.is_typed and setting.kind == "int" and rule["low"] < 1)
            )
            if is_type and rule.get("domain", "") in ("", *known) and _fits(rule, name, setting.help):
                return Meaning(rule)
    return None


def is_known_switch(setting: Setting) -> bool:
    """Return whether a switch changes what is learnt."""
    return any(_fits(rule, spelled(setting.name), "") for rule in _table("ranges.toml", "switch"))


def is_known_choice(setting: Setting) -> bool:
    """Return whether one of several values is a choice of how to learn."""
    return any(_fits(rule, spelled(setting.name), "") for rule in _table("ranges.toml", "choice"))


def use_domains(setting: Setting) -> frozenset[str]:
    """Return what the calls that a setting goes into say about it."""
    decays = any(re.search(r"(StepLR|ExponentialLR|ExponentialDecay|ReduceLROnPlateau)\.", use) for use in setting.uses)
    return frozenset({"decay"} if decays or re.search(r"sched|decay", setting.path) else ())


def _names(setting: Setting) -> list[str]:
    """Return the names under which a setting is looked up: its own, and those of arguments that it is passed as."""
    parts = (setting.path or setting.name).split(".")
    own = (
        [spelled("_".join(parts[-2:])), spelled(parts[-2])]
        if parts[-1].isdigit() and parts[1:]
        else [spelled(parts[-1])]
    )
    return list(dict.fromkeys([*own, *(spelled(use.rpartition(".")[2]) for use in setting.uses)]))


def _is_small_enough(rule: dict[str, Any], default: Value) -> bool:
    return "at_most" not in rule or (isinstance(default, int | float) and default <= rule["at_most"])


def _fits(rule: dict[str, Any], name: str, help_text: str) -> bool:
    if "name" in rule and not re.search(rule["name"], name):
        return False
    if "help" in rule and not re.search(rule["help"], help_text.lower()):
        return False
    return not ("unless" in rule and re.search(rule["unless"], name))


@cache
def _table(file: str, key: str) -> list[dict[str, Any]]:
    text = files("tunesmith.tools.script_reader.meanings").joinpath(file).read_text(encoding="utf-8")
    rules: list[dict[str, Any]] = tomllib.loads(text)[key]
    return rules
