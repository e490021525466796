"""Finds damage in SQLite's write-ahead log. SQLite passes over everything behind it without a word.

Reads the file only. The format is in https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MAX_CHECKED_BYTES = 32 * 2**20
"""Size up to which a log is checked; SQLite keeps it under 4 MiB unless a reader holds it open."""
_HEADER, _FRAME_HEADER = 32, 24
_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
"""What the file begins with, and in which byte order its checksums are computed."""


class _Frame(NamedTuple):
    """A page in the log: whether it ends a transaction, and whether SQLite reads it."""

    is_commit: bool
    is_valid: bool


def lost_transactions(history: Path) -> int:
    """Return how many transactions in the write-ahead log of a history lie behind damage, and are lost.

    The end of a transaction that was being written does not count as damage: it was never committed.
    """
    log = wal_path(history)
    try:
        frames = list(_frames(log.read_bytes())) if log.stat().st_size <= MAX_CHECKED_BYTES else []
    except (OSError, struct.error):
        return 0
    first = next((index for index, frame in enumerate(frames) if not frame.is_valid), len(frames))
    return sum(frame.is_commit for frame in frames[first:])


def wal_path(history: Path) -> Path:
    """Return the path of a history's write-ahead log."""
    return history.with_name(f"{history.name}-wal")


def keep_damaged(history: Path) -> Path:
    """Copy a damaged log, since SQLite overwrites it; return the copy's path."""
    copy = history.with_name(f"{history.name}-wal.damaged")
    with suppress(OSError):
        shutil.copyfile(wal_path(history), copy)
    return copy


def damage_text(history: Path, lost: int) -> str:
    """Return what was lost, for people."""
    changes = "the last change" if lost == 1 else f"the last {lost:,} changes"
    return (
        f"the end of {history.name} was damaged while nothing ran, and {changes} to the study could not be read; what "
        f"was damaged is kept as {keep_damaged(history).name}. Trials whose results were among them run again"
    )


def _frames(log: bytes) -> Iterator[_Frame]:
    """Yield the frames of the log's present generation."""
    if len(log) < _HEADER + _FRAME_HEADER:
        return
    magic, _, page_bytes = struct.unpack_from(">III", log)
    order = _MAGICS.get(magic, "<")
    sums = _checksum(log[:24], order, (0, 0))
    is_valid = magic in _MAGICS and sums == struct.unpack_from(">II", log, 24)
    if not is_valid:
        page_bytes = _page_bytes(log)
    salts = log[16:24] if is_valid else log[_HEADER + 8 : _HEADER + 16]
    starts = range(_HEADER, len(log) - _FRAME_HEADER - page_bytes + 1, _FRAME_HEADER + page_bytes)
    # Behind the present generation lie frames of earlier ones, which have other salts.
    own = [index for index, start in enumerate(starts) if log[start + 8 : start + 16] == salts]
    for start in starts[: own[-1] + 1 if own else 0]:
        header, page = (
            log[start : start + _FRAME_HEADER],
            log[start + _FRAME_HEADER : start + _FRAME_HEADER + page_bytes],
        )
        if is_valid:
            sums = _checksum(page, order, _checksum(header[:8], order, sums))
            is_valid = header[8:16] == salts and sums == struct.unpack_from(">II", header, 16)
        yield _Frame(struct.unpack_from(">I", header, 4)[0] > 0, is_valid)


def _page_bytes(log: bytes) -> int:
    """Return the size of a page from where the salts of the first frame come again; for a header that is damaged."""
    salts = log[_HEADER + 8 : _HEADER + 16]
    again = log.find(salts, _HEADER + 16)
    return again - _HEADER - 8 - _FRAME_HEADER if again > 0 else max(len(log) - _HEADER - _FRAME_HEADER, 1)


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
