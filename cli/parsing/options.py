"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def nearest(study: Path) -> Path:
    """Return the folder of the study that is meant: the given one, or the nearest one above it."""
    from tunesmith.cli.session.upwards import study_above

    return study_above(study)


HERE = "this folder, or the nearest one above it with a study"
Study = Annotated[Path, typer.Argument(help="study.toml, or its folder.", show_default=HERE, callback=nearest)]
StudyOrName = Annotated[
    Path,
    typer.Argument(help="study.toml, its folder, or the name of a study.", show_default=HERE, callback=nearest),
]
StudyOption = Annotated[
    Path,
    typer.Option(
        "--study", help="study.toml, its folder, or the name of a study.", show_default=HERE, callback=nearest
    ),
]
HistoryOption = Annotated[
    Path | None, typer.Option("--history", help="The history file. Default: .tunesmith/history.db next to study.toml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Model = Annotated[str | None, typer.Option(help="The LLM that proposes trials, for example openai:gpt-5-mini.")]
BaseUrl = Annotated[str | None, typer.Option(help="The address of a server that speaks the OpenAI protocol.")]
Record = Annotated[Path | None, typer.Option(help="Write the LLM's answers to this file.")]
Replay = Annotated[Path | None, typer.Option(help="Read the LLM's answers from this file; no network is used.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
