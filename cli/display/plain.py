"""`tunesmith run` without a terminal, for logs: one line per finished trial, and nothing is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from tunesmith.agent.loop.notices.events import Finished, LoopEvent, Note, Opened
from tunesmith.cli.display.run_header import header_lines
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import one_line


class PlainLines:
    """Writes events to a stream, line by line."""

    def __init__(self, spec: StudySpec, stream: IO[str], *, width: int, leading: Sequence[str] = ()) -> None:
        self._stream = stream
        self._layout = table_layout(spec, width, first=leading)

    def show(self, event: LoopEvent) -> None:
        """Write the header, finished trials and notes; starts and single observations are left out."""
        match event:
            case Opened():
                for line in header_lines(event):
                    self._write(line)
                self._write(table_header(self._layout))
            case Finished(trial=trial, best=best, front=front):
                self._write(trial_row(trial, best, self._layout, front))
            case Note(text=text):
                self._write(f"note: {one_line(text, None)}")

    def close(self) -> None:
        """Do nothing: a stream needs no restoring."""

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
