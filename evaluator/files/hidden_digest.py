"""Says which data and which command a choice by hidden data rests on, so that it mixes no values of others.

Reads files; keeps none of their content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunesmith.evaluator.files.private_files import hidden_scripts
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.hidden import HiddenSource

_WHOLE_BYTES = 2**26
"""Largest file that is read whole; of a larger one the size and both ends are compared."""
_END_BYTES = 2**20


def hidden_source(spec: StudySpec, project: Path) -> HiddenSource:
    """Return hashes of the data and of the command with its scripts that [confirm] has now; empty ones without it."""
    confirm = spec.confirm
    if confirm is None or confirm.command is None:
        return HiddenSource()
    data = {name: project / os.path.expanduser(name) for name in confirm.data}
    return HiddenSource(
        data=_digest(data),
        judge=_digest(hidden_scripts(spec, project), confirm.command),
    )


def _digest(paths: Mapping[str, Path], text: str = "") -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16)
    for name, path in sorted(paths.items()):
        for file in _files(path):
            inner = "" if file == path else str(file.relative_to(path))
            digest.update(f"\0{name}\0{inner}\0".encode("utf-8", "surrogateescape"))
            digest.update(_content(file))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (p for p in sorted(path.rglob("*")) if p.is_file() and p.parent.name != "__pycache__")
    else:
        yield path


def _content(file: Path) -> bytes:
    """Return a hash of a file's content; of one that cannot be read, nothing."""
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= _WHOLE_BYTES:
                return hashlib.file_digest(stream, "blake2b").digest()
            first = stream.read(_END_BYTES)
            stream.seek(size - _END_BYTES)
            return hashlib.blake2b(first + stream.read(_END_BYTES) + str(size).encode()).digest()
    except OSError:
        return b""
