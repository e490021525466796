"""What a language model is shown: the stable part first, so that prompt caches hit, then where things stand.

Every fact comes in as data; no sentence to a model stands in code.
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
from tunesmith.study.trials.results import default_trial, improvements, incumbent
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Constraint, Objective, StudyView
from tunesmith.study.units import short_number

MAX_TOKENS = 8000
"""No prompt is longer, however long the history is."""

_FOR_THE_REST = 900
_SCRIPT_SHARE = 0.35
_EARLIER = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBrief:
    """What does not change while a study runs.

    Attributes:
        script: the source of the training script; "" when it is not known.
        insights: lessons so far.
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
    """Where a study stands.

    Attributes:
        budget: what is left, in words.
        curves: the first objective at a few steps, by trial number.
    """

    view: StudyView
    belief: SamplerState
    budget: str = ""
    curves: Mapping[int, Sequence[float]] = field(default_factory=dict)


def starting_messages(subject: StudyBrief, *, count: int, belief: SamplerState | None = None) -> list[Message]:
    """Return the question for starting points, before any result."""
    next_params = render_params(belief.next_params) if belief else ""
    return [*opening_messages(subject), Message("user", render_text("start.md", count=count, next_params=next_params))]


def proposing_messages(subject: StudyBrief, standing: PromptContext, *, count: int, operator: str) -> list[Message]:
    """Return the question for further candidates; `operator` is a key of operators.toml."""
    opening = opening_messages(subject)
    left = MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FOR_THE_REST
    facts = _facts(standing, max_tokens=left)
    asked = render_text("propose.md", **facts, count=count, operator=operators()[operator])
    return [*opening, Message("user", asked)]


def insight_messages(subject: StudyBrief, standing: PromptContext, *, limit: int) -> list[Message]:
    """Return the question for lessons."""
    opening = opening_messages(subject)
    left = MAX_TOKENS - sum(estimate_tokens(message.text) for message in opening) - _FOR_THE_REST
    return [*opening, Message("user", render_text("insights.md", **_facts(standing, max_tokens=left), limit=limit))]


def retry_message(problems: Sequence[str], *, count: int) -> Message:
    """Return the question after candidates none of which can run."""
    return Message("user", render_text("retry.md", problems=problems[:12], count=count))


@cache
def operators() -> Mapping[str, str]:
    """Return the kinds of moves and what is said for each."""
    return tomllib.loads(Path(__file__).with_name("operators.toml").read_text(encoding="utf-8"))


def opening_messages(subject: StudyBrief) -> list[Message]:
    """Return what every question begins with: how answers are used, and what is tuned."""
    study = render_text(
        "study.md",
        name=subject.name,
        description=subject.description,
        aims=", ".join(f"{o.direction.value} {o.metric}" for o in subject.objectives),
        constraints=", ".join(_limit(c) for c in subject.constraints),
        command=subject.command,
        hardware=subject.hardware,
        fidelity=subject.fidelity,
        space=space_table(subject.space),
        script=subject.script,
        script_chars=int(MAX_TOKENS * _SCRIPT_SHARE * CHARS_PER_TOKEN),
        insights=subject.insights,
        earlier=subject.earlier[:_EARLIER],
    )
    return [Message("system", render_text("system.md")), Message("user", study)]


def _facts(standing: PromptContext, *, max_tokens: int) -> dict[str, Any]:
    view, belief = standing.view, standing.belief
    history = summarize_history(view, max_tokens=max_tokens, curves=standing.curves)
    prediction = belief.next_prediction
    return {
        "counts": history.counts,
        "budget": standing.budget or "not limited",
        "best": _told(incumbent(view.trials, view.objectives, view.constraints), view),
        "default": _told(default_trial(view.trials), view),
        "stale": trials_since_improvement(view),
        "next_params": render_params(belief.next_params),
        "prediction": prediction and {"mean": short_number(prediction.mean), "std": short_number(prediction.std)},
        "importance": ", ".join(f"{name} {share:.0%}" for name, share in list(belief.importance.items())[:6]),
        "interactions": belief.interactions,
        "failing": belief.failing,
        "table": history.table,
        "failures": history.failures,
    }


def trials_since_improvement(view: StudyView) -> int:
    """Return how many finished trials there were since the best value was last improved on."""
    finished = [t for t in view.trials if t.state.is_finished and not t.is_replicate]
    found = improvements(view.trials, view.objectives, view.constraints)
    return sum(t.number > found[-1].number for t in finished) if found else len(finished)


def _told(trial: Trial | None, view: StudyView) -> dict[str, str] | None:
    metric = view.objectives[0].metric
    if trial is None or metric not in trial.values:
        return None
    return {
        "number": str(trial.number),
        "value": f"{metric} {short_number(trial.values[metric])}",
        "params": render_params(trial.params),
        "source": trial.proposal.source.value,
    }


def _limit(constraint: Constraint) -> str:
    parts = [f"at least {render_parameter(constraint.min)}" if constraint.min is not None else ""]
    parts.append(f"at most {render_parameter(constraint.max)}" if constraint.max is not None else "")
    return f"{constraint.metric} {' and '.join(part for part in parts if part)}"
