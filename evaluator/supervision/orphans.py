"""Ends processes that a loop which is gone has left behind. The keeper leaves none; this is the second net."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def end_strays(folder: Path) -> int:
    """Kill every process that was started for a trial under `folder`, and return how many there were.

    Only call it while no trial of that study runs: it tells them by TUNESMITH_TRIAL_FOLDER in their environment.
    """
    prefix = str(folder.absolute()) + os.sep
    strays = [process for process in psutil.process_iter() if _trial_folder(process).startswith(prefix)]
    for process in strays:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(strays, timeout=5)
    return len(strays)


def _trial_folder(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return ""
    try:
        return str(process.environ().get("TUNESMITH_TRIAL_FOLDER", ""))
    except (psutil.Error, OSError):
        return ""
