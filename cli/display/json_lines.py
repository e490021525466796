"""`tunesmith run --json`: one JSON object per event, one per line, for other programs."""

from __future__ import annotations

import json
from typing import IO, Any

from tunesmith.agent.loop.notices.events import Ended, Finished, LoopEvent, Note, Observed, Opened, Started
from tunesmith.cli.display.trial_json import trial_json, winner_json
from tunesmith.study.formatting import json_number


class JsonLines:
    """Writes each event to a stream at once; nan and infinity become null."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def show(self, event: LoopEvent) -> None:
        """Write one line."""
        self._stream.write(json.dumps(event_json(event)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: a stream needs no restoring."""


def event_json(event: LoopEvent) -> dict[str, Any]:
    """Return an event as JSON values."""
    match event:
        case Opened(record=record):
            return {
                "event": "opened",
                "study": record.name,
                "slots": event.slots,
                "gpus": list(event.gpus),
                "finished": event.finished,
                "requeued": event.requeued,
                "llm_estimate": event.estimate,
            }
        case Started(trial=trial):
            return {"event": "started", **trial_json(trial)}
        case Observed(trial=trial, latest=latest, step=step):
            values = {name: json_number(value) for name, value in latest.items()}
            return {"event": "observed", "trial": trial.number, "step": step, "values": values}
        case Finished(trial=trial, best=best, improved=improved):
            return {
                "event": "finished",
                **trial_json(trial),
                "improved": improved,
                "best": best.number if best else None,
                **winner_json(event.winner),
            }
        case Note(text=text):
            return {"event": "note", "text": text}
        case Ended(by=by, best=best, winner=winner):
            paused = {"pause_reason": event.pause_reason} if event.pause_reason else {}
            return {
                "event": "ended",
                "by": by,
                "best": trial_json(best) if best else None,
                **winner_json(winner),
                **paused,
            }
