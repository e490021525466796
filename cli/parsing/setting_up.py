"""Commands that set up a study and try it. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import BaseUrl, HistoryOption, Json, Study

PANEL = "Set up"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def init(  # noqa: PLR0913  # one argument per option
    script: Annotated[Path, typer.Argument(help="The script or notebook to tune.", show_default=False)] = Path(),
    words: Annotated[
        list[str] | None,
        typer.Argument(help="After --, further words of its command, as you start it.", show_default=False),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. Default: study.toml in the script's folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing study.toml.")] = False,
    serve: Annotated[
        str | None,
        typer.Option(help='Instead of a script: the command that starts a server, for example "vllm serve MODEL".'),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0, max=86400, help="The time for the dry run; 0 for none.", show_default="20; 300 for a server"
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="An LLM that reads the script and improves the draft.")] = None,
    base_url: BaseUrl = None,
) -> None:
    """Read a training script or a server's command, write a study.toml with a reason for each range, and try it."""
    with readable_errors("Nothing was written."):
        if serve is not None:
            from tunesmith.cli.commands.serving.init import init_server

            further = [*([str(script)] if script != Path() else []), *(words or ()), *(["--model"] if model else [])]
            init_server(serve, further, out=out, force=force, seconds=seconds)
            return
        from tunesmith.cli.commands.setup.init import DRY_RUN_S, InitOptions, write_study

        limit_s = DRY_RUN_S if seconds is None else seconds
        write_study(
            script,
            InitOptions(words=words or (), out=out, force=force, seconds=limit_s, model=model, base_url=base_url),
        )


@commands.command(rich_help_panel=PANEL)
def check(
    study: Study = Path(),
    *,
    seconds: Annotated[
        float, typer.Option(min=1, max=86400, help="The longest time for the training, and for [evaluate].")
    ] = 20.0,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Run the default for some seconds: which metrics are seen, how long a trial takes, what is missing."""
    with readable_errors("Nothing was started."):
        from tunesmith.cli.commands.setup.check import check_study

        status = check_study(study, history=history, seconds=seconds, as_json=as_json)
    raise typer.Exit(status)


@commands.command(rich_help_panel=PANEL)
def judge(study: Study = Path()) -> None:
    """Write evaluate.py, a judge to start from, for a study whose code is edited."""
    with readable_errors("Nothing was written."):
        from tunesmith.cli.commands.setup.judge import write_judge

        write_judge(study)


@commands.command(rich_help_panel=PANEL)
def doctor(
    study: Study = Path(),
    *,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Check this machine and the study: packages, GPUs, disk, the study file, its command, its history."""
    with readable_errors():
        from tunesmith.cli.commands.setup.doctor import examine

        healthy = examine(study, history=history, as_json=as_json)
    raise typer.Exit(0 if healthy else 1)
