"""Exit statuses, and the one place where an error becomes a message. Knows no command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from tunesmith.agent.llm.background import BACKGROUND_THREAD
from tunesmith.study.errors import InputError, SpecError

DONE = 0
NOTHING_COMPLETE = 1
WRONG_INPUT = 2
INTERRUPTED = 130


@contextmanager
def readable_errors(consequence: str = "") -> Iterator[None]:
    """Turn an InputError into its message on stderr and exit status 2; `consequence` follows a wrong study file."""
    try:
        yield
    except InputError as error:
        print(error, file=sys.stderr)
        if consequence and isinstance(error, SpecError):
            print(consequence, file=sys.stderr)
        raise typer.Exit(WRONG_INPUT) from None
    except BrokenPipeError:
        # `tunesmith status | head` closes the pipe early; that is no error of ours or theirs.
        sys.stderr.close()
        raise typer.Exit(DONE) from None


def exit_process(end: SystemExit) -> NoReturn:
    """End the process as asked. A question to an LLM that is still under way is cut off rather than torn down.

    Its thread may be deep in a client's native code while the interpreter frees what that works on, which has ended
    in a crash after all was done and said.
    """
    if any(thread.name == BACKGROUND_THREAD for thread in threading.enumerate()) and isinstance(end.code, int | None):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)
    raise end
