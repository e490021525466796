"""Picks the one study that is meant among those of a source."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.study.errors import ProjectError
from tunesmith.study.names import did_you_mean


def the_one(names: Sequence[str], wanted: str | None, *, where: str) -> str:
    """Return the name that was asked for, or the only one there is.

    Raises:
        ProjectError: there is none, not that one, or several and none was asked for.
    """
    if not names:
        raise ProjectError(f"{where} holds no study")
    if wanted is not None:
        if wanted not in names:
            raise ProjectError(f"{where} holds no study {wanted!r}{did_you_mean(wanted, names)}")
        return wanted
    if len(names) > 1:
        listed = f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}"  # noqa: PLR2004  # a line's worth
        raise ProjectError(f"{where} holds several studies ({listed}); say which with --named NAME")
    return names[0]
