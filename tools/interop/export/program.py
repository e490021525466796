"""Writes a Python program that continues a study in an optimizer without a storage format.

The text is in templates/. This module has what all programs share: literals, conditions, and the collection of
mistakes over all parameters. Knows no optimizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.files import write_atomic
from tunesmith.study.optional_packages import require
from tunesmith.study.space.condition import Comparison, Condition, Junction, Negation, Value, comparisons
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.interop.export.formulas import (
    arm_remarks,
    mixture_remarks,
    mixture_variables,
    relation_variables,
    scale_remarks,
    without_own_grids,
)
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.study_export import StudyExport

MAX_RESULTS = 10_000
"""Maximum number of results in a program: half of them the best, half of them the latest."""

MAX_GRID_VALUES = 1_000
"""Maximum number of values of a stepped parameter in a target that needs them listed."""


class UnsupportedParameter(ValueError):
    """The target does not support a parameter; the text says why and what to do."""


def write_program(  # noqa: PLR0913  # what a program is made of
    target: str,
    exported: StudyExport,
    out: str,
    render_parameter: Callable[[str, Parameter], str],
    *,
    package: str,
    is_flat: bool = True,
    **more: Any,
) -> list[str]:
    """Write the program; return remarks for the user.

    Args:
        target: the template's name.
        exported: the study.
        out: the new file.
        render_parameter: returns the target's expression for a named parameter; raises UnsupportedParameter.
        package: the target's name for pip.
        is_flat: the target has no conditional parameters, so every parameter always has a value there.
        **more: further variables of the template.

    Raises:
        SpecError: the target does not support a parameter; the error names every such parameter.
    """
    require("jinja2", purpose=f"an export to {target}", extra="export")
    path = new_file(out)
    objective = exported.one_objective(target)
    lost = [*scale_remarks(exported.space), *arm_remarks(exported.space), *mixture_remarks(exported.space)]
    exported = replace(exported, space=without_own_grids(exported.space))
    space = _rendered_space(target, exported, render_parameter)
    results, remarks = exported.results(), [*_remarks(exported, is_flat), *lost]
    if len(results) > MAX_RESULTS:
        best = sorted(results[: -MAX_RESULTS // 2], key=lambda r: objective.sign * r.value)[: MAX_RESULTS // 2]
        remarks.append(f"{len(results) - MAX_RESULTS} of {len(results)} results are left out: neither best nor latest")
        results = [*best, *results[-MAX_RESULTS // 2 :]]
    conditions = {
        n: render_condition(exported.space.conditions[n])
        for n in exported.space.dependency_order
        if n in exported.space.conditions
    }
    text = _environment().get_template(f"{target.replace('-', '_')}.py.j2").render(
        title=f"{exported.name} for {target}: {objective.direction} {objective.metric}.",
        name=exported.name,
        package=package,
        file=path.name,
        remarks=remarks,
        metric=objective.metric,
        sign=int(objective.sign),
        results=results,
        failed=[t.params for t in exported.trials if t.state is TrialState.FAILED],
        points=exported.points,
        imputed=exported.imputed_values,
        flat=is_flat,
        conditions=conditions,
        space=space,
        **relation_variables(exported.space),
        **mixture_variables(exported.space),
        command=exported.command if _is_plain(exported) else "",
        fixed={n: v for n, v in exported.fixed.items() if n in placeholders(exported.command)},
        folder=exported.folder or ".",
        instances=exported.instances,
        aggregate=exported.aggregate,
        **more,
    )  # fmt: skip
    tidy = re.sub(r"\n{4,}", "\n\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"
    compile(tidy, path.name, "exec")
    write_atomic(path, tidy)
    if not _is_plain(exported):
        remarks.append(
            "write your training into train(): the program cannot run a command with shell syntax or optional words"
        )
    return remarks


def grid(parameter: Float | Int) -> list[Value]:
    """Return all values of a parameter with a step.

    Raises:
        UnsupportedParameter: it has too many values.
    """
    count = int(parameter.cardinality)
    if count > MAX_GRID_VALUES:
        raise UnsupportedParameter(f"has {count} values, but a list holds at most {MAX_GRID_VALUES}; raise its step")
    return [parameter.clip(parameter.low + i * (parameter.step or 1)) for i in range(count)]


def highest_multiple(parameter: Float | Int) -> float:
    """Return the highest value of the grid, for libraries that only have multiples of the step.

    Raises:
        UnsupportedParameter: its grid does not consist of multiples.
    """
    step = parameter.step or 1
    offset = parameter.low / step
    if abs(offset - round(offset)) > 1e-9:
        raise UnsupportedParameter(
            f"steps by {step} from {parameter.low}; this target only has multiples of the step: "
            f"make low a multiple of {step}, or remove the step"
        )
    return parameter.from_unit(1.0)


def values_of(parameter: Parameter) -> list[Value]:
    """Return the values of a Choice or a Bool."""
    return list(parameter.choices) if isinstance(parameter, Choice) else [False, True]


def render_condition(condition: Condition) -> str:
    """Return a condition as a Python expression over `c`, the configuration without what depends on it."""
    match condition:
        case Comparison(name=name, op=op, constants=constants):
            right = repr(list(constants)) if op in ("in", "not in") else repr(constants[0])
            return f"{name!r} in c and c[{name!r}] {op} {right}"
        case Junction(op=op, parts=parts):
            return f" {op} ".join(f"({render_condition(part)})" for part in parts)
        case Negation(part=part):
            names = dict.fromkeys(c.name for c in comparisons(part))
            return " and ".join([*(f"{name!r} in c" for name in names), f"not ({render_condition(part)})"])


def _rendered_space(
    target: str, exported: StudyExport, render_parameter: Callable[[str, Parameter], str]
) -> dict[str, str]:
    space: dict[str, str] = {}
    mistakes = []
    for name, parameter in exported.space.parameters.items():
        try:
            space[name] = render_parameter(name, parameter)
        except UnsupportedParameter as error:
            mistakes.append(Mistake(f"space.{name}", str(error)))
    if mistakes:
        raise SpecError(mistakes, where=f"this study, for {target},")
    return space


def _remarks(exported: StudyExport, is_flat: bool) -> list[str]:
    guarded = list(exported.space.conditions)
    if not is_flat or not guarded:
        return []
    named = ", ".join(guarded)
    return [
        f"The optimizer has no conditional parameters: it always varies {named}; active() removes the inactive",
        "ones before a configuration runs.",
    ]


def _is_plain(exported: StudyExport) -> bool:
    """Return whether the command runs without a shell and has plain placeholders only."""
    switches = re.search(r"\{[^\W\d]\w*\?", exported.command)
    return bool(exported.command) and not exported.shell and not switches


def literal(value: Mapping[str, Any] | list[Any]) -> str:
    """Return plain values as a Python literal."""
    return repr(dict(value) if isinstance(value, Mapping) else list(value))


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # The output is a program, not HTML: values pass through repr, and HTML escapes would break them.
    made = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    made.filters["repr"] = repr
    made.filters["literal"] = literal
    return made
