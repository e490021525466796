"""What the process of one trial of a server needs to know, as JSON on its command line. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePlan:
    """One trial of a server. `{port}` and `{result}` in words and in the environment are still to be filled.

    Attributes:
        server, bench: the words of the two commands.
        ready_path: path or address that answers with a status below 300 once the server is ready; "" for a pattern.
        ready_log: pattern of a line of the server's log instead.
        start_timeout_s: longest time until the server is ready.
        port: the port; 0 for a free one.
        max_errors: share of requests, from 0 to 1; the trial fails if more of them do.
    """

    server: Sequence[str]
    bench: Sequence[str]
    ready_path: str = ""
    ready_log: str = ""
    start_timeout_s: float = 600.0
    port: int = 0
    max_errors: float = 1.0

    def to_json(self) -> str:
        """Return the plan as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServePlan:
        """Return the plan that `to_json` wrote."""
        return cls(**json.loads(text))
