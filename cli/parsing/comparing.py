"""Commands that compare: methods on studies, and planners on tables. Each calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import BaseUrl, HistoryOption, Json, Model

PANEL = "Compare"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def compare(  # noqa: PLR0913  # one argument per option
    studies: Annotated[
        list[Path], typer.Argument(help="The tasks: study.toml files, or their folders.", show_default=False)
    ],
    *,
    by: Annotated[str, typer.Option(help="The choice whose values are the methods, for example optimizer.")],
    method: Annotated[list[str] | None, typer.Option(help="Only this value; repeatable. Default: all.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="METRIC=NUMBER: how soon is this value reached; repeatable.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Tuning trials of each. Default: those of the file.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each method is tuned anew.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Fresh seeds for what each tuning chose.")] = 5,
    out: Annotated[Path | None, typer.Option(help="The folder for the figure and the tables.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Compare the values of a choice, such as optimizers: each is tuned with the same budget, then confirmed."""
    with readable_errors("Nothing was started."):
        from tunesmith.bench.methods.studies import Plan
        from tunesmith.cli.commands.compare.command import CompareOptions, compare_methods

        plan = Plan(by=by, values=method or (), trials=trials, repeats=repeats, seeds=seeds)
        status = compare_methods(
            CompareOptions(studies=studies, plan=plan, targets=target or (), out=out, history=history, as_json=as_json)
        )
    raise typer.Exit(status)


@commands.command(rich_help_panel=PANEL)
def bench(  # noqa: PLR0913  # one argument per option
    *,
    planner: Annotated[list[str], typer.Option(help="A planner to compare; repeatable.")],
    task: Annotated[list[str] | None, typer.Option(help="The name of a task, or all; repeatable.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="A folder with more tables; repeatable.")] = None,
    trials: Annotated[int, typer.Option(help="Trials per run.")] = 50,
    seeds: Annotated[int, typer.Option(help="Runs per task and planner, with seeds 0, 1, ...")] = 10,
    jobs: Annotated[int, typer.Option(help="How many runs at once, each with one thread.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures and curves to this file.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Keep finished runs in this file. Default: next to --json, or bench.runs.jsonl.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Write regret.html and regret.png to this folder.")] = None,
    per_task: Annotated[bool, typer.Option("--per-task", help="Also show each task.")] = False,
    model: Model = None,
    base_url: BaseUrl = None,
    permute_feedback: Annotated[
        bool, typer.Option("--permute-feedback", help="Show the LLM the results in the wrong order.")
    ] = False,
    full_runs: Annotated[
        int | None,
        typer.Option(min=1, help="Compare early stopping; each planner may spend the epochs of N full runs."),
    ] = None,
) -> None:
    """Compare planners on the project's tasks or on your own tables. Finished runs are not repeated."""
    with readable_errors():
        from tunesmith.cli.commands.bench.options import BenchOptions, run_bench

        options = BenchOptions(
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
            full_runs=full_runs,
        )
        status = run_bench(options)
    raise typer.Exit(status)
