"""Reads scalars from an event file of TensorBoard, without TensorFlow.

The file is a row of records (length, checksum, data, checksum); the data is a protobuf message `Event`. Of its fields
only the step and the summary's scalars are read. A record that is cut off, as in a file that is being written, is left
out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _DOUBLE = 1, 2
"""Types of a tensor's elements, as TensorFlow numbers them."""


def scalars(content: bytes) -> Iterator[tuple[str, int, float]]:
    """Yield tag, step and value of each scalar, in the order of the file; stops where it is damaged."""
    position = 0
    while position + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        start, position = position + 12, position + 16 + length
        if position > len(content):
            return
        try:
            yield from _event(content[start : start + length])
        except (ValueError, IndexError, struct.error):
            return


def _event(data: bytes) -> Iterator[tuple[str, int, float]]:
    step = 0
    summaries = []
    for field, value in _fields(data):
        if field == 2 and isinstance(value, int):  # noqa: PLR2004  # Event.step
            step = value
        elif field == 5 and isinstance(value, bytes):  # noqa: PLR2004  # Event.summary
            summaries.append(value)
    for summary in summaries:
        for field, value in _fields(summary):
            if field == 1 and isinstance(value, bytes) and (scalar := _scalar(value)):
                yield scalar[0], step, scalar[1]


def _scalar(data: bytes) -> tuple[str, float] | None:
    """Return tag and value of a Summary.Value; None if it is not a scalar."""
    fields = dict(_fields(data))
    tag, simple, tensor = fields.get(1), fields.get(2), fields.get(8)
    value = simple if isinstance(simple, float) else _tensor(tensor) if isinstance(tensor, bytes) else None
    return None if value is None or not isinstance(tag, bytes) else (tag.decode(errors="replace"), value)


def _tensor(data: bytes) -> float | None:
    fields = dict(_fields(data))
    kind, content = fields.get(1), fields.get(4)
    layout = {_FLOAT: "<f", _DOUBLE: "<d"}.get(kind) if isinstance(kind, int) else None
    if layout is None:
        return None
    packed = content if isinstance(content, bytes) and content else fields.get(5 if kind == _FLOAT else 6)
    if isinstance(packed, float):
        return packed
    if not isinstance(packed, bytes) or len(packed) != struct.calcsize(layout):
        return None
    return float(struct.unpack(layout, packed)[0])


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
        elif kind in (_FIXED64, _FIXED32):
            layout = "<d" if kind == _FIXED64 else "<f"
            yield key >> 3, struct.unpack_from(layout, data, position)[0]
            position += struct.calcsize(layout)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("the message is cut off")
            yield key >> 3, data[position : position + length]
            position += length
        else:
            raise ValueError(f"field of type {kind}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004  # the last byte has no continuation bit
            return value, position
    raise ValueError("a number is too long")
