"""What holds between parameters: values derived from them, and configurations that are forbidden.

A name that is inactive has no value. A derived value that depends on one is inactive too, and a rule about one does not
apply. A formula that has no value, for example because it divides by 0, makes the configuration invalid.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_params
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Params, Value
from tunesmith.study.space.parameters import Choice, Parameter
from tunesmith.study.space.rules import expression
from tunesmith.study.space.rules.expression import Expression, ExpressionError
from tunesmith.study.space.rules.kinds import NUMBER, TRUTH, KindError, Kinds, infer, kinds_of

_FORBIDDEN = " is forbidden"
_NOT_COMPUTED = " cannot be computed"


@dataclass(frozen=True, slots=True)
class Relations:
    """Derived values and rules of a search space.

    Attributes:
        derived: formulas by the name of the value that each gives; an entry comes after those that it depends on.
        rules: formulas that must be false for every configuration.
        constants: further names in formulas, with their values: the full fidelity and what [scale] fixes.
    """

    derived: Mapping[str, Expression] = field(default_factory=dict)
    rules: tuple[Expression, ...] = ()
    constants: Mapping[str, Value] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.derived or self.rules)

    def values(self, params: Params) -> dict[str, Value]:
        """Return constants, parameters and derived values by name; without derived values that are inactive.

        Raises:
            ExpressionError: a derived value cannot be computed; names it.
        """
        known: dict[str, Value] = {**self.constants, **params}
        for name in self.derived:
            self._derive(name, known)
        return known

    def known_values(self, params: Params) -> dict[str, Value]:
        """Return the same, without derived values that cannot be computed."""
        known: dict[str, Value] = {**self.constants, **params}
        for name in self.derived:
            try:
                self._derive(name, known)
            except ExpressionError:
                continue
        return known

    def objection(self, params: Params) -> str:
        """Return the first rule that an active configuration breaks, in words; "" if it breaks none."""
        try:
            known = self.values(params)
        except ExpressionError as error:
            return str(error)
        for rule in self.rules:
            if all(name in known for name in rule.names):
                try:
                    broken = rule.value(known)
                except ExpressionError as error:
                    return f"{rule.text}{_NOT_COMPUTED}: {error} with {_shown(rule, known)}"
                if broken:
                    return f"{rule.text}{_FORBIDDEN}, and {_shown(rule, known)}"
        return ""

    def about(self, names: Collection[str]) -> Relations:
        """Return the derived values and rules that need no other parameters than these."""
        derived: dict[str, Expression] = {}
        known = {*names, *self.constants}
        for name, formula in self.derived.items():
            if known.issuperset(formula.names):
                derived[name] = formula
                known.add(name)
        return Relations(derived, tuple(r for r in self.rules if known.issuperset(r.names)), self.constants)

    def deciding(self, parameters: Sequence[str]) -> frozenset[str]:
        """Return the parameters that rules and derived values depend on."""
        found: set[str] = set()
        for formula in (*self.derived.values(), *self.rules):
            found.update(formula.names)
        return frozenset(found.intersection(parameters))

    def _derive(self, name: str, known: dict[str, Value]) -> None:
        formula = self.derived[name]
        if all(needed in known for needed in formula.names):
            try:
                known[name] = formula.value(known)
            except ExpressionError as error:
                raise ExpressionError(
                    f"{name} = {formula.text}{_NOT_COMPUTED}: {error} with {_shown(formula, known)}"
                ) from None


def rule_of(objection: str) -> str:
    """Return the formula that an objection is about, without the values, which differ by configuration."""
    return objection.partition(_FORBIDDEN)[0].partition(_NOT_COMPUTED)[0]


def _shown(formula: Expression, known: Params) -> str:
    return render_params({name: known[name] for name in formula.names}) or "these values"


def relation_mistakes(
    parameters: Mapping[str, Parameter],
    derived: Mapping[str, str],
    forbid: Sequence[str],
    constants: Mapping[str, Value],
) -> tuple[list[Mistake], Relations]:
    """Return what is wrong with the texts, and the relations that they describe, without the wrong ones."""
    found: list[Mistake] = []
    formulas = {name: formula for name, text in derived.items() if (formula := _read(f"derived.{name}", text, found))}
    rules = {i: formula for i, text in enumerate(forbid) if (formula := _read(f"forbid.{i}", text, found))}
    found += _name_mistakes(parameters, derived, constants)
    known_names = [*parameters, *derived, *constants]
    keyed = {**{f"derived.{n}": f for n, f in formulas.items()}, **{f"forbid.{i}": f for i, f in rules.items()}}
    for key, formula in keyed.items():
        found += [
            Mistake(key, f"{name} is not known{did_you_mean(name, known_names)}")
            for name in formula.names
            if name not in known_names
        ]
    if found:
        return found, Relations()
    cycle = _cycle(formulas)
    if cycle:
        return [Mistake(f"derived.{cycle[0]}", f"is circular: {' -> '.join(cycle)}")], Relations()
    ordered = _ordered(formulas)
    found += _kind_mistakes(parameters, ordered, rules, constants)
    for key, formula in keyed.items():
        found += [Mistake(key, reason) for reason in _impossible_choices(formula, parameters)]
    used = {name for formula in keyed.values() for name in formula.names}
    named = {name: value for name, value in constants.items() if name in used}
    return found, Relations(ordered, tuple(rules.values()), named)


def _read(key: str, text: str, found: list[Mistake]) -> Expression | None:
    try:
        return expression.parse(text)
    except ExpressionError as error:
        found.append(Mistake(key, str(error)))
        return None


def _name_mistakes(
    parameters: Mapping[str, Parameter], derived: Mapping[str, str], constants: Mapping[str, Value]
) -> Iterator[Mistake]:
    for name in derived:
        if not name.isidentifier():
            yield Mistake(f"derived.{name}", "is not a valid name; use letters, digits and _")
        elif name in parameters:
            yield Mistake(f"derived.{name}", "is also a parameter; rename one of the two")
        elif name in constants:
            yield Mistake(f"derived.{name}", "is also the name of the fidelity or in [scale]; rename it")


def _kind_mistakes(
    parameters: Mapping[str, Parameter],
    derived: Mapping[str, Expression],
    rules: Mapping[int, Expression],
    constants: Mapping[str, Value],
) -> Iterator[Mistake]:
    known: dict[str, Kinds] = {
        **dict.fromkeys(constants, NUMBER),
        **{name: kinds_of(parameter) for name, parameter in parameters.items()},
    }
    for name, formula in derived.items():
        try:
            known[name] = infer(formula.tree, known)
        except KindError as error:
            known[name] = NUMBER
            yield Mistake(f"derived.{name}", str(error))
    for index, rule in rules.items():
        try:
            kinds = infer(rule.tree, known)
        except KindError as error:
            yield Mistake(f"forbid.{index}", str(error))
            continue
        if kinds != TRUTH:
            yield Mistake(
                f"forbid.{index}",
                f"{rule.text} is {' or '.join(sorted(kinds))}; expected a comparison, for example {rule.text} > 0",
            )


def _impossible_choices(formula: Expression, parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """Yield why a choice is compared with a constant that is none of its values."""
    for node in ast.walk(formula.tree):
        match node:
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                constants: Sequence[ast.expr] = [right]
            case ast.Compare(left=ast.Name(id=name), ops=[ast.In() | ast.NotIn()], comparators=[right]):
                constants = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else []
            case _:
                continue
        parameter = parameters.get(name)
        for constant in constants if isinstance(parameter, Choice) else ():
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and isinstance(parameter, Choice):
                reason = parameter.invalid_reason(constant.value)
                if reason:
                    yield f"compares {name} with a value that it cannot have: {reason}"


def _cycle(formulas: Mapping[str, Expression]) -> list[str]:
    """Return the names in a cycle of derived values, with the first again at the end; empty if there is none."""
    for start in formulas:
        path = _path_back(start, formulas)
        if path:
            return path
    return []


def _path_back(start: str, formulas: Mapping[str, Expression]) -> list[str]:
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop()
        for name in formulas[path[-1]].names:
            if name == start:
                return [*path, start]
            if name in formulas and name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return []


def _ordered(formulas: Mapping[str, Expression]) -> dict[str, Expression]:
    """Return formulas without a cycle so that each comes after those that it depends on."""
    ordered: dict[str, Expression] = {}
    while len(ordered) < len(formulas):
        ready = {
            name: formula
            for name, formula in formulas.items()
            if name not in ordered and all(n in ordered for n in formula.names if n in formulas)
        }
        ordered |= ready
    return ordered
