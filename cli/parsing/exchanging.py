"""Commands between a study and other programs. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import (
    HERE,
    BaseUrl,
    HistoryOption,
    Json,
    Model,
    Record,
    Replay,
    Study,
    StudyOrName,
    nearest,
)

PANEL = "Other optimizers and agents"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def suggest(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    n: Annotated[int, typer.Option("--n", help="How many points.")] = 10,
    script: Annotated[Path | None, typer.Option(help="A training script to read instead of a study.toml.")] = None,
    to: Annotated[
        str | None, typer.Option(help="Write the points for this optimizer; `tunesmith export --to list` shows all.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The file for --to. Default: the study's name with a suffix.")
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    record: Record = None,
    replay: Replay = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Suggest starting points without running a trial: from your default, earlier studies, the LLM and the sampler."""
    with readable_errors():
        from tunesmith.agent.planner.model import RecordingFiles
        from tunesmith.cli.commands.suggest import SuggestOptions, suggest_points

        recording = RecordingFiles(record=record, replay=replay)
        options = SuggestOptions(study=study, script=script, count=n, model=model, base_url=base_url, to=to, out=out)
        suggest_points(options, history=history, recording=recording, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def export(  # noqa: PLR0913  # one argument per option
    study: StudyOrName = Path(),
    *,
    to: Annotated[str, typer.Option(help="The optimizer or format; `--to list` shows all.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="A file, or the URL of a storage. Default: the study's name with a suffix."),
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Number of points to try first. Default: 10 without results, else 0.")
    ] = None,
    results: Annotated[bool, typer.Option(help="Include the results of finished trials.")] = True,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Export a study to another optimizer: its results, points to try first, or both."""
    with readable_errors("Nothing was written."):
        from tunesmith.cli.commands.interop.export import ExportOptions, export_study, target_list

        if to == "list":
            print(target_list())
            return
        options = ExportOptions(to=to, out=out, points=points, results=results)
        export_study(study, options, history=history, as_json=as_json)


@commands.command("import", rich_help_panel=PANEL)
def import_(  # noqa: PLR0913  # one argument per option
    source: Annotated[
        str, typer.Argument(help="A file, a folder, or the URL of an Optuna storage.", show_default=False)
    ],
    *,
    study: Annotated[
        Path,
        typer.Option(
            help="The study that uses the trials: study.toml, or its folder.", show_default=HERE, callback=nearest
        ),
    ] = Path(),
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="COLUMN=NAME: this column holds this parameter or metric; repeatable."),
    ] = None,
    named: Annotated[str | None, typer.Option(help="The study to import, if the source holds several.")] = None,
    name: Annotated[str | None, typer.Option(help="The name of the imported study in the history.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be imported; write nothing.")] = False,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Import trials that ran elsewhere: Optuna, Ray Tune, MLflow, TensorBoard, CSV, JSON, another history."""
    with readable_errors("Nothing was written."):
        from tunesmith.cli.commands.interop.importing import ImportOptions, import_trials

        options = ImportOptions(
            source=source, study=study, named=named, columns=columns or [], name=name, dry_run=dry_run
        )
        import_trials(options, history=history, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def mcp(
    study: Study = Path(),
    *,
    http: Annotated[
        int | None, typer.Option(help="Serve on this port of 127.0.0.1 instead of stdio; 0 picks a free one.")
    ] = None,
    allow_run: Annotated[
        bool, typer.Option("--allow-run", help="Let clients steer the study and start trials. Default: they only read.")
    ] = False,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Let clients also try edits of the code; implies --allow-run.")
    ] = False,
    history: HistoryOption = None,
) -> None:
    """Serve a study to other agents over the Model Context Protocol."""
    with readable_errors():
        from tunesmith.cli.commands.mcp import serve_mcp
        from tunesmith.tools.llm_tools.tool import Effect

        effect = Effect.EDIT if allow_edit else Effect.RUN if allow_run else Effect.READ
        serve_mcp(study, history=history, port=http, effect=effect)


@commands.command(rich_help_panel=PANEL)
def skill(
    study: Study = Path(),
    *,
    out: Annotated[
        Path | None, typer.Option(help="The folder for SKILL.md. Default: .claude/skills/tunesmith in the project.")
    ] = None,
    allow_edit: Annotated[bool, typer.Option("--allow-edit", help="Let the agent also try edits of the code.")] = False,
) -> None:
    """Write SKILL.md, with which a coding agent plans studies, and print how to connect it to the tools."""
    with readable_errors("Nothing was written."):
        from tunesmith.cli.commands.setup.skill import write_skill

        write_skill(study, out=out, allow_edit=allow_edit)
