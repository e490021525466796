"""Makes what scripts printed safe and short enough for a plot. What people typed may hold markup; here it is text."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.tools.report.facts import value_text

LONGEST = 60
LONGEST_CELL = 300
_PARAMETERS_SHOWN = 12


def cut(text: str, longest: int = LONGEST) -> str:
    """Return the text, its end replaced by … when it is longer than `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def in_plot(text: str, longest: int = LONGEST) -> str:
    """Return text for plotly, which reads a part of HTML in labels: cut, then escaped, on one line."""
    return html.escape(cut(" ".join(text.split()), longest), quote=False)


def hover(trial: Trial, *, with_params: bool) -> str:
    """Return what a dot says when pointed at; one short line without the parameters."""
    if not with_params:
        return in_plot(f"#{trial.number} {trial.failure.kind.value if trial.failure else trial.proposal.source.value}")
    lines = [f"<b>#{trial.number}</b> {trial.proposal.source.value}"]
    lines += [f"{in_plot(name)} {short_number(value)}" for name, value in trial.values.items()]
    if trial.failure:
        lines.append(f"{trial.failure.kind.value}: {in_plot(trial.failure.reason, 90)}")
    shown = list(trial.params.items())[:_PARAMETERS_SHOWN]
    lines += [f"{in_plot(name)} = {in_plot(value_text(value), 40)}" for name, value in shown]
    return "<br>".join(lines)


def plain(value: Any, *, digits: int = 7) -> Any:
    """Return the value with numbers that JSON lacks (nan, inf) as None and floats rounded, all the way down."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits=digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits=digits) for item in value]
    return value
