"""`tunesmith run` in a terminal: finished trials scroll by, what runs now and the budget stay below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tunesmith.agent.loop.events import Ended, Finished, LoopEvent, Note, Observed, Opened, Started
from tunesmith.cli.display.format import budget_bar, sparkline, state_counts
from tunesmith.cli.display.run_header import header_lines
from tunesmith.cli.display.trial_table import table_header, table_layout, trial_row
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import SHORT_DIGITS, one_line, render_params
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.units import short_number, short_seconds


class LiveTable:
    """A table that grows, with a status of a few lines below it."""

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
        self._layout = table_layout(spec.space, spec.objectives[0], self._console.width, first=leading)
        self._running: dict[int, Trial] = {}
        self._latest: dict[int, str] = {}
        self._states: dict[TrialState, int] = {}
        self._bests: list[float] = []
        self._best: Trial | None = None
        self._default: Trial | None = None
        self._budget, self._spent = Budget(), Spent()
        self._seconds: list[float] = []
        self._slots = 1
        self._confirmed = 0
        self._live: Live | None = None

    def tell(self, news: LoopEvent) -> None:
        """Show one piece of news."""
        match news:
            case Opened():
                self._open(news)
            case Started(trial=trial):
                self._running[trial.number] = trial
            case Observed(trial=trial, latest=latest, step=step):
                metric = self._layout.metric
                if metric in latest:
                    self._latest[trial.number] = f"{metric} {short_number(latest[metric])} at {step:g}"
            case Finished():
                self._finish(news)
            case Note(text=text):
                self._print(Text(f"note: {one_line(text, None)}", style="yellow"))
            case Ended():
                self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._running.clear()
            self._live.stop()
            self._live = None

    def _open(self, news: Opened) -> None:
        self._budget, self._spent = news.budget, news.record.spent
        self._best, self._default, self._slots = news.best, news.default, news.slots
        for line in header_lines(news):
            self._console.print(Text(line))
        self._console.print(Text(table_header(self._layout), style="bold"))
        self._live = Live(get_renderable=self._status, console=self._console, refresh_per_second=4, transient=True)
        self._live.start()

    def _finish(self, news: Finished) -> None:
        trial = news.trial
        self._running.pop(trial.number, None)
        self._latest.pop(trial.number, None)
        self._best, self._spent = news.best, news.spent
        if trial.is_replicate:
            self._confirmed += 1
        else:
            self._states[trial.state] = self._states.get(trial.state, 0) + 1
            self._seconds.append(trial.outcome.usage.wall_s if trial.outcome else 0.0)
        if trial.number == 0:
            self._default = trial
        if news.best and not trial.is_replicate:
            self._bests.append(news.best.values[self._layout.metric])
        self._print(Text(trial_row(trial, news.best, self._layout), style=_style(news)))

    def _print(self, text: Text) -> None:
        (self._live.console if self._live else self._console).print(text, no_wrap=True, overflow="ellipsis")

    def _status(self) -> RenderableType:
        lines = [Text(self._running_line(trial), style="dim") for trial in self._running.values()]
        lines.append(Text(self._summary_line(), style="bold"))
        return Group(*(line for line in lines if line.plain))

    def _running_line(self, trial: Trial) -> str:
        seconds = short_seconds(max(self._clock() - (trial.started_at or self._clock()), 0.0))
        told = self._latest.get(trial.number, "")
        line = "  ".join(
            part
            for part in (
                f"{trial.number:>3}  running {seconds:>9}",
                told,
                render_params(trial.params, digits=SHORT_DIGITS),
            )
            if part
        )
        width = self._console.width
        return line if len(line) < width else f"{line[: width - 2]}…"

    def _summary_line(self) -> str:
        parts = [self._best_part(), state_counts(self._states)]
        if self._confirmed:
            parts.append(f"{self._confirmed} repeated")
        # Under 10 finished trials of uneven length an estimate would jump about more than it tells.
        pace = sum(self._seconds) / len(self._seconds) / self._slots if len(self._seconds) >= 3 else None
        parts.append(budget_bar(self._budget, self._spent, self._clock(), seconds_per_trial=pace))
        return "  ·  ".join(part for part in parts if part)

    def _best_part(self) -> str:
        if self._best is None:
            return "no complete trial yet"
        metric, objective = self._layout.metric, self._spec.objectives[0]
        value = self._best.values[metric]
        text = f"best {short_number(value)} (#{self._best.number})  {sparkline(self._bests)}".rstrip()
        if self._default and metric in self._default.values and self._best.number != self._default.number:
            gain = relative_gain(value, self._default.values[metric], objective)
            text += f"  gain {gain:.0%} over default" if gain is not None else ""
        return text


def _style(news: Finished) -> str:
    if news.trial.failure:
        return "red"
    if news.trial.state is TrialState.STOPPED or news.trial.is_replicate:
        return "dim"
    return "green" if news.improved else ""
