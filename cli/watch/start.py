"""`tunesmith watch`: opens the screen, or says what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.cli.watch.snapshot import SnapshotReader
from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require


def watch_study(study: Path, *, history: Path | None) -> None:
    """Show a study until q is pressed.

    Raises:
        ProjectError: textual is not installed, or the output is not a terminal.
    """
    require("textual", purpose="tunesmith watch", extra="watch")
    from tunesmith.cli.watch.app import WatchApp  # textual: 0.2 s

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("`tunesmith watch` needs a terminal; `tunesmith status` prints the state as text")
    reader = SnapshotReader(study, history)
    try:
        WatchApp(reader.read).run()
    finally:
        reader.close()
