"""Commands that run a study and change how it goes on. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import BaseUrl, HistoryOption, Model, Record, Replay, Study, StudyOption

PANEL = "Tune"
commands = typer.Typer()


def _samplers() -> list[str]:
    from tunesmith.study.config.tables.planner import SAMPLERS

    return list(SAMPLERS)


@commands.command(rich_help_panel=PANEL)
def run(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    trials: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Stop after this many trials, earlier runs included; +5 for five more."),
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Stop after this many hours, earlier runs included.")] = None,
    until: Annotated[str | None, typer.Option(help='Stop at this time of day, for example "07:00".')] = None,
    parallel: Annotated[int | None, typer.Option(help="How many trials run at once.")] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="bayes, random, sobol, grid, optuna-tpe, optuna-gp, nevergrad, cma-es, smac or turbo.",
            autocompletion=_samplers,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the study.")] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    record: Record = None,
    replay: Replay = None,
    history: HistoryOption = None,
    unsafe_edits: Annotated[
        bool, typer.Option("--unsafe-edits", help="Run edited code even if no sandbox is available.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not pause when trials fail for every configuration.")
    ] = False,
    moved: Annotated[
        bool, typer.Option("--moved", help="The study's project moved to this folder; resume it here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
) -> None:
    """Run a study, or resume it. Ctrl-C stops after the running trials; press it twice to stop now."""
    with readable_errors("Nothing was started."):
        from tunesmith.agent.planner.model import RecordingFiles
        from tunesmith.cli.commands.run import run_study
        from tunesmith.cli.session.overrides import Overrides
        from tunesmith.cli.session.trial_limit import trial_limit

        overrides = Overrides(
            trials=None if trials is None else trial_limit(trials, study, history),
            hours=hours,
            until=until,
            parallel=parallel,
            sampler=sampler,
            seed=seed,
            model=model,
            base_url=base_url,
        )
        recording = RecordingFiles(record=record, replay=replay)
        status = run_study(
            study,
            overrides,
            history=history,
            as_json=as_json,
            recording=recording,
            unsafe_edits=unsafe_edits,
            keep_going=keep_going,
            moved=moved,
        )
    raise typer.Exit(status)


@commands.command(rich_help_panel=PANEL)
def chat(
    study: Study = Path(),
    *,
    model: Annotated[str | None, typer.Option(help="The LLM to talk to. Default: that of study.toml.")] = None,
    base_url: BaseUrl = None,
    history: HistoryOption = None,
) -> None:
    """Talk to the tuning assistant about a study, or set one up. Slash commands work without an LLM."""
    with readable_errors():
        from tunesmith.cli.chat.app import run_chat

        status = run_chat(study, history=history, model=model, base_url=base_url)
    raise typer.Exit(status)


@commands.command(rich_help_panel=PANEL)
def retry(
    trials: Annotated[list[str] | None, typer.Argument(help="Failed trials, such as 3-9 or 4 7.")] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed trial.")] = False,
    study: StudyOption = Path(),
    history: HistoryOption = None,
) -> None:
    """Run failed trials again under new numbers, and forget the failures; after the cause has been corrected."""
    with readable_errors("Nothing was changed."):
        from tunesmith.cli.commands.retry import retry_trials

        retry_trials(trials or [], study, failed=failed, history=history)


@commands.command(rich_help_panel=PANEL)
def forget(
    trials: Annotated[list[str], typer.Argument(help="Finished trials, such as 3-9 or 4 7.", show_default=False)],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take forgotten trials up again.")] = False,
    study: StudyOption = Path(),
    history: HistoryOption = None,
) -> None:
    """Let trials teach nothing and count nowhere; they stay in the history, marked."""
    with readable_errors("Nothing was changed."):
        from tunesmith.cli.commands.retry import forget_trials

        forget_trials(trials, study, undo=undo, history=history)
