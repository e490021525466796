"""Renders the planner's prompts: first the part that stays the same, for prompt caches, then the results so far.

Facts come in as data and sentences come from the templates; this module contains no text for a model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.prompts.history_summary import CHARS_PER_TOKEN, estimate_tokens, space_table, summarize_history
from tunesmith.prompts.message import Message
from tunesmith.prompts.render import render_text
from tunesmith.study.config.record import Lesson
from tunesmith.study.formatting import render_parameter, render_params
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import default_trial, present_improvements
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective, StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

MAX_TOKENS = 8000
"""Limit for one prompt, by the estimate of `estimate_tokens`; the history is shortened to fit."""

_FIXED_TOKENS = 900
"""Tokens reserved for everything but the opening messages and the history."""

_SCRIPT_SHARE = 0.35
_MAX_EARLIER_LESSONS = 12
_MAX_PROBLEMS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBrief:
    """The facts that do not change while a study runs.

    Attributes:
        hardware: CPUs, memory and GPUs in words; "" when unknown.
        fidelity: name and value of a full run, such as "epochs = 27"; "" without fidelities.
        script: source of the training script; "" when unknown.
        insights: lessons of this study so far.
        earlier: lessons of earlier studies of the same script.
    """

    name: str
    space: SearchSpace
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint] = ()
    description: str = ""
    command: str = ""
    hardware: str = ""
    fidelity: str = ""
    script: str = ""
    insights: Sequence[Lesson] = ()
    earlier: Sequence[Lesson] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """The facts that change with every trial.

    Attributes:
        sampler: the sampler's next point, and what it found about parameters.
        budget: the budget left, in words; "" without a limit.
        curves: first objective at a few steps, by trial number.
    """

    view: StudyView
    sampler: SamplerState
    budget: str = ""
    curves: Mapping[int, Sequence[float]] = field(default_factory=dict)


def starting_messages(brief: StudyBrief, *, count: int, sampler: SamplerState | None = None) -> list[Message]:
    """Return the question for starting points, before any result."""
    next_params = render_params(sampler.next_params) if sampler else ""
    return [*opening_messages(brief), Message("user", render_text("start.md", count=count, next_params=next_params))]


def proposing_messages(brief: StudyBrief, context: PromptContext, *, count: int, operator: str) -> list[Message]:
    """Return the question for candidates, given results; `operator` is a key of operators.toml."""
    opening = opening_messages(brief)
    max_tokens = _tokens_left(opening)
    facts = _facts(context, max_tokens=max_tokens)
    question = render_text("propose.md", **facts, count=count, operator=operators()[operator])
    return [*opening, Message("user", question)]


def insight_messages(brief: StudyBrief, context: PromptContext, *, limit: int) -> list[Message]:
    """Return the question for at most `limit` lessons."""
    opening = opening_messages(brief)
    max_tokens = _tokens_left(opening)
    return [
        *opening,
        Message("user", render_text("insights.md", **_facts(context, max_tokens=max_tokens), limit=limit)),
    ]


def retry_message(problems: Sequence[str], *, count: int) -> Message:
    """Return the question that follows an answer without a valid candidate."""
    return Message("user", render_text("retry.md", problems=problems[:_MAX_PROBLEMS], count=count))


@cache
def operators() -> Mapping[str, str]:
    """Return the kinds of moves, and the instruction for each."""
    return tomllib.loads(Path(__file__).with_name("operators.toml").read_text(encoding="utf-8"))


def opening_messages(brief: StudyBrief) -> list[Message]:
    """Return the messages that begin every conversation: how answers are used, and the study."""
    study = render_text(
        "study.md",
        name=brief.name,
        description=brief.description,
        aims=", ".join(f"{o.direction.value} {o.metric}" for o in brief.objectives),
        constraints=", ".join(_constraint_text(c) for c in brief.constraints),
        command=brief.command,
        hardware=brief.hardware,
        fidelity=brief.fidelity,
        space=space_table(brief.space),
        script=brief.script,
        script_chars=int(MAX_TOKENS * _SCRIPT_SHARE * CHARS_PER_TOKEN),
        insights=brief.insights,
        earlier=brief.earlier[:_MAX_EARLIER_LESSONS],
    )
    return [Message("system", render_text("system.md")), Message("user", study)]


def _tokens_left(opening: Sequence[Message]) -> int:
    return MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FIXED_TOKENS


def _facts(context: PromptContext, *, max_tokens: int) -> dict[str, Any]:
    view, sampler = context.view, context.sampler
    history = summarize_history(view, max_tokens=max_tokens, curves=context.curves)
    prediction = sampler.next_prediction
    return {
        "counts": history.counts,
        "budget": context.budget or "not limited",
        "best": _trial_facts(incumbent(view.trials, view), view),
        "default": _trial_facts(default_trial(view.trials, view.space), view),
        "stale": trials_since_improvement(view),
        "next_params": render_params(sampler.next_params),
        "prediction": prediction and {"mean": short_number(prediction.mean), "std": short_number(prediction.std)},
        "importance": ", ".join(f"{name} {share:.0%}" for name, share in list(sampler.importance.items())[:6]),
        "interactions": sampler.interactions,
        "failing": sampler.failing,
        "table": history.table,
        "failures": history.failures,
    }


def trials_since_improvement(view: StudyView) -> int:
    """Return the number of finished trials since the best value last improved."""
    finished = [t for t in view.trials if t.state.is_finished and not t.is_replicate]
    improved = present_improvements(view.trials, view)
    return sum(t.number > improved[-1].number for t in finished) if improved else len(finished)


def _trial_facts(trial: Trial | None, view: StudyView) -> dict[str, str] | None:
    metric = view.objectives[0].metric
    if trial is None or metric not in trial.values:
        return None
    return {
        "number": str(trial.number),
        "value": f"{metric} {short_number(trial.values[metric])}",
        "params": render_params(trial.params),
        "source": trial.proposal.source.value,
    }


def _constraint_text(constraint: Constraint) -> str:
    parts = [f"at least {render_parameter(constraint.min)}" if constraint.min is not None else ""]
    parts.append(f"at most {render_parameter(constraint.max)}" if constraint.max is not None else "")
    return f"{constraint.metric} {' and '.join(part for part in parts if part)}"
