"""`tunesmith watch`: opens the screen, or says what is missing for it."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.cli.watch.snapshot import Glancer
from tunesmith.study.errors import ProjectError


def watch_study(study: Path, *, history: Path | None) -> None:
    """Watch until q is pressed.

    Raises:
        ProjectError: the extra is missing, or there is no terminal.
    """
    try:
        from tunesmith.cli.watch.app import WatchApp  # textual: 0.2 s
    except ImportError:
        raise ProjectError("watching needs a package: pip install 'tunesmith[watch]'") from None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("watching needs a terminal; `tunesmith status` tells the same as text")
    glancer = Glancer(study, history)
    try:
        WatchApp(glancer.look).run()
    finally:
        glancer.close()
