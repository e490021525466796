"""Selects one study of a source that holds several."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean

_SHOWN_NAMES = 8


def select_study(names: Sequence[str], wanted: str | None, *, where: str) -> str:
    """Return the study named with --named, or the only one.

    Raises:
        ProjectError: there is no study, none of that name, or several and none was named.
    """
    if not names:
        raise ProjectError(f"{where} has no study")
    if wanted is not None:
        if wanted not in names:
            raise ProjectError(f"{where} has no study {wanted!r}{did_you_mean(wanted, names)}")
        return wanted
    if len(names) > 1:
        listed = f"{', '.join(names[:_SHOWN_NAMES])}{', …' if len(names) > _SHOWN_NAMES else ''}"
        raise ProjectError(f"{where} has several studies ({listed}); select one with --named NAME")
    return names[0]
