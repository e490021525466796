"""Tells whether the disk has room for another trial, and which errors mean that it is full."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

MIN_FREE_BYTES = 64 * 2**20
"""Free disk below which no trial is started: its files would not fit, and the history needs what is left."""


def has_free_disk(folder: Path) -> bool:
    """Return whether the disk of a folder has room for another trial. Quotas per user are not seen."""
    return shutil.disk_usage(folder).free >= MIN_FREE_BYTES


def waiting_for_disk_text(folder: Path) -> str:
    """Return the sentence that tells a user what the study waits for."""
    return f"the disk is full: the study resumes once {MIN_FREE_BYTES // 2**20} MiB are free at {folder}"


def is_full(error: OSError) -> bool:
    """Return whether an error means that the disk, or the user's quota on it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
