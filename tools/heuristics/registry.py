"""The rules by name, for whoever looks one up: an LLM, a chat, a person."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.study.errors import Mistake, SpecError, ToolRefused
from tunesmith.study.names import did_you_mean
from tunesmith.tools.heuristics.advice import Advice
from tunesmith.tools.heuristics.lora import lora_parameters, lora_scale, qlora_start
from tunesmith.tools.heuristics.memory import RECOMPUTE, transformer_memory
from tunesmith.tools.heuristics.pretraining import power_rate, step_law
from tunesmith.tools.heuristics.scaling import linear_batch_scaling, mup_transfer, root_batch_scaling


@dataclass(frozen=True, slots=True)
class Heuristic:
    """A rule: its name, what it is for in a sentence, its inputs, and whether each may be left out."""

    name: str
    purpose: str
    inputs: Mapping[str, bool]
    apply: Callable[..., Advice]


def _rule(function: Callable[..., Advice]) -> Heuristic:
    first = (inspect.getdoc(function) or "").splitlines()[0]
    parameters = inspect.signature(function).parameters.values()
    return Heuristic(function.__name__, first, {p.name: p.default is not p.empty for p in parameters}, function)


HEURISTICS = {
    function.__name__: _rule(function)
    for function in (
        step_law,
        power_rate,
        linear_batch_scaling,
        root_batch_scaling,
        mup_transfer,
        lora_parameters,
        lora_scale,
        qlora_start,
        transformer_memory,
    )
}


def apply_heuristic(name: str, inputs: Mapping[str, Any]) -> Advice:
    """Apply a rule by its name.

    Raises:
        ToolRefused: there is no such rule, or an input is missing, unknown or no number; the message says which.
    """
    if name not in HEURISTICS:
        raise ToolRefused(
            f"there is no rule {name!r}{did_you_mean(name, HEURISTICS)}; there are {', '.join(HEURISTICS)}"
        )
    rule = HEURISTICS[name]
    found = [Mistake(i, f"is no input{did_you_mean(i, rule.inputs)}") for i in inputs if i not in rule.inputs]
    found += [Mistake(i, "is missing") for i, optional in rule.inputs.items() if not optional and i not in inputs]
    found += [Mistake(i, f"is {v!r}; give a number") for i, v in inputs.items() if not _fits(i, v)]
    if found:
        raise ToolRefused("; ".join(f"{m.key} {m.message}" for m in found))
    try:
        return rule.apply(**inputs)
    except SpecError as error:
        raise ToolRefused("; ".join(f"{m.key} {m.message}" for m in error.mistakes)) from None


def _fits(name: str, value: Any) -> bool:
    if name == "recompute":
        return value in RECOMPUTE
    return isinstance(value, int | float) and not isinstance(value, bool)
