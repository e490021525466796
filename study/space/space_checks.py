"""Finds mistakes between the parameters of a search space: names, conditions and circles of conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tunesmith.study.errors import Mistake
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import same
from tunesmith.study.space.dependence import condition_cycle
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Choice, Parameter
from tunesmith.study.space.rules.relations import Relations
from tunesmith.study.space.values import own_value


def space_mistakes(declared: Declared, parameters: Mapping[str, Parameter], relations: Relations) -> Iterable[Mistake]:
    """Yield what is wrong with names and conditions; of a mixture once, and not for each of its shares."""
    if not parameters:
        yield Mistake(
            "",
            'is empty; expected at least one parameter, for example lr = { type = "float", low = 0.0, high = 1.0 }',
        )
    for name, parameter in declared.items():
        if not name.isidentifier():
            yield Mistake(name, f"is not a valid name; use letters, digits and _, for example {_identifier(name)}")
        if isinstance(parameter, Shares) and name in relations.derived:
            yield Mistake(f"derived.{name}", "is also a parameter; rename one of the two")
        if parameter.when is not None:
            yield from _condition_mistakes(name, parameter.when, parameters, relations)
    arms = [name for name, parameter in parameters.items() if isinstance(parameter, Choice) and parameter.arms]
    if len(arms) > 1:
        yield Mistake(f"{arms[1]}.arms", f"is a second algorithm choice beside {arms[0]}; give arms to one of them")
    cycle = condition_cycle(parameters, relations)
    if cycle:
        yield Mistake(f"{cycle[0]}.when", f"is circular: {' -> '.join(cycle)}; remove one of these conditions")


def _condition_mistakes(
    name: str, when: str, parameters: Mapping[str, Parameter], relations: Relations
) -> Iterable[Mistake]:
    for comparison in conditions.comparisons(conditions.parse(when)):
        if comparison.name == name or comparison.name.rpartition(".")[0] == name:
            yield Mistake(f"{name}.when", "depends on the parameter itself; compare another one")
        elif comparison.name in relations.derived:
            continue
        elif comparison.name not in parameters:
            others = [*(other for other in parameters if other != name), *relations.derived]
            yield Mistake(
                f"{name}.when",
                f"{comparison.name} is not a parameter{did_you_mean(comparison.name, others)}",
            )
        elif comparison.op in ("==", "!=", "in", "not in"):
            guard = parameters[comparison.name]
            for constant in comparison.constants:
                # Conditions compare values: the text '16' is not 16 there.
                own = own_value(guard, constant)
                reason = guard.invalid_reason(own if same(own, constant) else constant)
                if reason:
                    yield Mistake(
                        f"{name}.when", f"compares {comparison.name} with a value that it cannot have: {reason}"
                    )


def _identifier(name: str) -> str:
    kept = "".join(c if c.isalnum() or c == "_" else "_" for c in name) or "name"
    return kept if kept.isidentifier() else f"p_{kept}"


def changed_parameters(before: Mapping[str, Parameter], now: Mapping[str, Parameter]) -> list[str]:
    """Return which parameters were added, removed, or have another type, in words; ranges may differ."""
    added = [f"{name} is new" for name in now if name not in before]
    gone = [f"{name} is gone" for name in before if name not in now]
    both = [(name, before[name].kind, now[name].kind) for name in now if name in before]
    return [*added, *gone, *(f"{name} was {old} and is {new}" for name, old, new in both if old != new)]
