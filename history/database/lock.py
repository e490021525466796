"""A lock file next to the history that allows one writer at a time.

The operating system releases the lock when the holding process ends in any way. The text in the file tells a second
writer which process holds the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from tunesmith.study.errors import HistoryError


class WriterLock:
    """Holds `HISTORY.lock` from construction to `release`.

    Raises:
        HistoryError: another process holds it (the message names the process, its host and the time), or the
            folder cannot be written.
    """

    def __init__(self, history: Path, *, now: float) -> None:
        self.path = history.with_name(f"{history.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] | None = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise HistoryError(
                f"no history can be created at {history}: {error.strerror}; name another place with --history"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder()
            self._file.close()
            self._file = None
            raise HistoryError(f"{history} is being written by {holder}; wait for it or end it first") from None
        holder_info = {"pid": os.getpid(), "host": socket.gethostname(), "since": now, "command": _command()}
        # The lock works without the text; the disk may be full.
        with suppress(OSError):
            self._file.truncate(0)
            os.write(self._file.fileno(), json.dumps(holder_info).encode())

    def release(self) -> None:
        """Let the next writer in."""
        if self._file:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _holder(self) -> str:
        try:
            text = json.loads(self.path.read_text(encoding="utf-8"))
            since = datetime.fromtimestamp(text["since"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            return f"process {text['pid']} on {text['host']} since {since} ({text['command']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
