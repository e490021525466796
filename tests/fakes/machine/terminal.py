"""A real terminal for tests: tmux, with keys sent to it and its screen read back."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.projects import environment

TMUX = shutil.which("tmux")


@dataclass(frozen=True)
class Terminal:
    """One tmux session, on its own server."""

    socket: str

    def tmux(self, *words: str, text: str | None = None) -> str:
        words = (TMUX or "tmux", "-L", self.socket, *words)
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=20, check=False)
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Press keys, such as Enter, C-c, or type a text."""
        self.tmux("send-keys", "-t", "t", *keys)

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        self.tmux("send-keys", "-t", "t", "-l", text)
        self.keys("Enter")

    def paste(self, text: str) -> None:
        """Paste a text as a terminal does."""
        self.tmux("load-buffer", "-b", "b", "-", text=text)
        self.tmux("paste-buffer", "-p", "-b", "b", "-t", "t")

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-t", "t", "-x", str(columns), "-y", str(rows))

    def screen(self, *, escapes: bool = False) -> str:
        """Return what is shown, with what scrolled away above it."""
        return self.tmux("capture-pane", "-p", "-t", "t", "-S", "-", *(["-e"] if escapes else []))

    def wait_for(self, *words: str, timeout_s: float = 40.0) -> str:
        """Wait until all of these are shown; return the screen."""
        return self.wait_until(lambda screen: all(word in screen for word in words), str(words), timeout_s=timeout_s)

    def wait_until(self, holds: Callable[[str], bool], what: str = "it", *, timeout_s: float = 40.0) -> str:
        """Wait until the screen fulfils a condition; return the screen."""
        until = time.monotonic() + timeout_s
        while not holds(shown := self.screen()):
            assert time.monotonic() < until, f"{what} did not appear:\n{shown}"
            time.sleep(0.02)
        return shown

    def wait_for_prompt(self) -> None:
        """Wait until an empty input line is shown; keys that are pressed before it do not reach the chat."""
        until = time.monotonic() + 40
        while "›" not in self._last_lines():
            assert time.monotonic() < until, f"no prompt appeared:\n{self.screen()}"
            time.sleep(0.02)
        time.sleep(0.1)

    def _last_lines(self) -> list[str]:
        """Return the last two lines that show anything: the input line, and the status line that may be below it."""
        return [line.strip() for line in self.screen().split("\n") if line.strip()][-2:]


@contextmanager
def terminal(
    *arguments: str, cwd: Path, columns: int = 100, rows: int = 40, env: Sequence[tuple[str, str]] = ()
) -> Iterator[Terminal]:
    """Run tunesmith in a terminal."""
    made = Terminal(f"tunesmith-{uuid.uuid4().hex[:8]}")
    kept = {"PYTHONPATH": environment()["PYTHONPATH"], "OPENAI_API_KEY": "none", "LANG": "C.UTF-8", **dict(env)}
    words = ["env", *(f"{k}={v}" for k, v in kept.items()), sys.executable, "-m", "tunesmith.cli.main", *arguments]
    command = f"{shlex.join(words)}; echo left with $?; sleep 60"
    size = ("-x", str(columns), "-y", str(rows))
    made.tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", *size, "-c", str(cwd), command)
    try:
        yield made
    finally:
        made.tmux("kill-server")
