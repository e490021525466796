"""Starts `tunesmith run` and `tunesmith import` as separate processes, for chat and MCP; a run outlives its starter."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.study.errors import ToolRefused
from tunesmith.tools.control.inbox import Inbox

if TYPE_CHECKING:
    from tunesmith.tools.interop.importing.plan import ImportRequest

START_TIMEOUT_S = 20.0
"""Longest wait for the loop to answer; afterwards the run counts as started."""
POLL_INTERVAL_S = 0.05
EVENTS_FILE = "run.jsonl"
"""Name of the file of a run's events in the study's folder."""


class BackgroundRuns:
    """Starts runs of one study.

    Output goes to run.jsonl (one event per line) and run.err in the study's folder. The run has its own process
    session, so that Ctrl-C in a chat stops an answer and not the study.

    Args:
        study: the study file.
        history: the history file.
        folder: the study's own folder.
    """

    def __init__(self, study: Path, history: Path, folder: Path) -> None:
        self._study = study
        self._history = history
        self._folder = folder

    def start(self, *, further: int | None = None) -> str:
        """Start or resume the study; return a sentence about its state.

        Args:
            further: number of further trials; as many as the study's budget allows if left out.

        Raises:
            ToolRefused: the run could not start; the message is that of the command.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        errors = self._folder / "run.err"
        process = self._launch(errors, [] if further is None else ["--trials", f"+{further}"])
        inbox = Inbox(self._folder)
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            status = process.poll()
            if status not in (None, 0, 1):
                message = errors.read_text(encoding="utf-8", errors="replace").strip()
                raise ToolRefused(message or f"the run ended at once, with exit status {status}")
            if status is not None:
                return "the study ran to its end" if status == 0 else "the run ended without a result; status says why"
            if inbox.has_running_loop():
                break
            time.sleep(POLL_INTERVAL_S)
        # Without it, a run that ends during a long chat would stay as a defunct process.
        threading.Thread(target=process.wait, daemon=True).start()
        return f"running in the background (process {process.pid}); it continues when this session ends"

    def take_in(self, request: ImportRequest) -> None:
        """Import results of elsewhere, for the study to learn from.

        Raises:
            ToolRefused: they cannot be imported; the message is that of the command.
        """
        maps = [word for column, name in request.columns.items() for word in ("--map", f"{column}={name}")]
        named = ["--named", request.named] if request.named is not None else []
        words = ["-m", "tunesmith.cli.main", "import", request.source, "--study", str(self._study)]
        done = subprocess.run(
            [sys.executable, *words, "--history", str(self._history), *named, *maps],
            cwd=self._study.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolRefused(done.stderr.strip() or f"the import ended with exit status {done.returncode}")

    def _launch(self, errors: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
        words = ["-m", "tunesmith.cli.main", "run", str(self._study), "--history", str(self._history), "--json"]
        with (self._folder / EVENTS_FILE).open("ab") as out, errors.open("wb") as err:
            return subprocess.Popen(
                [sys.executable, *words, *options],
                cwd=self._study.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
