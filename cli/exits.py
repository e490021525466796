"""Exit statuses, and the one place where an error becomes a message. Knows no command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

import typer

from tunesmith.agent.llm.background import BACKGROUND_THREAD
from tunesmith.history.redact import redact
from tunesmith.study.errors import InputError, InternalError, SpecError
from tunesmith.study.formatting import strip_control

DONE = 0
NOTHING_COMPLETE = 1
WRONG_INPUT = 2
INTERRUPTED = 130


@contextmanager
def readable_errors(consequence: str = "") -> Iterator[None]:
    """Print an InputError to stderr and exit with status 2; `consequence` is printed after mistakes in a study file."""
    try:
        yield
    except InputError as error:
        print(_clean(error), file=sys.stderr)
        if consequence and isinstance(error, SpecError):
            print(consequence, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT) from None
    except InternalError as error:
        print(_clean(error), file=sys.stderr)
        raise typer.Exit(error.exit_status) from None
    except BrokenPipeError:
        # `tunesmith status | head` closes the pipe early, which is not an error.
        discard_output(sys.stdout)
        raise typer.Exit(DONE) from None


def discard_output(stream: TextIO) -> None:
    """Lose what a stream whose reader is gone still holds or gets; a flush at the end would fail otherwise."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return  # not a file
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, number)
    os.close(sink)


def _clean(error: Exception) -> str:
    """Return an error's message without secrets and control characters; a provider's answer may be part of it."""
    return redact(strip_control(str(error)))


def exit_process(end: SystemExit) -> NoReturn:
    """Exit with the status of `end`; while a question to an LLM is unanswered, exit without the interpreter's cleanup.

    The thread that asks may be inside native code of an LLM client. The interpreter's cleanup would free what that
    code uses and crash the process after all work was done.
    """
    if any(thread.name == BACKGROUND_THREAD for thread in threading.enumerate()) and isinstance(end.code, int | None):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)
    raise end
