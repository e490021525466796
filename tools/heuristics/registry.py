"""Published rules by name, for the tool `rule` of the planner, the chat and the MCP server."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
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
    """A published rule.

    Attributes:
        purpose: what it computes, in a sentence.
        inputs: by name, whether the input is optional.
        apply: the function; takes the inputs by name.
    """

    name: str
    purpose: str
    inputs: Mapping[str, bool]
    apply: Callable[..., Advice]


def _heuristic(function: Callable[..., Advice]) -> Heuristic:
    first = (inspect.getdoc(function) or "").splitlines()[0]
    parameters = inspect.signature(function).parameters.values()
    return Heuristic(function.__name__, first, {p.name: p.default is not p.empty for p in parameters}, function)


HEURISTICS = {
    function.__name__: _heuristic(function)
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
        ToolRefused: there is no such rule, or an input is missing, unknown or not valid; the message names each.
    """
    if name not in HEURISTICS:
        raise ToolRefused(
            f"there is no rule {name!r}{did_you_mean(name, HEURISTICS)}; the rules are {', '.join(HEURISTICS)}"
        )
    rule = HEURISTICS[name]
    mistakes = [
        Mistake(i, f"not an input of {name}{did_you_mean(i, rule.inputs)}") for i in inputs if i not in rule.inputs
    ]
    mistakes += [Mistake(i, "missing") for i, optional in rule.inputs.items() if not optional and i not in inputs]
    mistakes += [Mistake(i, f"{v!r} is not valid; expected a number") for i, v in inputs.items() if not _is_valid(i, v)]
    if mistakes:
        raise ToolRefused(_mistakes_text(mistakes))
    try:
        return rule.apply(**inputs)
    except SpecError as error:
        raise ToolRefused(_mistakes_text(error.mistakes)) from None


def _mistakes_text(mistakes: Sequence[Mistake]) -> str:
    return "; ".join(f"{m.key}: {m.message}" for m in mistakes)


def _is_valid(name: str, value: Any) -> bool:
    if name == "recompute":
        return value in RECOMPUTE
    return isinstance(value, int | float) and not isinstance(value, bool)
