"""Writes the short Python program that hands a study to an optimizer which has no storage of its own to write into.

The words stand in templates/; here is what all programs share: literals, conditions, and mistakes collected over all
parameters. Knows no optimizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.files import write_atomic
from tunesmith.study.space.condition import Comparison, Condition, Junction, Negation, Value, comparisons
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.interop.export.registry import new_file
from tunesmith.tools.interop.study_export import Handover

MOST_RESULTS = 10_000
"""A program with more results is no longer one to read: the best and the latest half of these are kept."""

LONGEST_GRID = 1_000


class Untranslatable(ValueError):
    """A parameter that the other optimizer cannot hold; the text says why and what to do."""


def write_program(  # noqa: PLR0913  # what a program is made of
    target: str,
    handover: Handover,
    out: str,
    say: Callable[[str, Parameter], str],
    *,
    package: str,
    is_flat: bool = True,
    **more: Any,
) -> list[str]:
    """Write the program; return remarks for people.

    Args:
        target: the template's name.
        handover: what is handed over.
        out: the new file.
        say: a parameter as an expression of the target's, by name; raises Untranslatable.
        package: what pip calls the target.
        is_flat: the target knows no conditions, so that every parameter always has a value there.
        **more: what the template needs beside the usual.

    Raises:
        SpecError: a parameter cannot be translated; with every one that cannot.
    """
    path = new_file(out)
    objective = handover.one_objective(target)
    space = _translated(target, handover, say)
    results, remarks = handover.results(), list(_remarks(handover, is_flat))
    if len(results) > MOST_RESULTS:
        best = sorted(results[: -MOST_RESULTS // 2], key=lambda r: objective.sign * r.value)[: MOST_RESULTS // 2]
        remarks.append(f"{len(results) - MOST_RESULTS} of {len(results)} results are left out: neither best nor latest")
        results = [*best, *results[-MOST_RESULTS // 2 :]]
    conditions = {
        n: spelled(handover.space.conditions[n])
        for n in handover.space.dependency_order
        if n in handover.space.conditions
    }
    text = _environment().get_template(f"{target.replace('-', '_')}.py.j2").render(
        title=f"{handover.name} for {target}: {objective.direction} {objective.metric}.",
        name=handover.name,
        package=package,
        file=path.name,
        remarks=remarks,
        metric=objective.metric,
        sign=int(objective.sign),
        results=results,
        failed=[t.params for t in handover.trials if t.state is TrialState.FAILED],
        points=handover.points,
        imputed=handover.imputed_values,
        flat=is_flat,
        conditions=conditions,
        space=space,
        command=handover.command if _is_plain(handover) else "",
        fixed={n: v for n, v in handover.fixed.items() if n in placeholders(handover.command)},
        folder=handover.folder or ".",
        **more,
    )  # fmt: skip
    tidy = re.sub(r"\n{4,}", "\n\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"
    compile(tidy, path.name, "exec")
    write_atomic(path, tidy)
    if not _is_plain(handover):
        remarks.append("put your training into train(): the study's command cannot stand in a plain program")
    return remarks


def grid(parameter: Float | Int) -> list[Value]:
    """Return the values of a parameter with a step.

    Raises:
        Untranslatable: there are too many to list.
    """
    count = int(parameter.cardinality)
    if count > LONGEST_GRID:
        raise Untranslatable(f"has {count} steps, which would have to be listed; at most {LONGEST_GRID} are")
    return [parameter.clip(parameter.low + i * (parameter.step or 1)) for i in range(count)]


def aligned_top(parameter: Float | Int) -> float:
    """Return the highest value of the grid, for libraries that round to multiples of the step.

    Raises:
        Untranslatable: the grid does not consist of multiples.
    """
    step = parameter.step or 1
    offset = parameter.low / step
    if abs(offset - round(offset)) > 1e-9:
        raise Untranslatable(
            f"steps by {step} from {parameter.low}; only multiples of the step can be told there: "
            f"make low a multiple of {step}, or drop the step"
        )
    return parameter.from_unit(1.0)


def values_of(parameter: Parameter) -> list[Value]:
    """Return the values of a Choice or a Bool."""
    return list(parameter.choices) if isinstance(parameter, Choice) else [False, True]


def spelled(condition: Condition) -> str:
    """Return a condition as a Python expression over `c`, the configuration so far."""
    match condition:
        case Comparison(name=name, op=op, constants=constants):
            right = repr(list(constants)) if op in ("in", "not in") else repr(constants[0])
            return f"{name!r} in c and c[{name!r}] {op} {right}"
        case Junction(op=op, parts=parts):
            return f" {op} ".join(f"({spelled(part)})" for part in parts)
        case Negation(part=part):
            names = dict.fromkeys(c.name for c in comparisons(part))
            return " and ".join([*(f"{name!r} in c" for name in names), f"not ({spelled(part)})"])


def _translated(target: str, handover: Handover, say: Callable[[str, Parameter], str]) -> dict[str, str]:
    space: dict[str, str] = {}
    mistakes = []
    for name, parameter in handover.space.parameters.items():
        try:
            space[name] = say(name, parameter)
        except Untranslatable as error:
            mistakes.append(Mistake(f"space.{name}", str(error)))
    if mistakes:
        raise SpecError(mistakes, where=f"this study, for {target},")
    return space


def _remarks(handover: Handover, is_flat: bool) -> list[str]:
    guarded = list(handover.space.conditions)
    if not is_flat or not guarded:
        return []
    named = ", ".join(guarded)
    return [
        f"The optimizer knows no conditions: it always varies {named}; active() drops what is not",
        "active before a configuration is run.",
    ]


def _is_plain(handover: Handover) -> bool:
    """Tell whether the command is no shell line and has plain placeholders only."""
    switches = re.search(r"\{[A-Za-z_]\w*\?", handover.command)
    return bool(handover.command) and not handover.shell and not switches


def literal(value: Mapping[str, Any] | list[Any]) -> str:
    """Return plain values as Python spells them."""
    return repr(dict(value) if isinstance(value, Mapping) else list(value))


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # What comes out is a program, not a page: values pass through repr, never through HTML's escapes.
    made = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    made.filters["repr"] = repr
    made.filters["literal"] = literal
    return made
