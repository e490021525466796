"""Mistakes in [schedule] that only show with the space and the other tables of a study file."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.rules.expression import Expression, ExpressionError, parse
from tunesmith.study.space.space import SearchSpace


def schedule_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    """Yield the mistakes of a population and of branches; `space` is None where it cannot be read."""
    table = spec.schedule
    if table is None:
        return
    if table.kind == "pbt" and spec.confirm is not None:
        message = (
            'cannot be combined with schedule kind "pbt", which changes parameters during a trial; remove [confirm]'
        )
        yield Mistake("confirm", message)
    if table.kind in ("pbt", "branches"):
        for name in table.movable:
            if space is not None and name not in space.names and name not in space.mixtures:
                yield Mistake(
                    "schedule.movable", f"{render_literal(name)} is not a parameter{did_you_mean(name, space.names)}"
                )
    if table.kind == "branches":
        yield from _branch_mistakes(spec, space)
    elif table.at:
        yield Mistake("schedule.at", f'has no effect with kind = "{table.kind}"; write kind = "branches" or remove it')


def _branch_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    table = spec.schedule
    assert table is not None  # noqa: S101  # the caller checked it
    if not table.at:
        yield Mistake("schedule.at", "is missing; expected parts of a full run such as at = [0.5, 0.7, 0.8]")
    if not table.movable:
        message = 'is missing; expected the parameters that act after a branch point, such as ["decay", "floor"]'
        yield Mistake("schedule.movable", message)
    if spec.edits is not None:
        yield Mistake("schedule.kind", '"branches" cannot be combined with [edits], whose code has no common trunk')
    try:
        formula = parse(table.leaves)
    except ExpressionError as error:
        yield Mistake("schedule.leaves", str(error))
        return
    names = formula.names
    if space is not None and all(name in space.names for name in names) and (problem := _no_place(formula, space)):
        text = f"{render_literal(table.leaves)} {problem}; expected a part of a full run such as 1 - decay"
        yield Mistake("schedule.leaves", text)
    for name in names:
        if space is not None and name not in space.names:
            yield Mistake(
                "schedule.leaves",
                f"{render_literal(table.leaves)} has {render_literal(name)}, which is not a parameter; expected the "
                f"part of a full run at which a configuration leaves the plateau{did_you_mean(name, space.names)}",
            )
        elif name not in table.movable:
            message = f"depends on {render_literal(name)}, which is not in `movable`; add it there"
            yield Mistake("schedule.leaves", message)


def _no_place(formula: Expression, space: SearchSpace) -> str:
    """Return why a formula cannot be where to leave the plateau at, "" if it may be one; values in the middle tell."""
    values = {**{name: imputed_value(p) for name, p in space.parameters.items()}, **space.imputed}
    try:
        place = formula.value(values)
    except ExpressionError as error:
        return f"has no value: {error}"
    is_number = isinstance(place, int | float) and not isinstance(place, bool)
    return "" if is_number else f"is {render_literal(place)}"
