"""Says before the first trial which parameters reach no trial."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.checks.study_checks import unused_parameters

_READERS = (b"tunesmith", b"TUNESMITH_PARAMS")
"""What a script that reads its parameters by itself mentions."""
_MAX_BYTES = 2**20
"""Larger files are no scripts."""
_MAX_FILES = 2000


def unread_parameters(spec: StudySpec, project: Path) -> list[str]:
    """Return a line on the parameters that reach no trial, so that a study tunes noise; [] if there are none.

    A script may read them by `tunesmith.params()`; then it, or a file next to it, names tunesmith.

    Args:
        spec: the study.
        project: the copy of the project that trials run from.
    """
    unused = unused_parameters(spec)
    if not unused or any(_mentions_reader(path) for path in _scripts(project)):
        return []
    one = len(unused) == 1
    return [
        f"{', '.join(unused)} {'reaches' if one else 'reach'} no trial: {'it is' if one else 'they are'} not in the "
        "command, [run.files] or [run.env], and no file of the project calls tunesmith.params(); add "
        f"{{{unused[0]}}} to the command, or remove it from [space]"
    ]


def _scripts(project: Path) -> Iterator[Path]:
    seen = 0
    for folder, _, names in os.walk(project):
        for name in names:
            seen += 1
            if seen > _MAX_FILES:
                return
            yield Path(folder) / name


def _mentions_reader(path: Path) -> bool:
    if path.suffix == ".toml":
        return False  # study files
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return False
        text = path.read_bytes()
    except OSError:
        return False
    return any(word in text for word in _READERS)
