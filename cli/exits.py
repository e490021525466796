"""Exit statuses, and the one place where an error becomes a message. Knows no command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tunesmith.study.errors import InputError, SpecError

DONE = 0
NOTHING_COMPLETE = 1
WRONG_INPUT = 2
INTERRUPTED = 130


@contextmanager
def errors_for_people(consequence: str = "") -> Iterator[None]:
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
