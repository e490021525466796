"""The studies of a comparison: one for each task, method and repeat. Starts nothing."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_parameter
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice

_DROPPED = ("confirm", "test", "notify")
"""Tables that a comparison does itself, or once at its end."""
_LLM_LIMITS = ("llm_usd", "llm_tokens", "llm_calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared.

    Attributes:
        by: the name of the choice whose values are the methods.
        values: the methods, as written on the command line; empty for all values.
        trials: tuning trials of each study; None for [budget].trials of the task's file.
        repeats: how often each method is tuned anew, at least 1.
        seeds: fresh seeds on which each chosen configuration runs again, 1 to 20.
    """

    by: str
    values: Sequence[str] = ()
    trials: int | None = None
    repeats: int = 5
    seeds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodStudy:
    """The study of one method on one task.

    Attributes:
        task: the name of the task's own study.
        method: the value as text.
        repeat: from 1.
        project: the folder of the task's study.toml.
    """

    task: str
    method: str
    value: Value
    repeat: int
    spec: StudySpec
    project: Path


def method_studies(task: StudySpec, project: Path, plan: Plan) -> list[MethodStudy]:
    """Return the studies of one task, repeat by repeat: what an interruption leaves is balanced over methods.

    All methods of a repeat have the same seed, so their chosen configurations run on the same fresh seeds.

    Raises:
        SpecError: there is no such choice or value, fewer than two methods, or no number of trials.
    """
    methods = _methods(task, plan)
    if task.instances is not None and task.instances.hold_out:
        raise _mistake(task.study.name, "holds instances out, which a comparison cannot; remove [instances].hold_out")
    trials = plan.trials or task.budget.trials
    if trials is None:
        raise _mistake("--trials", f"is needed: [budget] of {task.study.name} has no number of trials")
    return [
        MethodStudy(
            task=task.study.name,
            method=render_parameter(value),
            value=value,
            repeat=repeat,
            spec=parse_spec(_document(task, plan.by, value, f"{index + 1}-{repeat}", repeat, trials)),
            project=project,
        )
        for repeat in range(1, plan.repeats + 1)
        for index, value in enumerate(methods)
    ]


def _methods(task: StudySpec, plan: Plan) -> list[Value]:
    parameters = task.space.parameters
    if plan.by not in parameters:
        raise _mistake("--by", f"names no parameter of {task.study.name}{did_you_mean(plan.by, parameters)}")
    parameter = parameters[plan.by]
    if not isinstance(parameter, Choice | Bool):
        raise _mistake("--by", f"names {plan.by}, which is a number; methods are the values of a choice or a switch")
    if parameter.when is not None:
        raise _mistake("--by", f"names {plan.by}, which exists only when {parameter.when}; compare what always exists")
    known = list(parameter.choices) if isinstance(parameter, Choice) else [False, True]
    texts = [render_parameter(value) for value in known]
    for text in plan.values:
        if text not in texts:
            raise _mistake("--method", f"{text} is no value of {plan.by}{did_you_mean(text, texts)}")
    chosen = [value for value, text in zip(known, texts, strict=True) if not plan.values or text in plan.values]
    if len(chosen) < 2:  # noqa: PLR2004  # a comparison needs two
        raise _mistake("--method", f"leaves {len(chosen)} of {plan.by}; a comparison needs two or more")
    return chosen


def _document(task: StudySpec, by: str, value: Value, suffix: str, repeat: int, trials: int) -> dict[str, Any]:
    """Return the task's file with the method as the default, the same budget for each, and a name of its own."""
    kept = {name: table for name, table in task.document.items() if name not in _DROPPED}
    document: dict[str, Any] = copy.deepcopy(kept)
    document["space"][by] = {**document["space"][by], "default": value}
    document["budget"] = {"trials": trials, **_only(document.get("budget", {}), _LLM_LIMITS)}
    document["stop"] = {key: item for key, item in document.get("stop", {}).items() if key != "no_gain"}
    # Another budget or space is another comparison: trials of the earlier one must not be mixed in.
    digest = hashlib.blake2b(json.dumps(document, sort_keys=True, default=str).encode(), digest_size=3).hexdigest()
    name = re.sub(r"[^\w.-]+", "_", f"{by}-{render_parameter(value)}")
    name = f"{task.study.name[:28]}-{name[:32]}-{suffix}-{digest}"
    document["study"] |= {"name": name, "seed": task.study.seed + repeat - 1}
    return document


def _only(table: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: table[name] for name in names if name in table}


def _mistake(option: str, message: str) -> SpecError:
    return SpecError([Mistake(option, message)], where="the command line")
