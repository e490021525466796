"""Finds the seeds of a script in its syntax tree: what makes a random generator, or takes a seed by any name."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.variants.gaming.normal_form import called_name
from tunesmith.tools.variants.gaming.seed_arithmetic import SEED_NAME, Origin, SeedOrigins

_SEEDING_CALL = re.compile(
    r"(^|\.)(manual_seed(_all)?|seed|reseed|set_(random_|global_)?seed|seed_(everything|all)|fix_seed|from_seed|reset_from_seed"
    r"|use_deterministic_algorithms|enable_op_determinism|set_rng_state|setstate|set_state"
    r"|RandomState|SeedSequence|PRNGKey|PCG64(DXSM)?|MT19937|Philox|SFC64|default_rng|Rngs|SystemRandom)$"
    r"|(^|\.)random\.(Random|key)$|^Random$|^(jr|jrandom|jrng)\.key$"
)
_UNSEEDED_CALL = re.compile(r"(^|\.)(default_rng|RandomState|Random|Rngs|SeedSequence)$")
"""Constructors that take their seed from the system when they get none."""
_GENERATOR_CALL = re.compile(
    r"(^|\.)(default_rng|RandomState|Random|Rngs|SeedSequence|PRNGKey|key|PCG64(DXSM)?|MT19937|Philox|SFC64|from_seed)$"
)
"""Constructors of a generator of the script, next to the global ones."""
_GLOBAL_METHOD = re.compile(r"^(torch|np|numpy|random|tf|tensorflow|keras|jax|paddle|mx|cupy|cp)(\.|$)")
_SETS_ALL = re.compile(r"(^|\.)(set_(random_|global_)?seed|seed_(everything|all)|fix_seed|manual_seed_all)$")
NO_SEED = Origin(has_seed=False, is_same=False, is_distinct=False, varies=False, is_constant=True)
_OPTION_CALL = ("add_argument", "option", "Option")


@dataclass(frozen=True, slots=True)
class Seed:
    """A place that takes a seed. `place` and `value` are texts to compare."""

    place: str
    value: str
    origin: Origin
    is_plain: bool
    """Whether the value is a name as it is."""

    @property
    def key(self) -> tuple[str, str]:
        """What is compared between the script before and after."""
        return self.place, self.value


def seed_is_changed(before: ast.Module, after: ast.Module) -> bool:
    """Return whether a seed was removed, or has a value that the script did not use before.

    What is derived from a seed of the script is another seed for each seed of the study. It may replace that seed where
    a variable takes part as well, such as the number of a model in an ensemble, and seed a further generator in any
    case. A seed that is only shifted by a number is a lucky one.
    """
    old = {seed.key: seed for seed in _seeds(before, SeedOrigins(before))}
    own = {value for _, value in old if value.startswith("Constant")}
    new = {seed.key: seed for seed in _seeds(after, SeedOrigins(after))}
    based = {seed.key: seed for seed in _seeds(after, SeedOrigins(after, own))}
    added = [key for key in new if key not in old]
    values = {value for _, value in old}
    names = {n.id for n in ast.walk(before) if isinstance(n, ast.Name)}
    for key in [key for key in old if key not in new]:
        origins = (new if old[key].origin.has_seed else based).items()
        if not any(k in added and k[0] == key[0] and _is_spread(seed.origin) for k, seed in origins):
            return True
    return any(
        not (
            _may_be_added(new[key], names) or key[1] in values or (_is_maker(key[0]) and _is_spread(based[key].origin))
        )
        for key in added
    )


def _is_spread(origin: Origin) -> bool:
    """Return whether a value is another one for each seed of the study, and for each of several models or epochs."""
    return origin.has_seed and origin.is_distinct and origin.varies


def _may_be_added(seed: Seed, names: Collection[str]) -> bool:
    """Return whether an edit may add a seed: one that is as good as the study's.

    Args:
        seed: the seed.
        names: the names of variables that the script had before.
    """
    origin = seed.origin
    if origin.is_constant:
        return False
    if not origin.has_seed:
        # A name of unknown value: a generator, or an argument.
        return seed.is_plain and not _is_global(seed.place)
    is_further = _is_maker(seed.place) or _names_new(seed.place, names)
    return origin.is_distinct and (origin.is_same or origin.varies or is_further)


def _is_maker(place: str) -> bool:
    """Return whether a place makes a generator, or a model with one: neither the global ones nor a name of a seed."""
    return place.startswith(("call ", "keyword ")) and not _is_global(place)


def _is_global(place: str) -> bool:
    """Return whether a place seeds generators that all of the script uses."""
    if not place.startswith("call "):
        return False
    name = place.removeprefix("call ")
    return not _GENERATOR_CALL.search(name) and bool(_GLOBAL_METHOD.search(name) or _SETS_ALL.search(name))


def _names_new(place: str, names: Collection[str]) -> bool:
    """Return whether a place gives a value to a name that the script did not have; its uses are looked at as well."""
    name = re.fullmatch(r"assignment Name\(id='(\w+)', ctx=Store\(\)\)", place)
    return name is not None and name[1] not in names


def _seeds(tree: ast.Module, origins: SeedOrigins) -> Iterator[Seed]:
    numbers = _numbers(tree)
    for node in ast.walk(tree):
        for place, value in _places(node):
            if isinstance(value, ast.Name) and value.id in numbers:
                value = numbers[value.id]  # noqa: PLW2901  # a name is replaced by its number
            is_option = isinstance(value, ast.Call) and dotted(value.func).endswith(_OPTION_CALL)
            origin = NO_SEED if is_option else origins.of(value)
            yield Seed(place, ast.dump(value), origin, isinstance(value, ast.Name | ast.Attribute))


def _places(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the places of a node that take a seed, with their values."""
    match node:
        case ast.Call():
            yield from _places_of_call(node)
        case ast.Dict():
            pairs = [(k, v) for k, v in zip(node.keys, node.values, strict=True) if _is_seed_text(k)]
            yield from ((f"key {ast.dump(k)}", v) for k, v in pairs if k is not None)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() if node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((f"assignment {ast.dump(t)}", node.value) for t in targets if _is_seed_target(t))
        case ast.For() | ast.comprehension() if _is_seed_target(node.target):
            yield "loop", node.iter
        case ast.arguments():
            named = [*node.posonlyargs, *node.args]
            defaults = list(zip(reversed(named), reversed(node.defaults), strict=False))
            defaults += [(a, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d is not None]
            yield from ((f"default of {a.arg}", d) for a, d in defaults if SEED_NAME.search(a.arg))


def _places_of_call(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = called_name(call)
    for keyword in call.keywords:
        if keyword.arg and (SEED_NAME.search(keyword.arg) or keyword.arg == "generator"):
            yield f"keyword {keyword.arg}", keyword.value
    if name.endswith(_OPTION_CALL) and any(_is_seed_text(argument) for argument in call.args):
        yield "option", call
    if _SEEDING_CALL.search(name):
        if call.args:
            yield from ((f"call {name}", argument) for argument in call.args)
        elif not call.keywords and not _UNSEEDED_CALL.search(name):
            yield f"call {name}", call


def _is_seed_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(SEED_NAME.search(node.value))


def _is_seed_target(target: ast.expr) -> bool:
    names = (
        n.id if isinstance(n, ast.Name) else n.attr if isinstance(n, ast.Attribute) else "" for n in ast.walk(target)
    )
    is_key = isinstance(target, ast.Subscript) and _is_seed_text(target.slice)
    return is_key or any(SEED_NAME.search(name) for name in names)


def _numbers(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the names that are assigned a number."""
    return {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, int | float)
    }
