"""A tool that answers "what would I get for half the time": the best trial at a part of the best one's cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunesmith.study.errors import ToolRefused
from tunesmith.study.formatting import render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.observed.resources import RESOURCES, SECONDS
from tunesmith.tools.analysis.findings.tradeoff import cheaper_choices, cost_metrics, trial_costs
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import Arguments, StudyTool

FRACTIONS = (0.75, 0.5, 0.25, 0.1)
"""The parts of the best trial's cost that are shown where none is asked for."""


class CheaperArguments(Arguments):
    """A cost, and the part of it that may be spent."""

    cost: Annotated[str, Field(max_length=100, description="A measured resource, or a metric that trials report.")] = (
        SECONDS
    )
    fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Of the best trial's cost; several are shown when left out."
    )


def cheaper_text(context: ToolContext, args: CheaperArguments) -> str:
    """Return the best trial at each part of the best one's cost, with its configuration.

    Raises:
        ToolRefused: no trial has such a cost.
    """
    view, spec = context.study.view(), context.study.spec
    if not trial_costs(view.trials, spec, args.cost):
        known = [name for name in {**RESOURCES, **dict.fromkeys(cost_metrics(spec))}]
        known = [name for name in known if trial_costs(view.trials, spec, name)]
        raise ToolRefused(f"no trial has a cost {args.cost!r}{did_you_mean(args.cost, known)}")
    fractions = FRACTIONS if args.fraction is None else (args.fraction,)
    choices = cheaper_choices(view.trials, spec, args.cost, fractions)
    if not choices:
        return f"no trial is complete with {args.cost} and within the bounds, so there is nothing to compare with"
    by_number = {t.number: t for t in view.trials}
    lines = []
    for choice in choices:
        params = "" if choice.number is None else f"  {render_params(by_number[choice.number].params)}"
        lines.append(f"{choice.text}{params}")
    return "\n".join(lines)


CHEAPER = StudyTool("cheaper", CheaperArguments, cheaper_text)
