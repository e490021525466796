"""Which parameters decide whether others are active, also through derived values, and an order that respects it."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.study.space import condition as conditions
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.rules.relations import Relations


def guards_of(parameters: Mapping[str, Parameter], name: str, relations: Relations) -> list[str]:
    """Return the parameters that decide whether one is active, also through derived values."""
    when = parameters[name].when
    if when is None:
        return []
    waiting = [c.name for c in conditions.comparisons(conditions.parse(when)) if c.name != name]
    found: dict[str, None] = {}
    while waiting:
        guard = waiting.pop(0)
        if guard in relations.derived:
            waiting += relations.derived[guard].names
        elif guard in parameters:
            found[guard] = None
    return list(found)


def condition_cycle(parameters: Mapping[str, Parameter], relations: Relations) -> list[str]:
    """Return the names in a cycle of conditions, with the first again at the end; empty if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for guard in guards_of(parameters, name, relations):
            found = visit(guard, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in parameters if (found := visit(name, []))), [])


def by_dependence(parameters: Mapping[str, Parameter], relations: Relations) -> tuple[str, ...]:
    """Return the names, ordered so that every parameter comes after those that decide whether it is active."""
    guards = {name: guards_of(parameters, name, relations) for name in parameters}
    order = [name for name in parameters if not guards[name]]
    waiting = [name for name in parameters if guards[name]]
    while waiting:
        ready = [name for name in waiting if all(guard in order for guard in guards[name])]
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return tuple(order)
