"""Compares a candidate's result with the reference's, both as bytes in shared memory. Trusts neither of them.

Each node of the candidate's value must equal the reference's in kind, shape and type; numbers may differ by the
tolerance of their type.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from tunesmith.evaluator.timing.shared_values import (
    UNREADABLE,
    Different,
    Node,
    Numbers,
    Place,
    SharedValue,
    describe,
    read_value,
    type_name,
)

TOLERANCES: Mapping[str, float] = MappingProxyType(
    {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}
)
"""Largest difference by type, relative to |reference| plus the root mean square of the reference's whole array.

A float32 result that was computed in TF32, float16 or bfloat16 differs by 1e-3 and more; one whose sums are in
another order by about 1e-6. A float64 result that was computed in float32 differs by 1e-7.
"""
_PARTS = {"complex64": "float32", "complex128": "float64", "longdouble": "float64", "float128": "float64"}
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far results may differ.

    Attributes:
        by_type: largest relative difference by the name of a type, such as "float32".
        is_text: whether bytes are a program's output, whose numbers are compared as such.
    """

    by_type: Mapping[str, float] = field(default_factory=lambda: TOLERANCES)
    is_text: bool = False

    def of(self, name: str) -> float:
        """Return the tolerance of a type."""
        name = _PARTS.get(name, name)
        return self.by_type.get(name, TOLERANCES.get(name, TOLERANCES["float32"]))


@dataclass(frozen=True, slots=True)
class _Values:
    """The two values of a comparison, and how far they may differ."""

    mine: SharedValue
    theirs: SharedValue
    tolerance: Tolerance


def largest_difference(expected: Place, found: Place, tolerance: Tolerance) -> float:
    """Return the largest relative difference of the numbers of two values, which is within the tolerance.

    Raises:
        Different: they differ in kind, shape or type, or by more than the tolerance.
    """
    try:
        values = _Values(read_value(expected), read_value(found), tolerance)
        return _compare(values.mine.tree, values.theirs.tree, values, "the result")
    except (TypeError, ValueError, LookupError, RecursionError, OverflowError, AttributeError):
        # The candidate can write what it likes to its memory.
        raise Different(UNREADABLE) from None


def _compare(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    number = values.mine.scalar(mine)
    other = values.theirs.scalar(theirs)
    if number is not None and other is not None and number.dtype.kind == other.dtype.kind:
        return _differ(number, other, values.tolerance, where)
    if theirs[0] != mine[0] or mine[0] not in _BY_KIND:
        raise _of_other_kind(mine, theirs, where)
    return _BY_KIND[mine[0]](mine, theirs, values, where)


def _compare_plain(mine: Node, theirs: Node, values: _Values, where: str) -> float:  # noqa: ARG001  # one of several
    if theirs != mine:
        raise Different(f"{where} is {theirs[1]!r:.60}, but the reference returns {mine[1]!r:.60}")
    return 0.0


def _compare_arrays(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    if theirs[1:-1] != mine[1:-1]:
        raise _of_other_kind(mine, theirs, where)
    return _differ(
        values.mine.array(mine), values.theirs.array(theirs), values.tolerance, where, type_name=type_name(mine)
    )


def _compare_numbers(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    if theirs[1:-1] != mine[1:-1]:
        raise _of_other_kind(mine, theirs, where)
    return _differ(values.mine.numbers(mine), values.theirs.numbers(theirs), values.tolerance, where)


def _compare_items(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    if theirs[1] != mine[1] or len(theirs[2]) != len(mine[2]):
        raise _of_other_kind(mine, theirs, where)
    pairs = enumerate(zip(mine[2], theirs[2], strict=True))
    return max((_compare(a, b, values, f"{where}[{index}]") for index, (a, b) in pairs), default=0.0)


def _compare_tables(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    own, other = ({json.dumps(key): item for key, item in node[1]} for node in (mine, theirs))
    if own.keys() != other.keys():
        raise Different(f"{where} has other keys than the reference's")
    return max((_compare(own[key], other[key], values, f"{where}[{json.loads(key)[1]!r}]") for key in own), default=0.0)


def _compare_bytes(mine: Node, theirs: Node, values: _Values, where: str) -> float:
    one, two = values.mine.text(mine), values.theirs.text(theirs)
    if one == two:
        return 0.0
    if not values.tolerance.is_text:
        raise Different(f"{where} differs: {len(two):,} bytes, of the reference {len(one):,}")
    if _words(one) != _words(two):
        raise Different(f"its output differs from the reference's: {two[:60]!r} instead of {one[:60]!r}")
    numbers = [np.array([float(n) for n in _NUMBER.findall(text)]) for text in (one, two)]
    return _differ(numbers[0], numbers[1], values.tolerance, "its output")


_BY_KIND: Mapping[str, Callable[[Node, Node, _Values, str], float]] = {
    "plain": _compare_plain,
    "array": _compare_arrays,
    "tensor": _compare_arrays,
    "numbers": _compare_numbers,
    "items": _compare_items,
    "dict": _compare_tables,
    "bytes": _compare_bytes,
}


def _differ(mine: Numbers, theirs: Numbers, tolerance: Tolerance, where: str, *, type_name: str = "") -> float:
    """Return the largest relative difference of two arrays of one shape.

    Raises:
        Different: it is above the tolerance of their type.
    """
    name = type_name or mine.dtype.name
    if mine.dtype.kind not in "fc":
        wrong = np.count_nonzero(mine != theirs)
        if wrong:
            raise Different(f"{where} differs from the reference's in {wrong:,} of {mine.size:,} values")
        return 0.0
    one, two = mine.reshape(-1), theirs.reshape(-1)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], two[~finite], equal_nan=True) or not np.all(np.isfinite(two[finite])):
        raise Different(f"{where} is nan or infinite where the reference's is not, or the reverse")
    gaps = _relative(one[finite], two[finite])
    worst, limit = float(gaps.max(initial=0.0)), tolerance.of(name)
    if worst > limit:
        beyond = int(np.count_nonzero(gaps > limit))
        raise Different(
            f"{where} differs from the reference's by up to {worst:.2g}, relative; {limit:g} is the tolerance of "
            f"{name} ({beyond:,} of {mine.size:,} values are beyond it)"
        )
    return worst


def _relative(mine: Numbers, theirs: Numbers) -> Numbers:
    """(n,), (n,) -> (n,): differences relative to |mine| plus the root mean square of `mine`; all finite."""
    wide = np.complex128 if mine.dtype.kind == "c" else np.float64
    one, two = mine.astype(wide), theirs.astype(wide)
    scale = math.sqrt(float(np.mean(np.abs(one) ** 2))) if one.size else 0.0
    gaps: Numbers = np.abs(one - two) / np.maximum(np.abs(one) + scale, np.finfo(np.float64).tiny)
    return gaps


def _words(text: bytes) -> list[bytes]:
    return _NUMBER.sub(b"0", text).split()


def _of_other_kind(mine: Node, theirs: Node, where: str) -> Different:
    return Different(f"{where} is {describe(theirs)}, but the reference returns {describe(mine)}")
