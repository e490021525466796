"""Replaces a file in one step, and says why one cannot be read.

It lives in `study`, the lowest package, because every other one needs it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old content or the new one, never a part.

    Text is written as UTF-8 with line breaks as they are. An existing file keeps its permissions, and a symbolic link
    keeps pointing to the file, which is what changes. A device or pipe, such as /dev/stdout, is written to
    directly. The folder must exist.

    Raises:
        OSError: the file cannot be written; the old one is untouched and nothing is left in the folder.
    """
    target = Path(os.path.realpath(path))
    data = content.encode("utf-8") if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    partial = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            partial.chmod(target.stat().st_mode & 0o7777)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def unreadable_text(error: OSError | UnicodeDecodeError) -> str:
    """Return why a file's text could not be read, to follow its name: "is not UTF-8 (byte 8); save it as UTF-8"."""
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 (byte {error.start + 1}); save it as UTF-8"
    return "is a folder" if isinstance(error, IsADirectoryError) else f"cannot be read: {error.strerror}"
