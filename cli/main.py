"""The terminal: parses a command line and calls one function. Everything heavy is imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import errors_for_people, leave

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
    unsafe_edits: Annotated[
        bool, typer.Option("--unsafe-edits", help="Run edited code even where there is no sandbox.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
) -> None:
    """Run a study, or resume it where it ended. Ctrl-C ends it gracefully, twice at once."""
    with errors_for_people("Nothing was started."):
        from tunesmith.agent.planner.factory import Tape
        from tunesmith.cli.commands.run import Overrides, run_study

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
        status = run_study(study, wanted, history=history, as_json=as_json, tape=tape, unsafe_edits=unsafe_edits)
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
        from tunesmith.cli.commands.status import show_status

        show_status(study, history=history, why=why, as_json=as_json)


@app.command()
def suggest(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    n: Annotated[int, typer.Option("--n", help="How many points.")] = 10,
    script: Annotated[Path | None, typer.Option(help="A training script to read, in place of a study.toml.")] = None,
    to: Annotated[str | None, typer.Option(help="Write them for this optimizer; `export --to list` names all.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The file for --to; NAME.TARGET when left out.")
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    record: Record = None,
    replay: Replay = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Suggest starting points without a trial: your default, the best of earlier studies, the LLM's, the sampler's."""
    with errors_for_people():
        from tunesmith.agent.planner.factory import Tape
        from tunesmith.cli.commands.suggest import Wanted, suggest_points

        tape = Tape(record=record, replay=replay)
        wanted = Wanted(study=study, script=script, count=n, model=model, base_url=base_url, to=to, out=out)
        suggest_points(wanted, history=history, tape=tape, as_json=as_json)


@app.command()
def export(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    to: Annotated[str, typer.Option(help="The optimizer or format; `--to list` shows them.")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="A file or, for a storage, a URL; NAME.TARGET when left out.")
    ] = None,
    points: Annotated[int | None, typer.Option(help="Points to try first; 10 when no results go along.")] = None,
    results: Annotated[bool, typer.Option(help="Hand over results, too, or points alone.")] = True,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Hand the study to another optimizer: results, points to try first, or both."""
    with errors_for_people("Nothing was written."):
        from tunesmith.cli.commands.interop.export import Wanted, export_study, targets_for_people

        if to == "list":
            print(targets_for_people())
            return
        wanted = Wanted(to=to, out=out, points=points, results=results)
        export_study(study, wanted, history=history, as_json=as_json)


@app.command("import")
def import_(  # noqa: PLR0913  # one argument per option
    source: Annotated[
        str, typer.Argument(help="A file, a folder, or the URL of an Optuna storage.", show_default=False)
    ],
    *,
    study: Annotated[Path, typer.Option(help="study.toml, or its folder: the study that learns from it.")] = Path(),
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="COLUMN=NAME: a column is this parameter or metric; repeatable.")
    ] = None,
    named: Annotated[str | None, typer.Option(help="Which study, where the source holds several.")] = None,
    name: Annotated[str | None, typer.Option(help="What the imported study is called here.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be taken over; write nothing.")] = False,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Learn from trials that ran elsewhere: Optuna, Ray Tune, MLflow, TensorBoard, CSV, JSON, another history."""
    with errors_for_people("Nothing was written."):
        from tunesmith.cli.commands.interop.importing import Wanted, import_trials

        wanted = Wanted(source=source, study=study, named=named, columns=columns or [], name=name, dry_run=dry_run)
        import_trials(wanted, history=history, as_json=as_json)


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
        from tunesmith.cli.commands.report import write_report

        write_report(study, history=history, out=out, as_json=as_json)


@app.command()
def variants(
    asked: Annotated[
        str | None, typer.Argument(metavar="[STUDY|VARIANT]", help="A study, or a variant to see the diff of.")
    ] = None,
    *,
    study: Annotated[Path, typer.Option(help="study.toml, its folder, or a study's name: where VARIANT is.")] = Path(),
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show the tree of code variants, what became of each, and why it was tried; or one variant's diff."""
    with errors_for_people():
        from tunesmith.cli.commands.variants import show_variants

        show_variants(asked, study, history=history, as_json=as_json)


@app.command()
def apply(  # noqa: PLR0913  # one argument per option
    variant: Annotated[str, typer.Argument(help="Its id, or the beginning of it.", show_default=False)],
    *,
    study: Annotated[Path, typer.Option(help="study.toml, its folder, or a study's name.")] = Path(),
    patch: Annotated[bool, typer.Option("--patch", help="Write a patch file instead of a branch.")] = False,
    output: Annotated[Path | None, typer.Option(help="The patch file; STUDY-VARIANT.patch when left out.")] = None,
    branch: Annotated[str | None, typer.Option(help="The branch; tunesmith/STUDY-VARIANT when left out.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show what a variant of the code changes, gains and costs, and make a git branch of it, or a patch file."""
    with errors_for_people():
        from tunesmith.cli.commands.apply import Wanted, apply_variant

        wanted = Wanted(variant=variant, patch=patch, output=output, branch=branch)
        apply_variant(study, wanted, history=history, as_json=as_json)


@app.command()
def init(
    script: Annotated[Path, typer.Argument(help="The training script to tune.", show_default=False)],
    *,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; study.toml beside the script when left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a study.toml that stands there.")] = False,
    model: Annotated[str | None, typer.Option(help="An LLM that improves the draft from the script.")] = None,
    base_url: BaseUrl = None,
) -> None:
    """Read a training script and write a study.toml for it, with a reason beside each range."""
    with errors_for_people("Nothing was written."):
        from tunesmith.cli.commands.init import write_study

        write_study(script, out=out, force=force, model=model, base_url=base_url)


@app.command()
def chat(
    study: Study = Path(),
    *,
    model: Annotated[str | None, typer.Option(help="The LLM to talk to; that of study.toml when left out.")] = None,
    base_url: BaseUrl = None,
    history: HistoryOption = None,
) -> None:
    """Talk to the tuning assistant about a study, or about one to be; slash commands work without an LLM."""
    with errors_for_people():
        from tunesmith.cli.chat.app import run_chat

        status = run_chat(study, history=history, model=model, base_url=base_url)
    raise typer.Exit(status)


@app.command()
def watch(
    study: Study = Path(),
    *,
    history: HistoryOption = None,
) -> None:
    """Watch a study that runs, from another terminal: trials, curves, slots, the planner's reasons. Reads only."""
    with errors_for_people():
        from tunesmith.cli.watch.start import watch_study

        watch_study(study, history=history)


@app.command()
def dashboard(
    study: Study = Path(),
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of 127.0.0.1; 0 for any free one.")] = 8080,
    history: HistoryOption = None,
) -> None:
    """Show the study in Optuna's dashboard, kept up to date, in a browser on this machine."""
    with errors_for_people():
        from tunesmith.cli.commands.dashboard import serve_dashboard

        serve_dashboard(study, history=history, port=port)


@app.command()
def soup(
    study: Study = Path(),
    *,
    checkpoint: Annotated[
        str, typer.Option(help="The file among what trials kept: a PyTorch state dict.")
    ] = "model.pt",
    top: Annotated[int, typer.Option(min=2, help="Try so many of the best trials.")] = 8,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Average the weights of the best trials as far as the judge says that it helps."""
    with errors_for_people():
        from tunesmith.cli.commands.soup import make_soup

        make_soup(study, checkpoint=checkpoint, top=top, history=history, as_json=as_json)


@app.command()
def mcp(
    study: Study = Path(),
    *,
    http: Annotated[
        int | None, typer.Option(help="Serve on this port of 127.0.0.1 instead of stdio; 0 for any free one.")
    ] = None,
    allow_run: Annotated[
        bool, typer.Option("--allow-run", help="Let clients steer the study and start trials; else they only read.")
    ] = False,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Let clients have edits of the code tried, too; implies --allow-run.")
    ] = False,
    history: HistoryOption = None,
) -> None:
    """Serve the study to other agents by the Model Context Protocol."""
    with errors_for_people():
        from tunesmith.cli.commands.mcp import serve_mcp
        from tunesmith.tools.llm_tools.tool import Effect

        effect = Effect.EDIT if allow_edit else Effect.RUN if allow_run else Effect.READ
        serve_mcp(study, history=history, port=http, effect=effect)


@app.command()
def doctor(
    study: Study = Path(),
    *,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Check this machine and the study: packages, GPUs, disk, the study file, its command and its history."""
    with errors_for_people():
        from tunesmith.cli.commands.doctor import examine

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
        from tunesmith.cli.commands.bench.tables import Wanted, run_bench

        if full_runs is not None:
            from tunesmith.cli.commands.bench.epochs import run_epochs

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
    try:
        app()
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    main()
