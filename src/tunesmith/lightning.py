"""The callback for Lightning: `Trainer(callbacks=[tunesmith.lightning.TunesmithCallback()])`. Needs lightning.

It runs in the training process, so it imports only the framework and the standard library.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tunesmith.evaluator.reporting import numbers_in, report

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError as error:
    raise ImportError(
        f"tunesmith.lightning needs {error.name}; install it with `pip install 'tunesmith[lightning]'`"
    ) from error


class TunesmithCallback(Callback):  # type: ignore[misc]  # lightning is optional and may be untyped
    """Reports the metrics of each validation, or of each training epoch if nothing is validated, to the trial.

    Early stopping reads the same numbers. A metric may have any name; a value that is not a number is left out.
    Outside of a trial the callback does nothing.

    Args:
        metrics: which of the logged metrics to report; None for all.
    """

    def __init__(self, metrics: Collection[str] | None = None) -> None:
        super().__init__()
        self._metrics = metrics

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the metrics of a validation; the sanity check before training is not one."""
        if not trainer.sanity_checking:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the metrics of a training epoch if nothing is validated."""
        if not trainer.enable_validation:
            self._report(trainer)

    def _report(self, trainer: Any) -> None:
        metrics = numbers_in(trainer.callback_metrics, self._metrics)
        if metrics and trainer.is_global_zero:
            report(metrics, step=trainer.current_epoch + 1)
