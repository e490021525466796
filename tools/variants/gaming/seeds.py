"""Finds the seeds of a script in its syntax tree: what makes a random generator, or takes a seed by any name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.tools.script_reader.literals import dotted

SEED_NAME = re.compile(r"seed|random_?state|prng", re.IGNORECASE)
"""Names of seeds: of variables, options, keywords and keys."""
_SEEDING_CALL = re.compile(
    r"(^|\.)(manual_seed(_all)?|seed|reseed|set_(random_|global_)?seed|seed_(everything|all)|fix_seed|from_seed|reset_from_seed"
    r"|use_deterministic_algorithms|enable_op_determinism|set_rng_state|setstate|set_state"
    r"|RandomState|SeedSequence|PRNGKey|PCG64(DXSM)?|MT19937|Philox|SFC64|default_rng|Rngs|SystemRandom)$"
    r"|(^|\.)random\.(Random|key)$|^Random$|^(jr|jrandom|jrng)\.key$"
)
_UNSEEDED_CALL = re.compile(r"(^|\.)(default_rng|RandomState|Random|Rngs|SeedSequence)$")
"""Constructors that take their seed from the system when they get none."""
_OPTION_CALL = ("add_argument", "option", "Option")


@dataclass(frozen=True, slots=True)
class Seed:
    """A place that takes a seed. `place` and `value` are texts to compare."""

    place: str
    value: str
    is_own: bool
    """Whether the value is a seed of the script, such as args.seed, or one of its generators."""


def seed_is_changed(before: ast.Module, after: ast.Module) -> bool:
    """Return whether a seed was removed, or has a value that the script did not use before."""
    old, new = set(_seeds(before)), set(_seeds(after))
    values = {seed.value for seed in old}
    return bool(old - new) or any(not seed.is_own and seed.value not in values for seed in new - old)


def _seeds(tree: ast.Module) -> Iterator[Seed]:
    numbers = _numbers(tree)
    for node in ast.walk(tree):
        for place, value in _places(node):
            if isinstance(value, ast.Name) and value.id in numbers:
                value = numbers[value.id]  # noqa: PLW2901  # a name is replaced by its number
            is_own = _is_own(value) and (not _is_shifted(value) or _makes_generator(place, value))
            yield Seed(place, ast.dump(value), is_own)


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
    name = dotted(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
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


def _is_own(value: ast.expr) -> bool:
    """Return whether a value comes from the script's own seeds or generators. A number never does."""
    if isinstance(value, ast.Call) and dotted(value.func).endswith(_OPTION_CALL):
        return False
    names = [
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(value) if isinstance(n, ast.Name | ast.Attribute)
    ]
    return any(SEED_NAME.search(name) for name in names) or isinstance(value, ast.Name | ast.Attribute)


def _makes_generator(place: str, value: ast.expr) -> bool:
    """Return whether a further generator gets another seed, `default_rng(args.seed + 1)`."""
    is_sum = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)
    return is_sum and bool(_UNSEEDED_CALL.search(place.removeprefix("call ")))


def _is_shifted(value: ast.expr) -> bool:
    """Return whether a value is a seed combined with a number, which picks another seed: `args.seed * 0 + 42`."""
    if not isinstance(value, ast.BinOp):
        return False
    sides = (value.left, value.right)
    return any(isinstance(side, ast.Constant | ast.UnaryOp) or _is_shifted(side) for side in sides)


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
