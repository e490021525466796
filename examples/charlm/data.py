"""The text: source code of the running Python's own library, as bytes, split by file into training and held-out text.

The split depends only on the files' names. Edits must not change this file ([edits].protect).
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np

VOCABULARY = 256
"""Every byte is a token."""
CONTEXT = 128
"""Number of bytes that the judge shows a model at once."""
ROWS = 32
"""Number of texts that the judge shows a model at once."""

_LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib", "lib2to3", "turtledemo", "pydoc_data",
     "encodings"}
)  # fmt: skip
_HELD_OUT_IN = 10
"""One file in this number is held out."""


def training_text() -> np.ndarray:
    """Return the bytes to train on: (n,) uint8, about 9 million."""
    return _text(path for path in _sources() if not _is_held_out(path))


def held_out_text() -> np.ndarray:
    """Return the bytes of the files that training leaves out: (n,) uint8, about a million. Only the judge uses it."""
    return _text(path for path in _sources() if _is_held_out(path))


def _sources() -> list[Path]:
    root = Path(sysconfig.get_paths()["stdlib"])
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return [root / path for path in sorted(found) if not _LEFT_OUT.intersection(path.parts)]


def _is_held_out(path: Path) -> bool:
    return crc32(path.name.encode()) % _HELD_OUT_IN == 0


def _text(paths: Iterator[Path]) -> np.ndarray:
    return np.frombuffer(b"\n".join(path.read_bytes() for path in paths), dtype=np.uint8)
