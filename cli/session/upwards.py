"""Finds the study that a command means when it is given none: that of this folder, else of the nearest one above."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def study_above(study: Path) -> Path:
    """Return the nearest folder with a study for the default argument; any other argument as it is.

    The search ends at the top of a repository and at the home folder. A folder that belongs to another user is passed
    over: its study.toml would choose which command runs.
    """
    if study != Path() or _has_study(Path()):
        return study
    folder = Path.cwd()
    while not _is_top(folder) and folder != folder.parent:
        folder = folder.parent
        if _has_study(folder) and folder.stat().st_uid == os.getuid():
            print(f"study: {os.path.relpath(folder / 'study.toml')}", file=sys.stderr)
            return folder
    return study


def _has_study(folder: Path) -> bool:
    return (folder / "study.toml").is_file() or (folder / ".tunesmith" / "history.db").is_file()


def _is_top(folder: Path) -> bool:
    return folder == Path.home() or (folder / ".git").exists()
