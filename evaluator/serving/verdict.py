"""How the process of a trial of a server says why the trial failed: its exit status and its last line.

Standard library only. A server may print such a line as well; it then names the kind of its failure.
"""

from __future__ import annotations

import re
import sys

STATUS = 79
"""Exit status of a trial whose last line says why it failed."""
KINDS = ("oom", "timeout", "crash")
_LINE = re.compile(rf"^tunesmith serve \[({'|'.join(KINDS)})\]: (.+)$", re.MULTILINE)


class ServingFailed(Exception):
    """The trial failed.

    Args:
        kind: one of KINDS.
        reason: in one line.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, " ".join(reason.split())


def announce(failure: ServingFailed) -> None:
    """Print why the trial failed as the last line of standard error."""
    sys.stderr.write(f"tunesmith serve [{failure.kind}]: {failure.reason}\n")
    sys.stderr.flush()


def read_verdict(log: str) -> tuple[str, str] | None:
    """Return the kind and the reason that the end of a log names; None if it names none."""
    found = _LINE.findall(log)
    return found[-1] if found else None
