"""Follows the file that tunesmith.report() writes. The trial may put anything in its place: only a file is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tunesmith.evaluator.output.thinning import LineBudget

MAX_REPORT_READ_BYTES = 2**20
"""Bytes of the report file that are read at once, and longest line in it."""


class ReportFile:
    """Reads a growing file line by line; an unfinished last line is kept until it is complete.

    Attributes:
        has_more: whether there may be more lines than the last call of `lines` returned.
        skipped_bytes: number of bytes that were passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""
        self._budget = LineBudget()
        self.has_more = False
        self.skipped_bytes = 0

    @property
    def left_out(self) -> int:
        """Number of lines that were not read because there were too many."""
        return self._budget.left_out

    def lines(self) -> list[str]:
        """Return the lines that were added since the last call, of the next megabyte; none if the file is gone."""
        data = self._read()
        self._offset += len(data)
        self.has_more = len(data) == MAX_REPORT_READ_BYTES
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-MAX_REPORT_READ_BYTES:]
        return [lines[index].decode(errors="replace") for index in self._budget.pick(lines) if lines[index].strip()]

    def last_line(self) -> list[str]:
        """Return what follows the last line break, once nothing will be added."""
        rest, self._partial = self._partial, b""
        return [rest.decode(errors="replace")] if rest.strip() else []

    def skip_to_end(self) -> None:
        """Pass over all but the last megabyte of what was written."""
        size = self._path.lstat().st_size if self._path.is_file() else 0
        behind = size - MAX_REPORT_READ_BYTES - self._offset
        if behind > 0:
            # The jump cuts a line, which is then not JSON and skipped.
            self._offset, self._partial = self._offset + behind, b""
            self.skipped_bytes += behind

    def _read(self) -> bytes:
        try:
            # A named pipe in the file's place would block, and a link may lead out of the folder.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            return os.pread(descriptor, MAX_REPORT_READ_BYTES, self._offset)
        except OSError:
            return b""
        finally:
            os.close(descriptor)
