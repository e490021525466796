"""For people who train with Hugging Face: `Trainer(callbacks=[tunesmith.hf.TunesmithCallback()])`. Needs transformers.

It runs in the training process: what it needs of Tunesmith is the standard library alone.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from typing import Any

from tunesmith.evaluator.reporting import report

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise ImportError(f"tunesmith.hf needs {error.name}; install it with `pip install 'tunesmith[hf]'`") from error


class TunesmithCallback(TrainerCallback):  # type: ignore[misc]  # transformers gives it no types here
    """Reports what the Trainer logs to the trial that it runs in: `eval_loss` and the like, with their step.

    The rule that stops a hopeless trial early reads the same numbers; when the trial is then asked to end, training ends
    after the present step, in time for what the Trainer does at its end. Outside of a trial it does nothing.

    Args:
        metrics: which of the logged numbers; left out, all of them.
    """

    def __init__(self, metrics: list[str] | None = None) -> None:
        self._metrics = metrics
        self._is_asked_to_end = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # the Trainer's signature
        """Listen for the trial's end, where this is a trial."""
        if os.environ.get("TUNESMITH_REPORT") and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note_end)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # the Trainer's signature
        """End training where that was asked for."""
        if self._is_asked_to_end:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:  # noqa: ARG002  # the Trainer's signature
        """Report training figures, and the totals at the end."""
        self._report(logs, state)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:  # noqa: ARG002  # the Trainer's signature
        """Report an evaluation that the Trainer does not log."""
        logged = state.log_history[-1] if state.log_history else {}
        if not metrics or not set(metrics) <= set(logged):
            self._report(metrics, state)

    def _note_end(self, number: int, frame: Any) -> None:  # noqa: ARG002  # a handler's signature
        self._is_asked_to_end = True

    def _report(self, found: dict[str, Any] | None, state: Any) -> None:
        chosen = {
            name: float(value)
            for name, value in (found or {}).items()
            if isinstance(value, int | float) and (self._metrics is None or name in self._metrics)
        }
        if chosen and state.is_world_process_zero:
            report(step=state.global_step, **{name: v for name, v in chosen.items() if not math.isinf(v)})
