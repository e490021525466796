"""`tunesmith run` in a terminal: finished trials scroll by; the running trials and the budget stay below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tunesmith.agent.loop.notices.events import Ended, Finished, LoopEvent, Note, Observed, Opened, Started
from tunesmith.cli.display.format import best_line, budget_bar, cut, front_line, state_counts
from tunesmith.cli.display.run_header import header_lines
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.trials.results import is_baseline
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.winner import Winner
from tunesmith.study.units import short_number, short_seconds

MIN_TRIALS_FOR_PACE = 3
"""Finished trials from which the remaining time is estimated: with fewer, the estimate jumps."""


class LiveTable:
    """A table that grows, with a few status lines below it that are drawn anew."""

    def __init__(
        self,
        spec: StudySpec,
        *,
        clock: Callable[[], float],
        leading: Sequence[str] = (),
        console: Console | None = None,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._console = console or Console(highlight=False)
        self._layout = table_layout(spec, self._console.width, first=leading)
        self._running: dict[int, Trial] = {}
        self._latest: dict[int, dict[str, float]] = {}
        self._steps: dict[int, float] = {}
        self._states: dict[TrialState, int] = {}
        self._trend: list[float] = []
        self._best: Winner | None = None
        self._front: Sequence[Trial] = ()
        self._default: Trial | None = None
        self._budget, self._spent = Budget(), Spent()
        self._seconds: list[float] = []
        self._slots = 1
        self._replicates = 0
        self._live: Live | None = None

    def show(self, event: LoopEvent) -> None:
        """Show one event."""
        match event:
            case Opened():
                self._open(event)
            case Started(trial=trial):
                self._running[trial.number] = trial
            case Observed(trial=trial, latest=latest, step=step):
                self._observe(trial, latest, step)
            case Finished():
                self._finish(event)
            case Note(text=text):
                self._print(Text(f"note: {one_line(text, None)}", style="yellow"))
            case Ended():
                self.close()

    def close(self) -> None:
        """Remove the status lines and restore the terminal."""
        if self._live:
            self._running.clear()
            self._live.stop()
            self._live = None

    def _open(self, event: Opened) -> None:
        self._budget, self._spent = event.budget, event.record.spent
        self._best, self._default, self._slots, self._front = event.winner, event.default, event.slots, event.front
        for line in header_lines(event):
            self._console.print(Text(line))
        self._console.print(Text(table_header(self._layout), style="bold"))
        self._live = Live(get_renderable=self._status, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def _observe(self, trial: Trial, latest: Mapping[str, float], step: float) -> None:
        """Keep the latest value of each objective; one line may report only some of them."""
        known = self._latest.setdefault(trial.number, {})
        known |= {o.metric: latest[o.metric] for o in self._spec.objectives if o.metric in latest}
        self._steps[trial.number] = step

    def _finish(self, event: Finished) -> None:
        trial = event.trial
        self._running.pop(trial.number, None)
        self._latest.pop(trial.number, None)
        self._best, self._spent, self._front = event.winner, event.spent, event.front
        if trial.is_replicate:
            self._replicates += 1
        else:
            self._states[trial.state] = self._states.get(trial.state, 0) + 1
            self._seconds.append(trial.outcome.usage.wall_s if trial.outcome else 0.0)
        if trial.proposal.source is Source.DEFAULT:
            self._default = trial if is_baseline(trial, self._spec.metric_constraints) else None
        if event.best and not trial.is_replicate:
            self._trend.append(event.best.values[self._spec.objectives[0].metric])
        self._print(Text(trial_row(trial, event.best, self._layout, event.front), style=_style(event)))

    def _print(self, text: Text) -> None:
        (self._live.console if self._live else self._console).print(text, no_wrap=True, overflow="ellipsis")

    def _status(self) -> RenderableType:
        lines = [Text(self._running_line(trial), style="dim") for trial in self._running.values()]
        lines.append(Text(self._summary_line(), style="bold"))
        return Group(*(line for line in lines if line.plain))

    def _running_line(self, trial: Trial) -> str:
        seconds = short_seconds(max(self._clock() - (trial.started_at or self._clock()), 0.0))
        start = f"{trial.number:>3}  running {seconds:>9}"
        parts = (start, self._latest_text(trial.number), render_params(trial.params, digits=SHORT_DIGITS))
        # One column stays free: some terminals break a line that fills all of them.
        return cut("  ".join(part for part in parts if part), self._console.width - 1)

    def _latest_text(self, number: int) -> str:
        values = ", ".join(f"{metric} {short_number(value)}" for metric, value in self._latest.get(number, {}).items())
        return f"{values} at {self._steps[number]:g}" if values else ""

    def _summary_line(self) -> str:
        objectives = self._spec.objectives
        if len(objectives) > 1:
            parts = [front_line(self._front, objectives)]
        else:
            complete = self._states.get(TrialState.COMPLETE, 0)
            parts = [best_line(self._best, self._default, self._trend, objectives[0], complete=complete)]
        parts.append(state_counts(self._states))
        if self._replicates:
            parts.append(f"{self._replicates} repeated")
        known = len(self._seconds) >= MIN_TRIALS_FOR_PACE
        pace = sum(self._seconds) / len(self._seconds) / self._slots if known else None
        parts.append(budget_bar(self._budget, self._spent, self._clock(), seconds_per_trial=pace))
        return "  ·  ".join(part for part in parts if part)


def _style(event: Finished) -> str:
    if event.trial.failure:
        return "red"
    if event.trial.state is TrialState.STOPPED or event.trial.is_replicate:
        return "dim"
    improved = any(t.number == event.trial.number for t in event.front) if event.front else event.improved
    return "green" if improved else ""
