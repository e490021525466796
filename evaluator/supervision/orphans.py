"""Ends processes that an earlier loop left behind. The supervisor leaves none, so this is a second safeguard."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def end_orphans(folder: Path) -> int:
    """Kill every process that was started for a trial under `folder`, and return their number.

    Call it only while no trial of that study runs: processes are recognized by TUNESMITH_TRIAL_FOLDER in their
    environment.
    """
    prefix = str(folder.absolute()) + os.sep
    orphans = [process for process in psutil.process_iter() if _trial_folder(process).startswith(prefix)]
    for process in orphans:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(orphans, timeout=5)
    return len(orphans)


def _trial_folder(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return ""
    try:
        return str(process.environ().get("TUNESMITH_TRIAL_FOLDER", ""))
    except (psutil.Error, OSError):
        return ""
