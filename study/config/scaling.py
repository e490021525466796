"""A study at a larger scale ([confirm].scale): the values of its parameters, its fidelity and its variables there.

A value of the table replaces what a configuration has, and a factor such as "x2" multiplies it, so that a tuned width
is doubled and not replaced. Values may lie outside of the ranges of [space]: that is what a larger scale means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal, render_short
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.parameters import Bool, Choice, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Proposal

TIMEOUT_FACTOR = 10.0
"""Timeouts of a trial that a run at a larger scale may take, unless [confirm].scale_timeout says otherwise."""
LARGEST_FACTOR = 1e9
"""Largest factor, far from where products would no longer be numbers."""
_FACTOR = re.compile(r"x\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*x")


def scale_factor(value: object) -> float | None:
    """Return the factor that a text such as "x2" or "0.5x" means; None for any other value."""
    found = _FACTOR.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1] or found[2]) if found else None


def scale_text(scale: Mapping[str, Value]) -> str:
    """Return what is larger, for people: "width x2, CHARLM_SECONDS x4, depth 12"."""
    return ", ".join(f"{name} {render_short(value)}" for name, value in scale.items())


def scaled_proposal(proposal: Proposal, spec: StudySpec, seed: int) -> Proposal:
    """Return a configuration at the larger scale, on a seed; a parameter that is inactive stays so."""
    scale = spec.confirm.scale if spec.confirm is not None else {}
    params = {name: _scaled(value, scale[name]) if name in scale else value for name, value in proposal.params.items()}
    fidelity, name = proposal.fidelity, spec.fidelity.name if spec.fidelity is not None else ""
    if spec.fidelity is not None and name in scale:
        fidelity = float(str(_scaled(spec.fidelity.max if fidelity is None else fidelity, scale[name])))
    return replace(proposal, params=params, fidelity=fidelity, seed=seed, parent=None)


def scaled_spec(spec: StudySpec) -> StudySpec:
    """Return the study with the variables and the timeout of the larger scale."""
    confirm, run = spec.confirm, spec.run
    if confirm is None:
        return spec
    scale = confirm.scale
    larger = {name: str(_scaled(_number(text), scale[name])) for name, text in run.env.items() if name in scale}
    timeout_s = confirm.scale_timeout or (TIMEOUT_FACTOR * run.timeout if run.timeout is not None else None)
    return spec.model_copy(update={"run": run.model_copy(update={"env": {**run.env, **larger}, "timeout": timeout_s})})


def scale_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    """Yield the mistakes in [confirm].scale; `space` is None where it cannot be read.

    A run at scale comes last, so that a value which its script cannot take would cost the whole study.
    """
    confirm = spec.confirm
    if confirm is None or not confirm.scale:
        return
    if spec.instances is not None:
        yield Mistake("confirm.scale", "cannot be combined with [instances]; remove one of the two")
    if spec.judge is not None or (spec.evaluate is not None and spec.evaluate.is_time):
        yield Mistake("confirm.scale", "needs a metric that the script or the command of [evaluate] prints; remove it")
    if space is None:
        return
    known = [*space.names, *([spec.fidelity.name] if spec.fidelity else []), *spec.run.env]
    for name, value in confirm.scale.items():
        if name not in known:
            message = f"is neither a parameter, the fidelity nor a variable of [run].env{did_you_mean(name, known)}"
            yield Mistake(f"confirm.scale.{name}", message)
        elif isinstance(space.parameters.get(name), Share):
            yield Mistake(f"confirm.scale.{name}", "is a share of a mixture, which sums to 1 at every scale; remove it")
        elif problem := _problem(name, value, spec, space):
            yield Mistake(f"confirm.scale.{name}", f"{render_literal(value)} is not valid here; expected {problem}")


def _problem(name: str, value: Value, spec: StudySpec, space: SearchSpace) -> str:
    """Return what is expected in place of a value; "" if it is valid."""
    factor = scale_factor(value)
    if factor is not None and not 0 < factor <= LARGEST_FACTOR:
        return "a factor above 0 and up to 1e9"
    if name in space.names:
        return _parameter_problem(name, value, space)
    if spec.fidelity is not None and name == spec.fidelity.name:
        return (
            ""
            if factor or (_is_number(value) and float(str(value)) > 0)
            else 'a number above 0 or a factor such as "x2"'
        )
    text = spec.run.env[name]
    if factor and (placeholders(text) or not _is_finite(_number(text))):
        return "a value, since the variable is not a plain number that a factor could multiply"
    return ""


def _parameter_problem(name: str, value: Value, space: SearchSpace) -> str:
    parameter = space.parameters[name]
    if isinstance(parameter, Bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(parameter, Choice) and not all(map(_is_number, parameter.choices)):
        return "" if value in parameter.choices else f"one of {', '.join(map(render_literal, parameter.choices))}"
    if isinstance(parameter, Int) and isinstance(value, float) and not value.is_integer():
        return 'a whole number or a factor such as "x2"'
    return "" if scale_factor(value) or _is_number(value) else 'a number or a factor such as "x2"'


def _scaled(value: Value, by: Value) -> Value:
    factor = scale_factor(by)
    if factor is None:
        return by
    larger = float(str(value)) * factor
    return round(larger) if isinstance(value, int) else larger


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return _is_number(value) and math.isfinite(float(str(value)))


def _number(text: str) -> Value:
    """Return the number that a text is, whole where it is written so; the text itself if it is none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
