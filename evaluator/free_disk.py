"""Whether the disk has room for another trial, and which errors say that it has none."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

ROOM_BYTES = 64 * 2**20
"""With less than this free no trial is started: its files would not fit, and the history needs what is left."""


def has_room(folder: Path) -> bool:
    """Tell whether the disk of a folder has room for another trial. Quotas of a person are not seen."""
    return shutil.disk_usage(folder).free >= ROOM_BYTES


def no_room_text(folder: Path) -> str:
    """Return in words what is waited for."""
    return f"the disk is full: it goes on by itself once {ROOM_BYTES // 2**20} MiB are free at {folder}"


def is_full(error: OSError) -> bool:
    """Tell whether an error means that the disk, or a person's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
