"""Tells whether the disk has room for another trial, in bytes and in files, and which errors mean that it is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

MIN_FREE_BYTES = 64 * 2**20
"""Free disk below which no trial is started: its files would not fit, and the history needs what is left."""
MIN_FREE_INODES = 200
"""Number of files that must still fit for a trial to start: a copy of the project, its logs, and what it keeps."""

FREE_AGAIN = "the disk has free space again"
"""What a run says when it resumes after a full disk."""


def has_free_disk(folder: Path) -> bool:
    """Return whether the disk of a folder has room for another trial. Quotas per user are not seen."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= MIN_FREE_BYTES and _has_free_inodes(disk)


def waiting_for_disk_text(folder: Path) -> str:
    """Return the sentence that tells a user what the study waits for."""
    if not _has_free_inodes(os.statvfs(folder)):
        return (
            f"the disk is full: it has no inodes left, so no more files can be made; the study resumes once "
            f"{MIN_FREE_INODES} are free at {folder} (df -i shows them; remove folders with many files)"
        )
    return f"the disk is full: the study resumes once {MIN_FREE_BYTES // 2**20} MiB are free at {folder}"


def is_full(error: OSError) -> bool:
    """Return whether an error means that the disk, or the user's quota on it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _has_free_inodes(disk: os.statvfs_result) -> bool:
    # File systems that make inodes as they need them say that they have none at all.
    return not disk.f_files or disk.f_favail >= MIN_FREE_INODES
