"""Commands on the studies of a history. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import HistoryOption, Json, Study, StudyOrName, Yes

PANEL = "Studies of a history"
commands = typer.Typer()


def _study_names() -> list[str]:
    from tunesmith.cli.commands.studies import study_names

    return study_names()


@commands.command("list", rich_help_panel=PANEL)
def list_(
    study: Study = Path(),
    *,
    every: Annotated[bool, typer.Option("--all", help="Also the studies of comparisons.")] = False,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """List the studies of a history: trials, best value, and the state of each."""
    with readable_errors():
        from tunesmith.cli.commands.studies import list_studies

        list_studies(study, history=history, as_json=as_json, every=every)


@commands.command(rich_help_panel=PANEL)
def rm(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of studies; see `tunesmith list`.", show_default=False, autocompletion=_study_names),
    ],
    *,
    yes: Yes = False,
    history: HistoryOption = None,
) -> None:
    """Remove studies from the history, with their trials and files."""
    with readable_errors():
        from tunesmith.cli.commands.studies import remove_studies

        remove_studies(names, history=history, yes=yes)


@commands.command(rich_help_panel=PANEL)
def reset(
    study: StudyOrName = Path(),
    *,
    yes: Yes = False,
    history: HistoryOption = None,
) -> None:
    """Remove a study's trials and files, so that its next run starts from the beginning; study.toml stays."""
    with readable_errors():
        from tunesmith.cli.commands.studies import reset_study

        reset_study(study, history=history, yes=yes)
