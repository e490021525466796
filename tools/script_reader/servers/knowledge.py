"""What is known about the options of servers: ranges, defaults, and combinations that do not start, with sources.

One TOML file per server next to this one:

    command     pattern of a command line that starts the server
    model       options that name the model; model_after: the word that it may follow instead
    port        option for the port; ready: path that answers once the server is ready
    always      an option and its value that every trial needs, unless the command has it; always_why: the reason
    needs_gpu   whether it is meant for GPUs
    constants   name -> spellings of an option whose value rules may use
    [[option]]  a parameter: name, option (off: spelling of the other value of a switch; aliases), type, range, default,
                why, source. `low`, `high` and `default` may be "cores", "half_cores" or "gpus"; `requires` names a
                constant without which the option is not tuned. In own.toml `names` is a pattern of names, and `span`
                the factor around the script's default.
    [[rule]]    a formula that no trial may fulfil; left out where one of its names is unknown
    [[untouched]]  options that are not tuned, and why
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int, Parameter
from tunesmith.study.space.rules.expression import parse

FILES = ("vllm", "sglang", "llama_server", "llama_cpp_python")
OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What ranges depend on: processor cores and GPUs."""

    cores: int
    gpus: int

    def number(self, value: Any) -> Any:
        """Return a bound, with the words for sizes of this machine replaced."""
        sizes = {"cores": self.cores, "half_cores": max(self.cores // 2, 1), "gpus": self.gpus}
        return sizes.get(value, value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOption:
    """An option of a server that changes how fast it is."""

    name: str
    type: str
    why: str
    source: str
    option: str = ""
    off: str = ""
    aliases: tuple[str, ...] = ()
    names: str = ""
    low: float | str | None = None
    high: float | str | None = None
    log: bool = False
    power_of: int | None = None
    multiple_of: int | None = None
    choices: tuple[Value, ...] = ()
    default: Value = None
    span: float | None = None
    requires: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        """All spellings on a command line, with dashes."""
        return tuple(dashed(word) for word in (self.option, self.off, *self.aliases) if word)

    @property
    def word(self) -> str:
        """The option as a word of a command template."""
        if self.type == "bool":
            return f"{{{self.name}?{self.option}:{self.off}}}"
        return f"{self.option} {{{self.name}}}"

    def parameter(self, machine: Machine, default: Value = None) -> Parameter | None:
        """Return the parameter whose range holds the default; None where this machine leaves nothing to choose.

        Args:
            machine: whose sizes replace words.
            default: what the command says; the server's own default if left out.
        """
        own = machine.number(self.default if default is None else default)
        if self.type == "bool":
            return Bool(default=bool(own))
        if self.type == "choice":
            chosen = own if own in self.choices else None
            return Choice(self.choices, default=chosen) if chosen is not None else None
        return self._numeric(machine, own)

    def _numeric(self, machine: Machine, default: Any) -> Parameter | None:
        low, high = machine.number(self.low), machine.number(self.high)
        if default is None or isinstance(default, bool | str):
            return None
        if self.span is not None:
            low, high = default / self.span, default * self.span
            low, high = (max(low, 1), high) if self.type == "int" or isinstance(default, int) else (low, high)
        elif default > high and self.high == "gpus":
            return None
        low, high = min(low, default), max(high, default)
        if not low < high:
            return None
        is_log = self.log or self.span is not None and low > 0
        if self.type == "float" or isinstance(default, float):
            return Float(float(low), float(high), log=is_log, default=float(default))
        return self._whole(round(low), round(high), int(default), is_log=is_log)

    def _whole(self, low: int, high: int, default: int, *, is_log: bool) -> Parameter:
        """Return a whole number on its grid, without the grid where the default is not on it."""
        step, power = self.multiple_of, self.power_of
        step = step if step and default % step == 0 else None
        power = power if power and _is_power(default, power) else None
        is_log = (is_log or self.power_of is not None) and power is None
        return Int(low, high, log=is_log, multiple_of=step, power_of=power, default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRule:
    """A combination that does not start, as a formula of `forbid`."""

    formula: str
    why: str
    source: str

    @property
    def names(self) -> frozenset[str]:
        """The names in the formula."""
        return frozenset(parse(self.formula).names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untouched:
    """Options that are not tuned, and why."""

    options: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKnowledge:
    """What is known about one server; the module explains the fields."""

    name: str
    command: str
    ready: str
    port: str
    options: Sequence[ServerOption]
    rules: Sequence[ServerRule] = ()
    untouched: Sequence[Untouched] = ()
    constants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: tuple[str, ...] = ()
    model_after: str = ""
    needs_gpu: bool = False
    always: tuple[str, ...] = ()
    always_why: str = ""


def dashed(word: str) -> str:
    """Return an option with dashes: most servers take both spellings."""
    return word[:2] + word[2:].replace("_", "-")


def find_server(command: str) -> ServerKnowledge | None:
    """Return what is known about the server that a command line starts; None for another one."""
    return next((known for file in FILES if re.search((known := load(file)).command, command)), None)


@cache
def load(file: str) -> ServerKnowledge:
    """Return what a file says about its server."""
    raw = tomllib.loads(Path(__file__).with_name(f"{file}.toml").read_text(encoding="utf-8"))
    options = [_frozen(ServerOption, entry) for entry in raw.pop("option", [])]
    rules = [_frozen(ServerRule, entry) for entry in raw.pop("rule", [])]
    untouched = [_frozen(Untouched, entry) for entry in raw.pop("untouched", [])]
    known: ServerKnowledge = _frozen(
        ServerKnowledge, {**raw, "options": options, "rules": rules, "untouched": untouched}
    )
    return known


def _frozen(cls: Any, entry: Mapping[str, Any]) -> Any:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return cls(**plain)


def _is_power(value: int, base: int) -> bool:
    while value > 1 and value % base == 0:
        value //= base
    return value == 1
