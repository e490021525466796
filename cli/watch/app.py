"""The screen of `tunesmith watch`: a table of trials, a curve, what runs, and why, refreshed once a second."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Static

from tunesmith.cli.watch import panels
from tunesmith.cli.watch.snapshot import Glance
from tunesmith.study.trials.trial import Trial, TrialState

EVERY_S = 1.0
GPUS_EVERY = 5
"""GPUs are asked for in one of so many rounds."""
_ASKED = "index,memory.used,memory.total,utilization.gpu"


def gpu_lines() -> list[str]:
    """Return a line for each NVIDIA GPU; none where there is no such, or it does not answer within a second."""
    command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=1, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    cells = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines()]
    return [f"GPU {c[0]}: {c[3]}% busy, {c[1]} of {c[2]} MiB" for c in cells if len(c) == len(_ASKED.split(","))]


class WatchApp(App[None]):
    """Shows what `look` returns for the chosen trial: a Glance, or a sentence that says why there is none yet."""

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
        Binding("escape", "follow", "Follow"),
    ]
    ENABLE_COMMAND_PALETTE = False
    TITLE = "tunesmith watch"

    def __init__(self, look: Callable[[int | None], Glance | str], gpus: Callable[[], list[str]] = gpu_lines) -> None:
        super().__init__()
        self._look, self._gpus = look, gpus
        self._gpu_lines: list[str] = []
        self._rounds = 0
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
        """Begin to look."""
        table = self.query_one("#trials", DataTable)
        for name in panels.COLUMNS:
            table.add_column(name, key=name)
        self.query_one("#plot").border_title = "curve"
        self.query_one("#slots").border_title = "slots"
        self.query_one("#why").border_title = "why"
        self.set_interval(EVERY_S, self.refresh_study)
        self.call_after_refresh(self.refresh_study)

    def on_resize(self) -> None:
        """Fit the texts to the new width."""
        self.call_after_refresh(self.refresh_study)

    def action_follow(self) -> None:
        """Follow the newest trial again."""
        self._chosen = None
        with self.prevent(DataTable.RowHighlighted):
            self.query_one("#trials", DataTable).move_cursor(row=0)
        self.refresh_study()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Draw the curve of the trial that the cursor is put on."""
        if 0 <= event.cursor_row < len(self._numbers):
            self._chosen = self._numbers[event.cursor_row]
            self.call_after_refresh(self.refresh_study)

    def refresh_study(self) -> None:
        """Look, and show what is there."""
        glance = self._look(self._chosen)
        if self._rounds % GPUS_EVERY == 0:
            self._gpu_lines = self._gpus()
        self._rounds += 1
        if isinstance(glance, str):
            self.query_one("#head", Static).update("\n".join(panels.wrapped(glance, self.size.width - 2)))
            return
        self.query_one("#head", Static).update("\n".join(panels.head(glance, self.size.width - 2)))
        self._show_trials(glance)
        plot = self.query_one("#plot", Static)
        size = plot.content_size
        lines = panels.plot(glance, width=max(size.width, 20), height=max(size.height - 3, 3))
        plot.update("\n".join(lines))
        width = max(self.query_one("#slots").content_size.width, 20)
        self.query_one("#slots", Static).update("\n".join(panels.slots(glance, self._gpu_lines, width)))
        most = max(self.size.height // 4, 4)
        self.query_one("#why", Static).update("\n".join(panels.why(glance, width, most=most)))

    def _show_trials(self, glance: Glance) -> None:
        """Write the table anew where it changed; the cursor stays on its trial."""
        table = self.query_one("#trials", DataTable)
        numbers = [trial.number for trial in glance.trials]
        cells = [tuple(_cell(text, trial) for text in panels.row(trial, glance)) for trial in glance.trials]
        for trial, row in zip(glance.trials, cells, strict=True):
            if str(trial.number) in table.rows and numbers == self._numbers:
                for name, cell in zip(panels.COLUMNS, row, strict=True):
                    table.update_cell(str(trial.number), name, cell, update_width=True)
        if numbers != self._numbers:
            self._numbers = numbers
            # Only a person chooses a trial.
            with self.prevent(DataTable.RowHighlighted):
                table.clear()
                for trial, row in zip(glance.trials, cells, strict=True):
                    table.add_row(*row, key=str(trial.number))
                if self._chosen in numbers:
                    table.move_cursor(row=numbers.index(self._chosen))


def _cell(text: str, trial: Trial) -> Text:
    style = "red" if trial.failure else "bold" if not trial.state.is_finished else ""
    style = "dim" if trial.state is TrialState.STOPPED or trial.is_replicate else style
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
