"""Reads values that a worker wrote into shared memory (worker_values.py has the layout). Trusts nothing that it reads.

A value is a tree of nodes, such as `["array", "<f4", [2, 3], 0]`, whose last entry is the number of its buffer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.evaluator.timing.worker.worker_values import PREFIX, aligned

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]
Node = Any

UNREADABLE = "the result cannot be read: something wrote to the judge's memory"


class Different(Exception):
    """Two values differ; the message says how, for people and for a model that wrote the candidate."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies.

    Attributes:
        memory: (bytes,); memory that nobody writes now.
        at: first byte of the value.
        capacity: bytes that it may take.
    """

    memory: Bytes
    at: int
    capacity: int


@dataclass(frozen=True, slots=True)
class SharedValue:
    """A value in shared memory.

    Attributes:
        place: where it lies.
        tree: its nodes.
        offsets: where each buffer begins, counted from `start`.
        start: first byte behind the header, counted from the place.
    """

    place: Place
    tree: Node
    offsets: Sequence[Any]
    start: int

    def buffer(self, index: int, size: int) -> Bytes:
        """Return the bytes of a buffer.

        Raises:
            Different: it does not lie in the value's place.
        """
        offset = self.offsets[index]
        if type(offset) is not int or offset < 0 or self.start + offset + size > self.place.capacity:
            raise Different(UNREADABLE)
        first = self.place.at + self.start + offset
        return self.place.memory[first : first + size]

    def array(self, node: Node) -> Numbers:
        """Return the numbers of an array or tensor, bfloat16 as float32.

        Raises:
            Different: numpy has no such type.
        """
        count, name = math.prod(node[2]), type_name(node)
        if name == "bfloat16":
            # The upper half of a float32.
            halves = self.buffer(node[-1], 2 * count).view(np.uint16)
            return (halves.astype(np.uint32) << 16).view(np.float32).reshape(node[2])
        try:
            kind = np.dtype(node[1] if node[0] == "array" else name)
        except TypeError:
            raise Different(
                f"results of type {name} cannot be compared; let the function return another type"
            ) from None
        return self.buffer(node[-1], count * kind.itemsize).view(kind).reshape(node[2])

    def numbers(self, node: Node) -> Numbers:
        """Return the numbers of a list or tuple of numbers."""
        kind = np.dtype("float64" if node[2] == "d" else "int64")
        return self.buffer(node[-1], 8 * node[3]).view(kind)

    def text(self, node: Node) -> bytes:
        """Return the bytes of a node."""
        return self.buffer(node[-1], node[1]).tobytes()

    def scalar(self, node: Node) -> Numbers | None:
        """Return a single number, of Python or of numpy, as an array of one; None for anything else."""
        if node[0] == "int":
            number = int(node[1])
            return np.array([number], dtype=np.int64 if -(2**63) <= number < 2**63 else object)
        if node[0] == "float":
            return np.array([float.fromhex(node[1])])
        if node[0] == "complex":
            return np.array([complex(float.fromhex(node[1]), float.fromhex(node[2]))])
        if node[0] == "array" and node[2] == [] and np.dtype(node[1]).kind in "iufc":
            return self.array(node).reshape(1)
        return None


def read_value(place: Place) -> SharedValue:
    """Return the value at a place.

    Raises:
        Different: there is none.
    """
    (length,) = PREFIX.unpack(place.memory[place.at : place.at + PREFIX.size].tobytes())
    if length > place.capacity - PREFIX.size:
        raise Different(UNREADABLE)
    begin = place.at + PREFIX.size
    tree, offsets = json.loads(place.memory[begin : begin + length].tobytes())
    return SharedValue(place, tree, offsets, aligned(PREFIX.size + length))


def type_name(node: Node) -> str:
    """Return the name of the type of an array or tensor: "float32"."""
    return str(node[1]).removeprefix("torch.") if node[0] == "tensor" else str(np.dtype(node[1]).name)


def describe(node: Node) -> str:
    """Return what a node is, in words."""
    kind = node[0]
    if kind in ("array", "tensor"):
        shape = " x ".join(map(str, node[2])) or "no dimension"
        return f"{'an' if kind == 'array' else 'a'} {kind} of {type_name(node)}, {shape}"
    if kind == "plain":
        return "a text" if isinstance(node[1], str) else str(node[1])
    if kind in ("items", "numbers"):
        return f"a {node[1]} of {node[3] if kind == 'numbers' else len(node[2])} items"
    return {"int": "a whole number", "float": "a number", "bytes": "bytes", "dict": "a table"}.get(
        kind, f"{kind!r:.20}"
    )
