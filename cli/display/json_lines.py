"""`tunesmith run --json`: one JSON object per event, a line each, for other programs."""

from __future__ import annotations

import json
from typing import IO, Any

from tunesmith.agent.loop.events import Ended, Finished, LoopEvent, Note, Observed, Opened, Started
from tunesmith.cli.display.trial_json import trial_json
from tunesmith.study.formatting import json_number


class JsonLines:
    """Writes news to a stream as it comes; nan and infinity become null."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, news: LoopEvent) -> None:
        """Write one line."""
        self._stream.write(json.dumps(event_json(news)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""


def event_json(news: LoopEvent) -> dict[str, Any]:
    """Return a piece of news as JSON values."""
    match news:
        case Opened(record=record):
            return {
                "event": "opened",
                "study": record.name,
                "slots": news.slots,
                "gpus": list(news.gpus),
                "finished": news.finished,
                "requeued": news.requeued,
                "llm_estimate": news.estimate,
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
            }
        case Note(text=text):
            return {"event": "note", "text": text}
        case Ended(by=by, best=best):
            return {"event": "ended", "by": by, "best": trial_json(best) if best else None}
