"""The callback for Hugging Face: `Trainer(callbacks=[tunesmith.hf.TunesmithCallback()])`. Needs transformers.

It runs in the training process, so it imports only the framework and the standard library.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Mapping
from typing import Any

from tunesmith.evaluator.reporting import numbers_in, report

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise ImportError(f"tunesmith.hf needs {error.name}; install it with `pip install 'tunesmith[hf]'`") from error


class TunesmithCallback(TrainerCallback):  # type: ignore[misc]  # transformers gives it no types here
    """Reports what the Trainer logs, such as `eval_loss`, to the trial that it runs in, with the step.

    Early stopping reads the same numbers. When the trial is asked to stop, training ends after the present step, so
    that the Trainer can finish as usual. A metric may have any name; a value that is not a number is left out.
    Outside of a trial the callback does nothing.

    Args:
        metrics: which of the logged metrics to report; None for all.
    """

    def __init__(self, metrics: Collection[str] | None = None) -> None:
        self._metrics = metrics
        self._stop_requested = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Install the handler of SIGTERM, which asks a trial to stop."""
        if os.environ.get("TUNESMITH_REPORT") and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._request_stop)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End training if the trial was asked to stop."""
        if self._stop_requested:
            control.should_training_stop = True

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the metrics of training and of evaluations that the Trainer logs, and its totals at the end."""
        self._report(logs, state)

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report an evaluation that the Trainer does not log."""
        last_log = state.log_history[-1] if state.log_history else {}
        if not metrics or not set(metrics) <= set(last_log):
            self._report(metrics, state)

    def _request_stop(self, number: int, frame: Any) -> None:
        self._stop_requested = True

    def _report(self, logged: Mapping[str, Any] | None, state: Any) -> None:
        metrics = numbers_in(logged or {}, self._metrics)
        if metrics and state.is_world_process_zero:
            report(metrics, step=state.global_step)
