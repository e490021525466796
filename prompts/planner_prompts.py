"""Renders the planner's prompts: first the part that stays the same, for prompt caches, then the results so far.

Facts come in as data and sentences come from the templates; this module contains no text for a model.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tunesmith.prompts.best_text import best_facts, trial_facts, trials_since_improvement
from tunesmith.prompts.candidate_fates import CandidateFate, Fate, fate_lines
from tunesmith.prompts.history_summary import CHARS_PER_TOKEN, estimate_tokens, space_table, summarize_history
from tunesmith.prompts.message import Message
from tunesmith.prompts.noise_text import noise_text
from tunesmith.prompts.render import render_text
from tunesmith.prompts.trial_rows import NOTED_S
from tunesmith.study.config.record import Lesson
from tunesmith.study.formatting import SHORT_DIGITS, render_parameter, render_params
from tunesmith.study.sampler_state import SamplerState
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.observed.judged import ABOUT
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.view import Constraint, Objective, StudyView
from tunesmith.study.units import short_number

MAX_TOKENS = 8000
"""Limit for one prompt, by the estimate of `estimate_tokens`; the history is shortened to fit."""

_FIXED_TOKENS = 900
"""Tokens reserved in a question for lessons for everything but the opening messages and the history."""

_MAX_FRAME_FRACTION = 0.32
"""Largest fraction of a prompt that a question takes without the trials; lists are cut to half until it is met."""

_MARGIN_TOKENS = 60
_MAX_LINES = 12

_SCRIPT_SHARE = 0.35
_LEAST_QUESTION_TOKENS = 700
"""Tokens that the shortest question takes, which a script leaves free in a small context."""
_LEAST_SCRIPT_CHARS = 200
_MAX_EARLIER_LESSONS = 12
_MAX_PROBLEMS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The model's part in a study, which decides what a prompt may promise.

    Attributes:
        beside_sampler: whether a sampler proposes or judges as well.
        order: whose order candidates run in: the judge's and the model's by what each has shown, the model's own, or
            that of its predictions.
        is_earned: whether results decide how many trials are the model's.
        narrows: whether a request that narrows the study takes effect once it is earned.
    """

    beside_sampler: bool = True
    order: Literal["judged", "own", "predicted"] = "judged"
    is_earned: bool = True
    narrows: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBrief:
    """The facts that do not change while a study runs.

    Attributes:
        hardware: CPUs, memory and GPUs in words; "" when unknown.
        fidelity: name and value of a full run, such as "epochs = 27"; "" without fidelities.
        script: source of the training script; "" when unknown.
        insights: lessons of this study so far.
        earlier: lessons of earlier studies of the same script.
        part: the model's part in the study.
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
    part: Part = Part()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """The facts that change with every trial.

    Attributes:
        sampler: the sampler's next point, and what it found about parameters.
        budget: the budget left, in words; "" without a limit.
        timing: how long trials take, how many run at once, and which run now; "" when unknown.
        curves: first objective at a few steps, by trial number.
        fates: the model's candidates that are no trials, and why a trial ran before others.
        dropped: number of its candidates that did not run and that it did not give again.
        starts: number of its candidates that may start before it is asked again; None where all of them may.
        track_record: how well the model's predictions came true, in words; "" while nothing is known.
        requests: what became of the model's requests about the study, one line each.
        contrasts: pairs of trials that differ in few parameters, with their values, one sentence each.
        untouched: parameters and choices that were never tried, one sentence each.
    """

    view: StudyView
    sampler: SamplerState
    budget: str = ""
    timing: str = ""
    curves: Mapping[int, Sequence[float]] = field(default_factory=dict)
    fates: Sequence[CandidateFate] = ()
    dropped: int = 0
    starts: int | None = None
    track_record: str = ""
    requests: Sequence[str] = ()
    contrasts: Sequence[str] = ()
    untouched: Sequence[str] = ()


def starting_messages(
    brief: StudyBrief, *, count: int, context: PromptContext | None = None, max_tokens: int = MAX_TOKENS
) -> list[Message]:
    """Return the question for starting points: before any result, or when only the default ran."""
    facts: dict[str, Any] = {
        "default": None,
        "budget": "",
        "failures": "",
        "starts": None,
        "has_default": brief.space.default is not None,
    }
    if context is not None:
        view = context.view
        failures = summarize_history(view, max_tokens=_FIXED_TOKENS).failures
        facts |= {"default": _default_facts(view), "budget": context.budget, "failures": failures}
        facts["starts"] = context.starts
    question = Message("user", render_text("start.md", count=count, **facts))
    return [*opening_messages(brief, max_tokens=max_tokens), question]


def proposing_messages(
    brief: StudyBrief, context: PromptContext, *, count: int, operator: str, max_tokens: int = MAX_TOKENS
) -> list[Message]:
    """Return the question for candidates, given results.

    Args:
        brief: the facts that do not change.
        context: the facts that do.
        count: the number of candidates.
        operator: the instruction for the kind of move.
        max_tokens: limit for the prompt, by the estimate of `estimate_tokens`.
    """
    opening = opening_messages(brief, max_tokens=max_tokens)
    lines, frame = _MAX_LINES, ""
    facts: dict[str, Any] = {}
    room = min(_MAX_FRAME_FRACTION * max_tokens, max_tokens - _length(opening) - _LEAST_QUESTION_TOKENS / 2)
    while not frame or (estimate_tokens(frame) > room and lines >= 1):
        facts = {**_facts(context), **_listed(context, lines), "count": count, "operator": operator}
        facts["beside_sampler"] = brief.part.beside_sampler
        frame, lines = render_text("propose.md", **facts, counts="", table="", failures=""), lines // 2
    left = max_tokens - _length(opening) - estimate_tokens(frame) - _MARGIN_TOKENS
    cited = _cited(brief, facts["contrasts"])
    history = summarize_history(context.view, max_tokens=left, curves=context.curves, cited=cited)
    question = render_text("propose.md", **facts, counts=history.counts, table=history.table, failures=history.failures)
    return [*opening, Message("user", question)]


def insight_messages(
    brief: StudyBrief, context: PromptContext, *, limit: int, max_tokens: int = MAX_TOKENS
) -> list[Message]:
    """Return the question for at most `limit` lessons."""
    opening, view = opening_messages(brief, max_tokens=max_tokens), context.view
    left = max_tokens - _length(opening) - _FIXED_TOKENS
    history = summarize_history(view, max_tokens=left, curves=context.curves, cited=_cited(brief, ()))
    question = render_text(
        "insights.md",
        counts=history.counts,
        best=best_facts(view),
        noise=noise_text(view),
        table=history.table,
        failures=history.failures,
        limit=limit,
    )
    return [*opening, Message("user", question)]


def retry_message(problems: Sequence[str], *, count: int) -> Message:
    """Return the question that follows an answer without a valid candidate."""
    return Message("user", render_text("retry.md", problems=problems[:_MAX_PROBLEMS], count=count))


def second_try_message(problems: Sequence[str], *, count: int) -> Message:
    """Return the question that follows when every candidate would probably fail."""
    return Message("user", render_text("second_try.md", problems=problems[:_MAX_PROBLEMS], count=count))


@cache
def operators() -> Mapping[str, str]:
    """Return the kinds of moves, and the instruction for each."""
    return tomllib.loads(Path(__file__).with_name("operators.toml").read_text(encoding="utf-8"))


def opening_messages(brief: StudyBrief, *, max_tokens: int = MAX_TOKENS) -> list[Message]:
    """Return the messages that begin every conversation: how answers are used, and the study."""
    facts = {
        "name": brief.name,
        "description": brief.description,
        "aims": ", ".join(map(_aim_text, brief.objectives)),
        "constraints": ", ".join(_constraint_text(c) for c in brief.constraints),
        "command": brief.command,
        "hardware": brief.hardware,
        "fidelity": brief.fidelity,
        "space": space_table(brief.space),
        "insights": brief.insights,
        "earlier": brief.earlier[:_MAX_EARLIER_LESSONS],
    }
    system = Message("system", render_text("system.md", part=brief.part))
    bare = Message("user", render_text("study.md", **facts, script="", script_chars=0))
    left = min(max_tokens * _SCRIPT_SHARE, max_tokens - _length([system, bare]) - _LEAST_QUESTION_TOKENS)
    chars = max(int(left * CHARS_PER_TOKEN), _LEAST_SCRIPT_CHARS)
    return [system, Message("user", render_text("study.md", **facts, script=brief.script, script_chars=chars))]


def _length(messages: Sequence[Message]) -> int:
    return sum(estimate_tokens(message.text) for message in messages)


def _facts(context: PromptContext) -> dict[str, Any]:
    """Return the facts of a question whose length does not grow with the study."""
    view, sampler = context.view, context.sampler
    prediction = sampler.next_prediction
    return {
        "budget": context.budget or "not limited",
        "timing": context.timing,
        "best": best_facts(view),
        "default": trial_facts(default_trial(view.trials, view.space), view),
        "stale": trials_since_improvement(view),
        "noise": noise_text(view),
        "track_record": context.track_record,
        "has_waiting": any(one.fate is Fate.WAITING for one in context.fates),
        "starts": context.starts,
        "next_params": render_params(sampler.next_params, digits=SHORT_DIGITS),
        "prediction": prediction and {"mean": short_number(prediction.mean), "std": short_number(prediction.std)},
    }


def _listed(context: PromptContext, count: int) -> dict[str, Sequence[str]]:
    """Return the lists of a question, each with at most `count` lines."""
    return {
        "fates": fate_lines(context.view, context.fates, context.dropped)[-count:],
        "requests": context.requests[-count:],
        "importance": context.sampler.importance,
        "interactions": context.sampler.interactions[:count],
        "failing": context.sampler.failing[:count],
        "contrasts": context.contrasts[:count],
        "untouched": context.untouched[:count],
    }


def _cited(brief: StudyBrief, sentences: Sequence[str]) -> list[int]:
    """Return the numbers of the trials that sentences and lessons name, each once."""
    named = [int(number) for sentence in sentences for number in re.findall(r"#(\d{1,9})", sentence)]
    return list(dict.fromkeys([*named, *(number for lesson in brief.insights for number in lesson.trials)]))


def _default_facts(view: StudyView) -> dict[str, str] | None:
    """Return the default's result and its seconds, for the first question."""
    trial = default_trial(view.trials, view.space)
    facts = trial_facts(trial, view)
    seconds = trial.outcome.usage.wall_s if trial is not None and trial.outcome else 0.0
    return facts and {**facts, "seconds": f"{seconds:.3g}" if seconds >= NOTED_S else ""}


def _aim_text(objective: Objective) -> str:
    about = f" ({ABOUT[objective.metric]})" if objective.metric in ABOUT else ""
    return f"{objective.direction.value} {objective.metric}{about}"


def _constraint_text(constraint: Constraint) -> str:
    parts = [f"at least {render_parameter(constraint.min)}" if constraint.min is not None else ""]
    parts.append(f"at most {render_parameter(constraint.max)}" if constraint.max is not None else "")
    return f"{constraint.metric} {' and '.join(part for part in parts if part)}"
