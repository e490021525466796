"""The search space: its parameters, and the conditions under which each is active. Knows no study and no sampler."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from tunesmith.study.errors import Mistake, ProposalError, SpaceExhausted, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space import condition as conditions
from tunesmith.study.space.condition import Condition, Params, Value
from tunesmith.study.space.dependence import by_dependence, guards_of
from tunesmith.study.space.mixtures import rows
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.mixtures.shares import Share, Shares
from tunesmith.study.space.parameters import Choice, Parameter, has_default, imputed_value
from tunesmith.study.space.rules.relations import Relations, relation_mistakes
from tunesmith.study.space.rules.repair import nearest_allowed
from tunesmith.study.space.space_checks import space_mistakes
from tunesmith.study.space.values import own_value

RULE = "forbid"
"""Key of the mistake of a configuration that breaks a rule."""


class SearchSpace:
    """Named parameters in the order of the file, some of them conditional, and what holds between them.

    Args:
        parameters: by name.
        derived: formulas of values that follow from the parameters, by name; conditions may compare them.
        forbid: formulas that no configuration may fulfil.
        constants: further names in formulas, with their values: the full fidelity, and what [scale] fixes.

    Raises:
        SpecError: a name is not an identifier, a condition or formula has an unknown name or value or is circular, or
            the default is forbidden.
    """

    def __init__(
        self,
        parameters: Declared,
        *,
        derived: Mapping[str, str] | None = None,
        forbid: Sequence[str] = (),
        constants: Mapping[str, Value] | None = None,
    ) -> None:
        self.declared: Declared = rows.declared(parameters)
        self.parameters: Mapping[str, Parameter] = rows.expanded(parameters)
        self.mixtures = {name: shares for name, shares in self.declared.items() if isinstance(shares, Shares)}
        found, self.relations = relation_mistakes(self.parameters, derived or {}, forbid, constants or {})
        found = [*space_mistakes(self.declared, self.parameters, self.relations), *found]
        if found:
            raise SpecError(found)
        self._order = by_dependence(self.parameters, self.relations)
        found = list(self._default_mistakes())
        if found:
            raise SpecError(found)

    def __len__(self) -> int:
        return len(self.parameters)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SearchSpace)
            and list(self.parameters.items()) == list(other.parameters.items())
            and self.relations == other.relations
        )

    def __hash__(self) -> int:
        return hash(tuple(self.parameters))

    def __repr__(self) -> str:
        parts = [repr(dict(self.declared))]
        if self.relations.derived:
            parts.append(f"derived={ {name: f.text for name, f in self.relations.derived.items()}!r}")
        if self.relations.rules:
            parts.append(f"forbid={[rule.text for rule in self.relations.rules]!r}")
        return f"SearchSpace({', '.join(parts)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(self.parameters)

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """The parsed conditions, by the name of the parameter that each one controls."""
        return {n: conditions.parse(p.when) for n, p in self.parameters.items() if p.when is not None}

    @property
    def arms(self) -> str | None:
        """The name of the choice whose values are algorithms; None where there is none."""
        return next((n for n, p in self.parameters.items() if isinstance(p, Choice) and p.arms), None)

    @cached_property
    def cardinality(self) -> float:
        """The number of configurations without conditions; inf if any parameter is continuous."""
        return math.prod(p.cardinality for p in self.parameters.values())

    @cached_property
    def default(self) -> dict[str, Value] | None:
        """The default configuration, with missing defaults imputed; None if no parameter has a default."""
        if not any(has_default(p) for p in self.parameters.values()):
            return None
        return self.imputed

    @property
    def imputed(self) -> dict[str, Value]:
        """The configuration of defaults, with a value imputed for each parameter without one."""
        given = [name for name, parameter in self.parameters.items() if has_default(parameter)]
        return nearest_allowed(self, self._imputed, keep=given)

    @property
    def _imputed(self) -> dict[str, Value]:
        return self._assemble({n: imputed_value(p) for n, p in self.parameters.items()})

    @property
    def forbid(self) -> tuple[str, ...]:
        """The rules, as they were written."""
        return tuple(rule.text for rule in self.relations.rules)

    @cached_property
    def deciding(self) -> frozenset[str]:
        """The parameters that rules and derived values depend on; with one share all shares of its mixture."""
        return frozenset(self.whole(self.relations.deciding(self.names)))

    @cached_property
    def deciding_with_guards(self) -> frozenset[str]:
        """The same, and the parameters that decide whether these are active."""
        found, waiting = set(self.deciding), list(self.deciding)
        while waiting:
            guards = self.whole(guards_of(self.parameters, waiting.pop(), self.relations))
            waiting += [name for name in guards if name not in found]
            found.update(guards)
        return frozenset(found)

    def whole(self, names: Iterable[str]) -> set[str]:
        """Return the names, and those of all other shares of a mixture of which one is among them."""
        found = set(names)
        for mixture, shares in self.mixtures.items():
            parts = rows.names_of(mixture, shares)
            found.update(parts if mixture in found or not found.isdisjoint(parts) else ())
        return found

    def shares_of(self, mixture: str) -> dict[str, Share]:
        """Return the parameters of a mixture by their names."""
        names = rows.names_of(mixture, self.mixtures[mixture])
        return {name: p for name in names if isinstance(p := self.parameters[name], Share)}

    def extended(self, parameters: Declared) -> SearchSpace:
        """Return the space with further parameters.

        Raises:
            SpecError: a name or condition does not fit.
        """
        return self._with(self.relations, {**self.parameters, **parameters})

    def related(self, derived: Mapping[str, str], forbid: Sequence[str]) -> SearchSpace:
        """Return the space with further derived values and rules.

        Raises:
            SpecError: a formula is not valid, or the rules forbid the default.
        """
        written = {name: formula.text for name, formula in self.relations.derived.items()}
        return SearchSpace(
            self.parameters,
            derived={**written, **derived},
            forbid=[*self.forbid, *(rule for rule in forbid if rule not in self.forbid)],
            constants=self.relations.constants,
        )

    def part(self, names: Collection[str]) -> SearchSpace:
        """Return the space of some parameters, without conditions, derived values and rules about the others.

        A mixture stays whole.
        """
        names = self.whole(names)
        relations = self.relations.about(names)
        known = {*names, *relations.derived}
        kept = rows.declared({name: parameter for name, parameter in self.parameters.items() if name in names})
        for name, parameter in kept.items():
            guards = conditions.comparisons(conditions.parse(parameter.when)) if parameter.when is not None else ()
            if any(guard.name not in known for guard in guards):
                kept[name] = replace(parameter, when=None)
        return self._with(relations, kept)

    def _with(self, relations: Relations, parameters: Declared) -> SearchSpace:
        derived = {name: formula.text for name, formula in relations.derived.items()}
        forbid = [rule.text for rule in relations.rules]
        return SearchSpace(parameters, derived=derived, forbid=forbid, constants=relations.constants)

    def derived_values(self, params: Params, **given: Value) -> dict[str, Value]:
        """Return the derived values of a configuration, without inactive ones.

        Args:
            params: the active parameters.
            given: other values of constants, such as the fidelity of one trial.
        """
        known = self.relations.known_values({**params, **given})
        return {name: known[name] for name in self.relations.derived if name in known}

    def broken_rule(self, params: Params) -> str:
        """Return which rule an otherwise valid configuration breaks, in words; "" if it breaks none."""
        return self.relations.objection(params) if self.relations else ""

    @property
    def dependency_order(self) -> tuple[str, ...]:
        """The names, ordered so that every parameter comes after those in its condition."""
        return self._order

    def active(self, values: Params) -> tuple[str, ...]:
        """Return the names that are active for `values`, in order; `values` may hold inactive ones."""
        kept = self._assemble({n: v for n, v in values.items() if n in self.parameters})
        return tuple(kept)

    def check(self, params: Params) -> list[Mistake]:
        """Return the mistakes of a configuration: unknown, missing, inactive and invalid values; empty if valid."""
        found = [Mistake(n, self._unknown(n, value)) for n, value in params.items() if n not in self.parameters]
        refused = {n: self.parameters[n].invalid_reason(v) for n, v in params.items() if n in self.parameters}
        found += [Mistake(name, reason) for name, reason in refused.items() if reason]
        if found:
            return found
        for name in self.names:
            wanted = self.is_active(name, params)
            if wanted and name not in params:
                found.append(Mistake(name, "is missing"))
            elif not wanted and name in params:
                found.append(Mistake(name, f"is only active when {self.parameters[name].when}; leave it out"))
        found = found or list(rows.row_mistakes(self.mixtures, params))
        if not found and (broken := self.broken_rule(params)):
            found.append(Mistake(RULE, broken))
        return found

    def _unknown(self, name: str, value: object) -> str:
        known = [*(n for n in self.declared if n not in self.mixtures), *self.mixtures]
        return rows.unknown_share(self.mixtures, name, value) or f"is not a parameter{did_you_mean(name, known)}"

    def contains(self, params: Params) -> bool:
        """Return whether the configuration is complete and valid."""
        return not self.check(params)

    def own_values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that parameters have for what was given; see own_value.

        A table of shares becomes its shares, and shares that sum to 1 but for rounding are scaled to 1.
        """
        given = rows.flat(self.mixtures, params)
        own = {name: own_value(self.parameters.get(name), value) for name, value in given.items()}
        return rows.normalized(self.mixtures, own) if self.mixtures else own

    def nested(self, params: Params) -> dict[str, Any]:
        """Return the configuration as Python users see it: a mixture is a table of its shares."""
        return rows.nested(self.mixtures, params) if self.mixtures else dict(params)

    def parse(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """Return the configuration in order, each value as its parameter has it; inactive parameters are removed.

        Raises:
            ProposalError: the configuration is not valid; carries every mistake.
        """
        own = self.own_values(params)
        unknown = {name: value for name, value in own.items() if name not in self.parameters}
        kept = self._assemble(own)
        found = self.check({**kept, **unknown})
        if found:
            raise ProposalError(found)
        return kept

    def clip(self, params: Mapping[str, Any], *, keep: Iterable[str] = ()) -> dict[str, Value]:
        """Return the nearest valid configuration; missing values are imputed.

        Args:
            params: values by name.
            keep: names of parameters that do not change to keep a rule, or the sum of a mixture.

        Raises:
            SpaceExhausted: rules forbid every configuration that was looked at.
        """
        given, kept = rows.flat(self.mixtures, params), tuple(keep)
        if self.mixtures:
            given = rows.mended_params(self.mixtures, given, kept)
        full = {n: p.clip(given[n]) if n in given else imputed_value(p) for n, p in self.parameters.items()}
        return nearest_allowed(self, self._assemble(full), keep=kept)

    def to_unit(self, params: Params) -> tuple[float, ...]:
        """Active parameters -> (len(self),) coordinates in [0, 1]; inactive ones are imputed."""
        return tuple(
            p.to_unit(params[n] if n in params else imputed_value(p))  # type: ignore[arg-type]  # each kind takes its own type
            for n, p in self.parameters.items()
        )

    def from_unit(self, coordinates: Sequence[float]) -> dict[str, Value]:
        """(len(self),) coordinates -> active parameters, the nearest allowed ones; clips coordinates to [0, 1].

        Raises:
            SpaceExhausted: rules forbid every configuration that was looked at.
        """
        params = self.unrepaired(coordinates)
        return nearest_allowed(self, params) if self.relations else params

    def unrepaired(self, coordinates: Sequence[float]) -> dict[str, Value]:
        """(len(self),) coordinates -> active parameters, whether or not a rule forbids them."""
        pairs = zip(self.parameters.items(), coordinates, strict=True)
        full = {name: p.from_unit(u) for (name, p), u in pairs}
        if self.mixtures:
            full |= rows.from_coordinates(self.mixtures, dict(zip(self.names, coordinates, strict=True)))
        return self._assemble(full)

    def with_value(self, params: Params, name: str, value: Value) -> dict[str, Value]:
        """Return an active configuration with another value of one parameter; the other shares of a mixture adapt."""
        changed = {**params, name: value}
        return self.completed(rows.mended_params(self.mixtures, changed, (name,)) if self.mixtures else changed)

    def completed(self, params: Params) -> dict[str, Value]:
        """Return the active parameters after a change, with values imputed for those that became active."""
        return self._assemble({n: params[n] if n in params else imputed_value(p) for n, p in self.parameters.items()})

    def _default_mistakes(self) -> Iterable[Mistake]:
        """Yield why the default cannot run; a missing default may be anything that the given ones allow."""
        if not self.relations or not any(has_default(p) for p in self.parameters.values()):
            return
        try:
            _ = self.imputed
        except SpaceExhausted:
            broken = self.broken_rule(self._imputed)
            yield Mistake(RULE, f"the default configuration breaks a rule: {broken}; change a default or the rule")

    def is_active(self, name: str, values: Params) -> bool:
        """Return whether a parameter is active, given the values of those that its condition depends on."""
        if name not in self.conditions:
            return True
        seen = self.relations.known_values(values) if self.relations.derived else values
        return self.conditions[name].holds(seen)

    def _assemble(self, full: Mapping[str, Value]) -> dict[str, Value]:
        """Keep the active values; in dependency order, since a condition on an inactive parameter is false."""
        kept: dict[str, Value] = {}
        for name in self._order:
            if name in full and self.is_active(name, kept):
                kept[name] = full[name]
        return {name: kept[name] for name in self.names if name in kept}
