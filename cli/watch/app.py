"""The screen of `tunesmith watch`: trials, a curve, running trials and reasons, drawn anew every second."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Static

from tunesmith.cli.watch import panels
from tunesmith.cli.watch.snapshot import Snapshot
from tunesmith.evaluator.gpu.gpus import gpu_loads
from tunesmith.study.trials.trial import Trial, TrialState

REFRESH_INTERVAL_S = 1.0
REFRESHES_PER_GPU_QUERY = 5


def gpu_lines() -> list[str]:
    """Return a line for each NVIDIA GPU; none without a GPU, or if nvidia-smi takes more than a second."""
    return [
        f"GPU {gpu.index}: {gpu.busy_percent}% busy, {gpu.used_mib} of {gpu.total_mib} MiB"
        for gpu in gpu_loads(timeout_s=1)
    ]


class WatchApp(App[None]):
    """Shows a study.

    Args:
        read: returns the Snapshot for a chosen trial, or a sentence that says why there is nothing to show.
        gpus: returns one line per GPU.
    """

    CSS = """
    #head { height: auto; padding: 0 1; text-style: bold; }
    #trials { height: 1fr; min-height: 5; overflow-x: hidden; }
    #side { width: 45%; }
    #body { height: 1fr; }
    Static.panel { border-title-color: $text-muted; border: round $panel; padding: 0 1; height: auto; }
    #plot { height: 1fr; min-height: 8; }
    .-narrow #body { layout: vertical; }
    .-narrow #side { width: 100%; height: auto; }
    .-narrow #plot { height: 10; min-height: 10; }
    .-narrow #why { display: none; }
    .-narrow.-tall #why { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]
    BINDINGS: ClassVar = [
        Binding("q", "quit", "Quit"),
        Binding("escape", "follow", "Follow newest"),
    ]
    ENABLE_COMMAND_PALETTE = False
    TITLE = "tunesmith watch"

    def __init__(self, read: Callable[[int | None], Snapshot | str], gpus: Callable[[], list[str]] = gpu_lines) -> None:
        super().__init__()
        self._read, self._gpus = read, gpus
        self._gpu_lines: list[str] = []
        self._refreshes = 0
        self._chosen: int | None = None
        self._numbers: list[int] = []

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="head", markup=False)
        with Horizontal(id="body"):
            yield DataTable[Text](id="trials", cursor_type="row")
            with Vertical(id="side"):
                yield Static(id="plot", classes="panel", markup=False)
                yield Static(id="slots", classes="panel", markup=False)
                yield Static(id="why", classes="panel", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Name the panels and start refreshing."""
        table = self.query_one("#trials", DataTable)
        for name in panels.COLUMNS:
            table.add_column(name, key=name)
        self.query_one("#plot").border_title = "curve"
        self.query_one("#slots").border_title = "slots"
        self.query_one("#why").border_title = "why"
        self.set_interval(REFRESH_INTERVAL_S, self.refresh_study)
        self.call_after_refresh(self.refresh_study)

    def on_resize(self) -> None:
        """Wrap the texts to the new width."""
        self.call_after_refresh(self.refresh_study)

    def action_follow(self) -> None:
        """Follow the newest trial again."""
        self._chosen = None
        with self.prevent(DataTable.RowHighlighted):
            self.query_one("#trials", DataTable).move_cursor(row=0)
        self.refresh_study()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Choose the trial under the cursor."""
        if 0 <= event.cursor_row < len(self._numbers):
            self._chosen = self._numbers[event.cursor_row]
            self.call_after_refresh(self.refresh_study)

    def refresh_study(self) -> None:
        """Read the study and draw every panel."""
        snapshot = self._read(self._chosen)
        if self._refreshes % REFRESHES_PER_GPU_QUERY == 0:
            self._gpu_lines = self._gpus()
        self._refreshes += 1
        if isinstance(snapshot, str):
            self.query_one("#head", Static).update("\n".join(panels.wrapped(snapshot, self.size.width - 2)))
            return
        self._show_trials(snapshot)
        self._show_panels(snapshot)

    def _show_panels(self, snapshot: Snapshot) -> None:
        plot = self.query_one("#plot").content_size
        slots_width = max(self.query_one("#slots").content_size.width, 20)
        texts = {
            "#head": panels.head(snapshot, self.size.width - 2),
            "#plot": panels.plot(snapshot, width=max(plot.width, 20), height=max(plot.height - 3, 3)),
            "#slots": panels.slots(snapshot, self._gpu_lines, slots_width),
            "#why": panels.why(snapshot, slots_width, most=max(self.size.height // 4, 4)),
        }
        for name, lines in texts.items():
            self.query_one(name, Static).update("\n".join(lines))

    def _show_trials(self, snapshot: Snapshot) -> None:
        """Update changed cells, or fill the table again if trials were added; the cursor stays on its trial."""
        table = self.query_one("#trials", DataTable)
        numbers = [trial.number for trial in snapshot.trials]
        cells = [tuple(_cell(text, trial) for text in panels.row(trial, snapshot)) for trial in snapshot.trials]
        if numbers == self._numbers:
            for trial, row in zip(snapshot.trials, cells, strict=True):
                for name, cell in zip(panels.COLUMNS, row, strict=True):
                    table.update_cell(str(trial.number), name, cell, update_width=True)
            return
        self._numbers = numbers
        # Filling the table moves the cursor, which must not count as a choice.
        with self.prevent(DataTable.RowHighlighted):
            table.clear()
            for trial, row in zip(snapshot.trials, cells, strict=True):
                table.add_row(*row, key=str(trial.number))
            if self._chosen in numbers:
                table.move_cursor(row=numbers.index(self._chosen))


def _cell(text: str, trial: Trial) -> Text:
    style = "red" if trial.failure else "bold" if not trial.state.is_finished else ""
    style = "dim" if trial.state is TrialState.STOPPED or trial.is_replicate else style
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
