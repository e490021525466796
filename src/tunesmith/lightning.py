"""For people who train with Lightning: `Trainer(callbacks=[tunesmith.lightning.TunesmithCallback()])`. Needs lightning.

It runs in the training process: what it needs of Tunesmith is the standard library alone.
"""

from __future__ import annotations

from typing import Any

from tunesmith.evaluator.reporting import report

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError as error:
    raise ImportError(f"tunesmith.lightning needs {error.name}; `pip install 'tunesmith[lightning]'`") from error


class TunesmithCallback(Callback):  # type: ignore[misc]  # lightning is optional and may be untyped
    """Reports the metrics of each validation, or of each training epoch where nothing validates, to the trial.

    The rule that stops a hopeless trial early reads the same numbers. Outside of a trial it does nothing.

    Args:
        metrics: which of the logged metrics; left out, all of them.
    """

    def __init__(self, metrics: list[str] | None = None) -> None:
        super().__init__()
        self._metrics = metrics

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Report what the validation gave; the check before training is not one."""
        if not trainer.sanity_checking:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Report what training gave where no validation does."""
        if not trainer.enable_validation:
            self._report(trainer)

    def _report(self, trainer: Any) -> None:
        found = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._metrics is None or name in self._metrics
        }
        if found and trainer.is_global_zero:
            report(step=trainer.current_epoch + 1, **found)
