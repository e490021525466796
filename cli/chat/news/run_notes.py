"""Notes of a run that chat started, such as "all 3 trials failed": from the lines of JSON that the run writes."""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.cli.session.background_run import EVENTS_FILE
from tunesmith.cli.session.study_session import LoadedStudy
from tunesmith.study.formatting import one_line

OWN = ("chat: ", "chat was refused: ")
"""Beginnings of the notes about commands of a chat, which it has shown already."""
MAX_BYTES = 256 * 1024
"""Most that one look reads; older lines are skipped."""


class RunNotes:
    """Reads the notes that were written since the last look."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._position = 0

    def read(self, loaded: LoadedStudy) -> list[str]:
        """Return the new notes of the study's run; those from before the first look count as known."""
        file = loaded.context.folder / EVENTS_FILE if loaded.context.folder is not None else None
        try:
            size = file.stat().st_size if file is not None else 0
        except OSError:
            size = 0
        if file is None or file != self._file or size < self._position:
            self._file, self._position = file, size if file != self._file else 0
        if file is None or size <= self._position:
            return []
        with file.open("rb") as opened:
            opened.seek(max(self._position, size - MAX_BYTES))
            text = opened.read(MAX_BYTES)
        complete = text.rfind(b"\n") + 1
        self._position = size - (len(text) - complete)
        return [note for line in text[:complete].splitlines() if (note := _note(line))]


def _note(line: bytes) -> str:
    if b'"note"' not in line:
        return ""
    try:
        event = json.loads(line)
    except ValueError:
        return ""
    is_note = isinstance(event, dict) and event.get("event") == "note"
    text = one_line(str(event.get("text", "")), 300) if is_note else ""
    return "" if text.startswith(OWN) else text
