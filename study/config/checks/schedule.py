"""Mistakes in [schedule] that only show with the space and the other tables of a study file."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.rules.expression import ExpressionError, parse
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
        names = parse(table.leaves).names
    except ExpressionError as error:
        yield Mistake("schedule.leaves", str(error))
        return
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
