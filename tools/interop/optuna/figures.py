"""A study as a data frame and as plotly figures, for what has a study: `tunesmith.Tuner`. Knows no sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from tunesmith.history.read import History
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.optional_packages import require
from tunesmith.tools.interop.rows import row


class StudyFigures(ABC):
    """The trials of a study as a table and as figures, by the names that Optuna gives them."""

    @property
    @abstractmethod
    def _shown(self) -> tuple[History, StudyRecord]:
        """The history, and the study in it."""

    def trials_dataframe(self) -> Any:
        """Return every trial so far as a pandas DataFrame: number, state, parameters, `value.METRIC`, source, seconds.

        Raises:
            ProjectError: pandas is not installed.
        """
        require("pandas", purpose="trials_dataframe")
        import pandas as pd  # 0.5 s

        history, record = self._shown
        return pd.DataFrame([row(trial) for trial in history.trials(record.id)])

    def plot_history(self, metric: str | None = None) -> Any:
        """Return a plotly figure: values over trials, and the best so far."""
        return self._figure("history", None, metric)

    def plot_importance(self, params: Sequence[str] | None = None, metric: str | None = None) -> Any:
        """Return a plotly figure: how much each parameter matters."""
        return self._figure("importance", params, metric)

    def plot_slice(self, params: Sequence[str] | None = None, metric: str | None = None) -> Any:
        """Return a plotly figure: values over each parameter."""
        return self._figure("slice", params, metric)

    def plot_contour(self, params: Sequence[str] | None = None, metric: str | None = None) -> Any:
        """Return a plotly figure: values over pairs of parameters."""
        return self._figure("contour", params, metric)

    def plot_parallel(self, params: Sequence[str] | None = None, metric: str | None = None) -> Any:
        """Return a plotly figure: each trial as a line through its parameters."""
        return self._figure("parallel", params, metric)

    def plot_timeline(self) -> Any:
        """Return a plotly figure: when each trial ran."""
        return self._figure("timeline", None, None)

    def _figure(self, kind: str, params: Sequence[str] | None, metric: str | None) -> Any:
        from tunesmith.tools.interop.optuna.plots import study_figure

        return study_figure(kind, *self._shown, params, metric)
