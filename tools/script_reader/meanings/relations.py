"""Keeps the width of a transformer a multiple of its heads: any other pair of values fails in its first line."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.study.space.parameters import Choice, Int
from tunesmith.tools.script_reader.meanings.names import spelled
from tunesmith.tools.script_reader.reading import Setting, Tuned

_HEADS = re.compile(r"^(n_?|num_?)?(attention_?)?heads?$|^nheads?$|^num_attention_heads$")
_WIDTH = re.compile(
    r"^n_?embd$|^emb(ed(ding)?)?_?(dim|size)$|^d_?model$|^hidden_?(size|dim|channels|units)$|^emsize$|^(model_)?dim$|^width$"
)


def with_divisible_width(tuned: Sequence[Tuned], settings: Sequence[Setting]) -> tuple[Tuned, ...]:
    """Return the parameters with numbers of heads and widths that fit each other.

    Args:
        tuned: the parameters.
        settings: all settings, since one of the two may not be tuned.
    """
    heads = next((s for s in settings if _HEADS.match(_name(s)) and _is_count(s)), None)
    width = next((s for s in settings if _WIDTH.match(_name(s)) and _is_count(s)), None)
    if heads is None or width is None or int(width.default) % int(heads.default):  # type: ignore[arg-type]  # both are counts
        return tuple(tuned)
    varied = {id(t.setting) for t in tuned}
    numbers = _numbers_of_heads(heads, width) if id(heads) in varied else [int(heads.default)]  # type: ignore[arg-type]  # a count
    return tuple(_fitted(t, heads, width, numbers) for t in tuned)


def _numbers_of_heads(heads: Setting, width: Setting) -> list[int]:
    """Return numbers around the default whose common multiple divides the default width."""
    own, wide = int(heads.default), int(width.default)  # type: ignore[arg-type]  # both are counts
    kept = [own]
    for number in (own * 2, own // 2, own * 4, own // 4):
        if number >= 1 and number not in kept and wide % math.lcm(*kept, number) == 0:
            kept.append(number)
    return sorted(kept)


def _fitted(tuned: Tuned, heads: Setting, width: Setting, numbers: list[int]) -> Tuned:
    parameter = tuned.parameter
    if tuned.setting is heads and len(numbers) > 1:
        choice = Choice(numbers, ordered=True, default=heads.default, help=parameter.help, when=parameter.when)
        return replace(tuned, parameter=choice, why="must divide the width")
    if tuned.setting is width and isinstance(parameter, Int):
        step = math.lcm(*numbers)
        low = max(step, parameter.low // step * step)
        whole = Int(
            low, max(parameter.high // step * step, int(width.default)), log=parameter.log, multiple_of=step,  # type: ignore[arg-type]  # a count
            default=parameter.default, help=parameter.help, when=parameter.when,
        )  # fmt: skip
        return replace(tuned, parameter=whole, why=f"{tuned.why}; a multiple of every number of heads")
    return tuned


def _name(setting: Setting) -> str:
    return spelled((setting.path or setting.name).rpartition(".")[2])


def _is_count(setting: Setting) -> bool:
    default = setting.default
    return isinstance(default, int) and not isinstance(default, bool) and default >= 1
