"""A scripted expert: a model that knows half of what matters, is wrong on some, is noisy, and reads the history.

It plays a language model that knows training. It sees only what the prompt says: it reads the table of trials,
works on the best one and keeps a step that helped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from tunesmith.agent.llm.client.types import AnswerFormat, CallRecord, LookupTool, ModelAnswer, TokenUse
from tunesmith.bench.task import Task
from tunesmith.prompts.message import Message
from tunesmith.study.trials.trial import Failure

T = TypeVar("T")

ARRIVED = 0.12
"""Distance from its aims at which an expert has no more to say about them."""


@dataclass(frozen=True)
class Expert:
    """What an expert believes: the direction in which each known parameter should move, in the unit cube.

    Attributes:
        aims: by parameter, the coordinate that the expert thinks is good.
        wrong: the parameters of which it is sure and wrong.
    """

    aims: Mapping[str, float]
    wrong: tuple[str, ...]

    @classmethod
    def drawn(cls, task: Task, seed: int) -> Expert:
        """Return an expert who knows half of the parameters that matter, at random, and is wrong on two."""
        rng = np.random.default_rng([seed, 77])
        good = _good_point(task)
        names = list(task.space.names)
        order = [names[i] for i in rng.permutation(len(names))]
        known = order[: len(names) // 2]
        wrong = order[len(names) // 2 : len(names) // 2 + 2]
        aims = {name: float(np.clip(good[name] + rng.normal(0.0, 0.1), 0.0, 1.0)) for name in known}
        aims |= {name: float(rng.random()) for name in wrong}
        return cls(aims, tuple(wrong))


_GOOD: dict[str, Mapping[str, float]] = {}


def _good_point(task: Task) -> Mapping[str, float]:
    """Return the coordinates of a good configuration, found with many evaluations that no planner has."""
    if task.name not in _GOOD:
        rng = np.random.default_rng(5)
        space, d = task.space, len(task.space)
        centre = np.array(space.to_unit(space.default or space.imputed))
        best, value = centre, np.inf
        for scale in (0.3, 0.2, 0.1, 0.05):
            for _ in range(400):
                moved = np.clip(best + rng.normal(0.0, scale, d) * (rng.random(d) < 3.0 / d), 0.0, 1.0)
                found = task.evaluate(space.from_unit(moved.tolist()), 0)
                if not isinstance(found, Failure) and task.objective.sign * found < value:
                    best, value = moved, task.objective.sign * found
        _GOOD[task.name] = dict(zip(space.names, best.tolist(), strict=True))
    return _GOOD[task.name]


@dataclass
class ScriptedExpert:
    """The expert as a language model.

    Attributes:
        asked: every prompt so far.
    """

    task: Task
    expert: Expert
    seed: int
    asked: list[Sequence[Message]] = field(default_factory=list)

    name = "scripted:expert"

    def ask(
        self,
        messages: Sequence[Message],
        form: AnswerFormat[T],
        *,
        tools: Sequence[LookupTool] = (),  # noqa: ARG002
        max_tool_calls: int = 6,  # noqa: ARG002
    ) -> ModelAnswer[T]:
        self.asked.append(messages)
        rng = np.random.default_rng([self.seed, len(self.asked)])
        answer: dict[str, Any] = {"insights": []} if form.name == "insights" else self._candidates(messages, rng)
        text = json.dumps(answer)
        call = CallRecord(model=self.name, requests=1, usage=TokenUse(input=1000, output=200))
        return ModelAnswer(form.read(json.loads(text)), text, call)

    def _candidates(self, messages: Sequence[Message], rng: np.random.Generator) -> dict[str, Any]:
        text = "\n".join(m.text for m in messages)
        best = re.search(r"best so far: #(\d+) with \S+ (\S+) \((.*?)\)", text)
        reference = best[1] if best else "default"
        value = float(best[2].replace(",", "")) if best else None
        current = _units(self.task, best[3] if best else "")
        has_arrived = all(abs(aim - current[n]) < ARRIVED for n, aim in self.expert.aims.items() if n in current)
        steps = [self._step(current, reference, value, rng) for _ in range(4)]
        return {"candidates": [self._left_open(current, reference, rng), *steps] if has_arrived else steps}

    def _left_open(self, current: Mapping[str, float], reference: str, rng: np.random.Generator) -> dict[str, Any]:
        """Keep what the expert knows and leave three parameters that it knows nothing of to the sampler."""
        unknown = [n for n in current if n not in self.expert.aims]
        names = [unknown[i] for i in rng.permutation(len(unknown))[:3]]
        free = []
        for name in names:
            parameter = self.task.space.parameters[name]
            ends = [parameter.from_unit(float(np.clip(current[name] + d, 0.0, 1.0))) for d in (-0.25, 0.25)]
            numbers = [end for end in ends if isinstance(end, int | float)]
            bounds = {"low": min(numbers), "high": max(numbers)} if len(numbers) == len(ends) else {}
            free.append({"name": name, "low": None, "high": None, **bounds})
        return {
            "kind": "refine",
            "base": "default" if reference == "default" else f"#{reference}",
            "changes": [],
            "free": free,
            "runs": 1,
            "rationale": f"{', '.join(names)}: yours to tune",
            "predicted": None,
            "refuted_by": "",
        }

    def _step(
        self, current: Mapping[str, float], reference: str, value: float | None, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Move one to three parameters towards where the expert believes that they belong, not all the way."""
        away = {n: aim - current[n] for n, aim in self.expert.aims.items() if n in current}
        names = sorted(away, key=lambda n: -abs(away[n]) + rng.normal(0.0, 0.2))[: int(rng.integers(1, 4))]
        units = {
            n: float(np.clip(current[n] + away[n] * rng.uniform(0.4, 1.1) + rng.normal(0, 0.03), 0, 1)) for n in names
        }
        changes = [{"name": n, "value": self.task.space.parameters[n].from_unit(u)} for n, u in units.items()]
        predicted = None if value is None else value * (1.0 - 0.02 * len(names) * float(rng.uniform(0, 1)))
        return {
            "kind": "refine",
            "base": "default" if reference == "default" else f"#{reference}",
            "changes": changes,
            "free": [],
            "runs": 1,
            "rationale": f"{', '.join(names)} towards what works in training of this kind",
            "predicted": predicted,
            "refuted_by": "a worse value",
        }


def _units(task: Task, text: str) -> Mapping[str, float]:
    """Return the unit coordinates of a configuration as the prompt shows it; the default without one."""
    space = task.space
    shown = dict(pair.split("=", 1) for pair in text.split() if "=" in pair)
    params = space.parse({name: shown[name] for name in space.names if name in shown}) if shown else space.default
    params = params or space.imputed
    return dict(zip(space.names, space.to_unit(params), strict=True))
