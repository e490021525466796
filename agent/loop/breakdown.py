"""Turns an unforeseen exception of the loop into a message for people; the traceback goes to a file."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from pathlib import Path

from tunesmith.history.redact import redact
from tunesmith.study.errors import PROGRESS_IS_SAFE, InternalError, ProjectError
from tunesmith.study.formatting import valid_text

DEBUG_VARIABLE = "TUNESMITH_DEBUG"
"""Environment variable with which the traceback is printed instead of the message."""
LOG_NAME = "errors.log"
"""File in the study's folder that collects tracebacks."""


def removed_files(history: Path, folder: Path) -> ProjectError | None:
    """Return an error for people if the study's history or folder was removed during the run; None if both are there.

    SQLite continues to write to a removed file, so that what is lost shows only elsewhere, as any exception.
    """
    gone = [str(path) for path in (history, folder) if not path.exists()]
    if not gone:
        return None
    what = " and ".join(gone)
    return ProjectError(
        f"the run ended because {what} {'was' if len(gone) == 1 else 'were'} removed while it ran. "
        "Running trials were ended; what was removed cannot be brought back. Start again with: tunesmith run"
    )


def internal_error(error: Exception, folder: Path) -> InternalError:
    """Write the traceback of an unforeseen exception to a file, and return an error that says where it is."""
    log = folder / LOG_NAME
    where = f"the traceback is in {log}"
    trace = redact("".join(traceback.format_exception(error)))
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{trace}\n"
    try:
        with log.open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(text)
    except OSError as problem:
        where = f"the traceback could not be written to {log} ({problem.strerror}); {DEBUG_VARIABLE}=1 prints it"
    reason = type(error).__name__
    with suppress(Exception):  # an exception may fail even at describing itself
        reason = f"{reason}: {error}"
    reason = valid_text(reason)
    return InternalError(
        f"the run broke off because of an error in Tunesmith: {reason}\n"
        f"Running trials are queued again and {PROGRESS_IS_SAFE}; the same command resumes the study. "
        f"Please report this; {where}."
    )
