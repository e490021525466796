"""How a value lies in shared memory: arrays, tensors, numbers, texts, and lists, tuples and tables of them.

A value is the length of its header, the header (JSON: a tree of nodes, and the place of each buffer), and the buffers.
No object of one process is ever trusted by another. Needs the standard library only; numpy and torch are used where
the values are theirs.
"""

from __future__ import annotations

import array
import json
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any

ALIGNMENT = 64
"""Bytes to which each buffer of a value is aligned."""
PREFIX = struct.Struct("<Q")
"""What a value begins with: the length of its header."""
_NUMBERS: Mapping[type, str] = {float: "d", int: "q"}
_MAX_HEADERS = 1000

_headers: dict[bytes, Any] = {}
_array_headers: dict[tuple[str, tuple[int, ...]], bytes] = {}


_SUPPORTED = "give arrays, tensors, numbers, texts, bytes, or lists, tuples and tables of them"


class Unsupported(TypeError):
    """A value that cannot be handed to another process."""


class TooLarge(ValueError):
    """A value that does not fit into its place."""


def aligned(size: int) -> int:
    """Return the size up to the next place of a buffer."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def encode(value: Any, memory: Any, at: int, capacity: int) -> int:
    """Write a value to `memory[at:at + capacity]`; return its size in bytes. With `memory` None, only return the size.

    Raises:
        Unsupported: it holds something else than arrays, tensors, numbers, texts, bytes, lists, tuples and tables.
        TooLarge: it does not fit.
    """
    if memory is not None and _is_array(value):
        return _encode_array(value, memory, at, capacity)
    buffers: list[tuple[Any, int]] = []
    tree = _node(value, buffers)
    sizes = [size for _, size in buffers]
    # The places are relative to the end of the header, whose length depends on them.
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end)
        end += aligned(size)
    header = json.dumps([tree, offsets]).encode()
    start = aligned(PREFIX.size + len(header))
    if memory is None:
        return start + end
    if start + end > capacity:
        raise TooLarge(f"a value of {start + end:,} bytes, but there is room for {capacity:,}")
    PREFIX.pack_into(memory, at, len(header))
    memory[at + PREFIX.size : at + PREFIX.size + len(header)] = header
    for (buffer, size), offset in zip(buffers, offsets, strict=True):
        if size:
            _copy(buffer, memory, at + start + offset, size)
    return start + end


def _encode_array(value: Any, memory: Any, at: int, capacity: int) -> int:
    """Do the same for one array, by far the most frequent value: its header is made once."""
    import numpy as np

    key = (value.dtype.str, value.shape)
    header = _array_headers.get(key)
    if header is None:
        if len(_array_headers) > _MAX_HEADERS:
            _array_headers.clear()
        header = _array_headers[key] = json.dumps([_array_node(value, []), [0]]).encode()
    start = aligned(PREFIX.size + len(header))
    if start + value.nbytes > capacity:
        raise TooLarge(f"a value of {start + value.nbytes:,} bytes, but there is room for {capacity:,}")
    PREFIX.pack_into(memory, at, len(header))
    memory[at + PREFIX.size : at + PREFIX.size + len(header)] = header
    np.copyto(np.ndarray(value.shape, value.dtype, buffer=memory, offset=at + start), value)
    return start + int(value.nbytes)


def decode(memory: Any, at: int) -> Any:
    """Return the value at a place; its arrays and tensors are views of `memory`."""
    (length,) = PREFIX.unpack_from(memory, at)
    header = bytes(memory[at + PREFIX.size : at + PREFIX.size + length])
    if header not in _headers:
        if len(_headers) > _MAX_HEADERS:
            _headers.clear()
        _headers[header] = json.loads(header)
    tree, offsets = _headers[header]
    start = at + aligned(PREFIX.size + length)
    return _value(tree, memory, [start + offset for offset in offsets])


def _node(value: Any, buffers: list[tuple[Any, int]]) -> list[Any]:  # noqa: C901, PLR0911  # one case for each type
    kind = type(value)
    if value is None or kind in (bool, str):
        return ["plain", value]
    if kind is int:
        return ["int", str(value)]
    if kind is float:
        return ["float", value.hex()]
    if kind is complex:
        return ["complex", value.real.hex(), value.imag.hex()]
    if kind in (bytes, bytearray):
        return ["bytes", len(value), _add(buffers, bytes(value), len(value))]
    if kind in (list, tuple):
        return _sequence_node(value, kind, buffers)
    if kind is dict:
        if not all(type(key) in (str, int) for key in value):
            raise Unsupported("a table whose keys are neither texts nor whole numbers")
        return ["dict", [[_node(key, buffers), _node(item, buffers)] for key, item in value.items()]]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout != torch.strided:
            raise Unsupported(f"a {type(value).__name__} with layout {value.layout}")
        size = value.numel() * value.element_size()
        return ["tensor", str(value.dtype), list(value.shape), value.device.type, _add(buffers, value.detach(), size)]
    if hasattr(value, "__array__"):
        return _array_node(value, buffers)
    if hasattr(value, "__next__") or hasattr(value, "__iter__"):
        return _sequence_node(list(value), list, buffers)
    named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise Unsupported(f"a value of type {named} cannot be compared; {_SUPPORTED}")


def _array_node(value: Any, buffers: list[tuple[Any, int]]) -> list[Any]:
    import numpy as np

    found = np.asarray(value)
    if found.dtype.kind not in "biufcSU":
        raise Unsupported(f"an array of {found.dtype}")
    return ["array", found.dtype.str, list(found.shape), _add(buffers, found, found.nbytes)]


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def _sequence_node(value: Sequence[Any], kind: type, buffers: list[tuple[Any, int]]) -> list[Any]:
    """Return the node of a list or tuple; one that holds only floats or only whole numbers is stored as a buffer."""
    kinds = set(map(type, value))
    if len(kinds) == 1 and (code := _NUMBERS.get(next(iter(kinds)))):
        try:
            packed = array.array(code, value)
        except OverflowError:
            pass
        else:
            return ["numbers", kind.__name__, code, len(value), _add(buffers, packed, 8 * len(value))]
    return ["items", kind.__name__, [_node(item, buffers) for item in value]]


def _add(buffers: list[tuple[Any, int]], buffer: Any, size: int) -> int:
    buffers.append((buffer, size))
    return len(buffers) - 1


def _copy(buffer: Any, memory: Any, at: int, size: int) -> None:
    if isinstance(buffer, bytes | array.array):
        memory[at : at + size] = memoryview(buffer).cast("B")
        return
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(buffer, torch.Tensor):
        place = torch.frombuffer(memory, dtype=buffer.dtype, count=buffer.numel(), offset=at)
        place.view(buffer.shape).copy_(buffer)
        return
    import numpy as np

    np.copyto(np.ndarray(buffer.shape, buffer.dtype, buffer=memory, offset=at), buffer)


def _value(node: Sequence[Any], memory: Any, places: Sequence[int]) -> Any:  # noqa: PLR0911  # one case for each type
    kind = node[0]
    if kind == "plain":
        return node[1]
    if kind == "int":
        return int(node[1])
    if kind == "float":
        return float.fromhex(node[1])
    if kind == "complex":
        return complex(float.fromhex(node[1]), float.fromhex(node[2]))
    if kind == "bytes":
        return bytes(memory[places[node[2]] : places[node[2]] + node[1]])
    if kind == "numbers":
        found = array.array(node[2])
        found.frombytes(memory[places[node[4]] : places[node[4]] + 8 * node[3]])
        return tuple(found) if node[1] == "tuple" else found.tolist()
    if kind == "items":
        items = [_value(item, memory, places) for item in node[2]]
        return tuple(items) if node[1] == "tuple" else items
    if kind == "dict":
        return {_value(key, memory, places): _value(item, memory, places) for key, item in node[1]}
    if kind == "tensor":
        return _tensor(node, memory, places)
    import numpy as np

    return np.ndarray(tuple(node[2]), np.dtype(node[1]), buffer=memory, offset=places[node[3]])


def _tensor(node: Sequence[Any], memory: Any, places: Sequence[int]) -> Any:
    import torch

    _, dtype, shape, device, index = node
    kind = getattr(torch, dtype.removeprefix("torch."))
    count = 1
    for length in shape:
        count *= length
    if not count:
        return torch.empty(shape, dtype=kind, device=device)
    found = torch.frombuffer(memory, dtype=kind, count=count, offset=places[index]).view(shape)
    return found if device == "cpu" else found.to(device)
