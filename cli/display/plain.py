"""`tunesmith run` where there is no terminal: one line per finished trial, nothing that moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from tunesmith.agent.loop.events import Finished, News, Note, Opened
from tunesmith.cli.display.format import header, layout, printable, row
from tunesmith.cli.display.run_header import welcome
from tunesmith.study.config.spec import StudySpec


class PlainLines:
    """Writes to a stream, line by line."""

    def __init__(self, spec: StudySpec, stream: IO[str], *, width: int, leading: Sequence[str] = ()) -> None:
        self._stream = stream
        self._layout = layout(spec.space, spec.objectives[0], width, first=leading)

    def tell(self, news: News) -> None:
        """Write what a person wants in a log; started trials and single observations are left out."""
        match news:
            case Opened():
                for line in welcome(news):
                    self._write(line)
                self._write(header(self._layout))
            case Finished(trial=trial, best=best):
                self._write(row(trial, best, self._layout))
            case Note(text=text):
                self._write(f"note: {printable(text)}")

    def close(self) -> None:
        """Nothing to put back."""

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
