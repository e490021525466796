"""Commands that show a study. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import HistoryOption, Json, StudyOrName

PANEL = "Look"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def status(
    study: StudyOrName = Path(),
    *,
    why: Annotated[int | None, typer.Option(help="Explain this trial: who proposed it, why, and its result.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show the state of a study, also while it runs."""
    with readable_errors():
        from tunesmith.cli.commands.status import show_status

        show_status(study, history=history, why=why, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def watch(
    study: StudyOrName = Path(),
    *,
    history: HistoryOption = None,
) -> None:
    """Watch a running study from another terminal: trials, curves, slots, reasons. It only reads."""
    with readable_errors():
        from tunesmith.cli.watch.start import watch_study

        watch_study(study, history=history)


@commands.command(rich_help_panel=PANEL)
def report(
    study: StudyOrName = Path(),
    *,
    out: Annotated[Path | None, typer.Option(help="The folder to write to. Default: the folder of the study.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Write report.html and report.md, also while the study runs."""
    with readable_errors():
        from tunesmith.cli.commands.report import write_report

        write_report(study, history=history, out=out, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def dashboard(
    study: StudyOrName = Path(),
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 picks a free one.")] = 8080,
    history: HistoryOption = None,
) -> None:
    """Show a study in Optuna's dashboard, in a browser on this machine; the page follows the run."""
    with readable_errors():
        from tunesmith.cli.commands.dashboard import serve_dashboard

        serve_dashboard(study, history=history, port=port)
