"""Reads the file of texts that a trial kept. Knows no judge."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tunesmith.study.trials.observed.texts import MAX_FILE_BYTES, ExampleText, TextsUnusable, read_texts


def read_texts_file(path: Path) -> dict[str, ExampleText]:
    """Return the texts in a file by the name of their example.

    A link is not followed and a pipe is not read: edited code may have made it.

    Raises:
        TextsUnusable: the file does not exist, is none, is too large, or has a line that is not valid.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise TextsUnusable("it does not exist") from None
    except OSError as error:
        raise TextsUnusable(f"it cannot be opened: {error.strerror}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise TextsUnusable("it is not a file")
    with os.fdopen(handle, "rb") as file:
        if status.st_size > MAX_FILE_BYTES:
            raise TextsUnusable(f"it is larger than {MAX_FILE_BYTES >> 20} MiB; write fewer or shorter texts")
        data = file.read(MAX_FILE_BYTES + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextsUnusable(f"byte {error.start + 1} is not UTF-8") from None
    # Not splitlines, which cuts at characters that JSON allows within a text.
    return read_texts(text.split("\n"))
