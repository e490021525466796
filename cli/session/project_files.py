"""Writes new files of a project. Knows no display."""

from __future__ import annotations

from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic


def study_target(default: Path, out: Path | None, *, is_forced: bool) -> Path:
    """Return the study file to write: `out`, or else the default one.

    Raises:
        ProjectError: it exists already, and may not be replaced.
    """
    target = out or default
    if target.is_dir():
        target = target / "study.toml"
    if target.exists() and not is_forced:
        raise ProjectError(f"{target} exists; pass --force to replace it, or --out FILE to write another")
    return target


def write_file(target: Path, text: str) -> None:
    """Write a file of the project, whole or not at all.

    Raises:
        ProjectError: it cannot be written.
    """
    try:
        write_atomic(target, text)
    except OSError as error:
        raise ProjectError(f"{target} cannot be written: {error.strerror}") from None
