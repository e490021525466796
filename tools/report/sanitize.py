"""Shortens and escapes text from scripts and people, which may contain markup, for plots and tables."""

from __future__ import annotations

import html

from tunesmith.study.formatting import one_line, render_short
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number

LONGEST = 60
LONGEST_CELL = 300
PLOT_DIGITS = 7
"""Significant digits of numbers in plots and tables; more would only enlarge the page."""
_PARAMETERS_SHOWN = 12


def cut(text: str, longest: int = LONGEST) -> str:
    """Return the text, with its end replaced by … if it is longer than `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def in_plot(text: str, longest: int = LONGEST) -> str:
    """Return text on one line, cut and then escaped: plotly interprets some HTML in labels."""
    return html.escape(one_line(text, longest), quote=False)


def hover(trial: Trial, *, with_params: bool) -> str:
    """Return the text shown when the pointer is on a trial's mark; one short line without the parameters."""
    if not with_params:
        return in_plot(f"#{trial.number} {trial.failure.kind.value if trial.failure else trial.proposal.source.value}")
    lines = [f"<b>#{trial.number}</b> {trial.proposal.source.value}"]
    lines += [f"{in_plot(name)} {short_number(value)}" for name, value in trial.values.items()]
    if trial.failure:
        lines.append(f"{trial.failure.kind.value}: {in_plot(trial.failure.reason, 90)}")
    shown = list(trial.params.items())[:_PARAMETERS_SHOWN]
    lines += [f"{in_plot(name)} = {in_plot(render_short(value), 40)}" for name, value in shown]
    return "<br>".join(lines)
