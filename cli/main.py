"""The terminal: parses a command line and calls one function. Everything heavy is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import errors_for_people

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tunes training scripts: proposes configurations, runs them, and tells which is best and how sure that is.",
)

Study = Annotated[Path, typer.Argument(help="study.toml, or the folder it stands in.", show_default="this folder")]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", help="The history file; .tunesmith/history.db beside study.toml when left out."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _version(wanted: bool) -> None:
    if wanted:
        from tunesmith import __version__

        print(f"tunesmith {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[  # noqa: ARG001  # typer calls the callback; the value itself is not needed
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


Model = Annotated[str | None, typer.Option(help="An LLM that proposes, such as openai:gpt-5-mini.")]
BaseUrl = Annotated[str | None, typer.Option(help="A server that speaks the OpenAI protocol.")]
Record = Annotated[Path | None, typer.Option(help="Keep the LLM's answers in this file.")]
Replay = Annotated[Path | None, typer.Option(help="Take the LLM's answers from this file, without a network.")]


@app.command()
def run(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    trials: Annotated[int | None, typer.Option(help="End after this many trials, all runs together.")] = None,
    hours: Annotated[float | None, typer.Option(help="End after this many hours, all runs together.")] = None,
    until: Annotated[str | None, typer.Option(help='End at this time of day, such as "07:00".')] = None,
    parallel: Annotated[int | None, typer.Option(help="Trials at once.")] = None,
    sampler: Annotated[str | None, typer.Option(help="bayes, random, optuna-tpe or optuna-gp.")] = None,
    seed: Annotated[int | None, typer.Option(help="The study's seed.")] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    record: Record = None,
    replay: Replay = None,
    history: HistoryOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
) -> None:
    """Run a study, or resume it where it ended. Ctrl-C ends it gracefully, twice at once."""
    with errors_for_people("Nothing was started."):
        from tunesmith.agent.planning import Tape
        from tunesmith.cli.run import Overrides, run_study

        wanted = Overrides(
            trials=trials,
            hours=hours,
            until=until,
            parallel=parallel,
            sampler=sampler,
            seed=seed,
            model=model,
            base_url=base_url,
        )
        tape = Tape(record=record, replay=replay)
        status = run_study(study, wanted, history=history, as_json=as_json, tape=tape)
    raise typer.Exit(status)


@app.command()
def status(
    study: Study = Path(),
    *,
    why: Annotated[int | None, typer.Option(help="Explain one trial: who proposed it and why, and its end.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show where a study stands; works while it runs."""
    with errors_for_people():
        from tunesmith.cli.status import show_status

        show_status(study, history=history, why=why, as_json=as_json)


@app.command()
def suggest(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    n: Annotated[int, typer.Option("--n", help="How many points.")] = 10,
    model: Model = None,
    base_url: BaseUrl = None,
    record: Record = None,
    replay: Replay = None,
    as_json: Json = False,
) -> None:
    """Print starting points without running a trial: your default, the LLM's where there is one, the sampler's."""
    with errors_for_people():
        from tunesmith.agent.planning import Tape
        from tunesmith.cli.suggest import suggest_points

        tape = Tape(record=record, replay=replay)
        suggest_points(study, count=n, model=model, base_url=base_url, tape=tape, as_json=as_json)


@app.command()
def report(
    study: Study = Path(),
    *,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; the study's own when left out.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Write report.html and report.md; works while the study runs."""
    with errors_for_people():
        from tunesmith.cli.report import write_report

        write_report(study, history=history, out=out, as_json=as_json)


@app.command()
def init(
    script: Annotated[Path, typer.Argument(help="The training script to tune.", show_default=False)],
    *,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; study.toml beside the script when left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a study.toml that stands there.")] = False,
) -> None:
    """Read a training script and write a study.toml for it, with a reason beside each range."""
    with errors_for_people("Nothing was written."):
        from tunesmith.cli.init import write_study

        write_study(script, out=out, force=force)


@app.command()
def doctor(
    study: Study = Path(),
    *,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Check this machine and the study: packages, GPUs, disk, the study file, its command and its history."""
    with errors_for_people():
        from tunesmith.cli.doctor import examine

        healthy = examine(study, history=history, as_json=as_json)
    raise typer.Exit(0 if healthy else 1)


@app.command()
def bench(  # noqa: PLR0913  # one argument per option
    *,
    planner: Annotated[list[str], typer.Option(help="Who takes part; may be repeated.")],
    task: Annotated[list[str] | None, typer.Option(help="A task's name, or all; may be repeated.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="A folder of further tables; may be repeated.")] = None,
    trials: Annotated[int, typer.Option(help="Trials per run.")] = 50,
    seeds: Annotated[int, typer.Option(help="Runs per task and planner, seeds 0, 1, ...")] = 10,
    jobs: Annotated[int, typer.Option(help="Runs at once, each with one thread.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures and curves here.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Keeps each finished run; beside --json, or bench.runs.jsonl, when left out.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Write regret.html and regret.png into this folder.")] = None,
    per_task: Annotated[bool, typer.Option("--per-task", help="Show every task, too.")] = False,
    model: Model = None,
    base_url: BaseUrl = None,
    permute_feedback: Annotated[
        bool, typer.Option("--permute-feedback", help="Show the LLM the results in the wrong order.")
    ] = False,
    full_runs: Annotated[
        int | None, typer.Option(min=1, help="Compare early stopping: every planner spends the epochs of so many.")
    ] = None,
) -> None:
    """Compare planners on the project's tasks or on tables of your own; a run that is there is not run again."""
    with errors_for_people():
        from tunesmith.cli.bench import Wanted, run_bench

        if full_runs is not None:
            from tunesmith.cli.bench_epochs import run_epochs

            status = run_epochs(
                planners=planner,
                tasks=task or ["all"],
                folders=data or [],
                full_runs=full_runs,
                seeds=seeds,
                jobs=jobs,
                json_file=json_file,
                results=results,
                per_task=per_task,
            )
            raise typer.Exit(status)
        status = run_bench(
            Wanted(
                planners=planner,
                tasks=task or ["all"],
                folders=data or [],
                trials=trials,
                seeds=seeds,
                jobs=jobs,
                json_file=json_file,
                results=results,
                plots=plots,
                per_task=per_task,
                model=model,
                base_url=base_url,
                permute_feedback=permute_feedback,
            )
        )
    raise typer.Exit(status)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
