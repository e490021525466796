"""Says before the first trial which parameters reach no trial."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.mixtures.rows import names_of
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
        f"{{{unused[0]}}} to the command, or {_removal(unused, spec)}"
    ]


def _removal(unused: Sequence[str], spec: StudySpec) -> str:
    """Return how the first parameter is taken out of the study: a share is a name in the list of its mixture."""
    for mixture, shares in spec.space.mixtures.items():
        by_share = dict(zip(names_of(mixture, shares), shares.of, strict=True))
        if unused[0] in by_share and not by_share.keys() <= set(unused):
            return f'remove "{by_share[unused[0]]}" from `of` in [space].{mixture}'
        if unused[0] in by_share:
            return f"remove {mixture} from [space]"
    return "remove it from [space]" if unused[0] in spec.space.names else 'write kind = "full" in [schedule]'


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
