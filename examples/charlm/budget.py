"""How long a model may be trained: the same time for every trial, so a quicker script sees more text.

CPU seconds without a GPU, so that a busy machine makes no trial worse; seconds of the wall clock if there is
one. As a program it starts a script under a hard limit:

    python -m budget train.py --lr 0.001

Edits must not change this file ([edits].protect).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = float(os.environ.get("CHARLM_SECONDS", "60"))
"""Of training; what comes before (imports, the text) and after it (saving the model) is not counted."""
GRACE_S = 30
"""CPU seconds that the whole script may take in addition."""

_HAS_GPU = Path("/dev/nvidiactl").exists()


class Clock:
    """Counts from the moment it is made."""

    def __init__(self) -> None:
        self._now = time.monotonic if _HAS_GPU else time.process_time
        self._start = self._now()

    def share(self) -> float:
        """Return which share of the time is used, from 0; training ends at 1."""
        return (self._now() - self._start) / SECONDS


def main() -> int:
    """Run a script; one that ignores the clock is ended by the kernel (on a GPU by [run].timeout)."""
    limit_s = int(SECONDS + GRACE_S)
    if not _HAS_GPU:
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
    status = subprocess.call([sys.executable, *sys.argv[1:]])
    if status == -signal.SIGXCPU:
        print(f"it took more than {limit_s} CPU seconds; budget.Clock says when training has to end", file=sys.stderr)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
