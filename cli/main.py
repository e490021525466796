"""The command line: one function per command, which parses options and calls one other function.

Every module of a command is imported inside its function: `tunesmith --help` shall load typer and little else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import exit_process, readable_errors

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tune training scripts: propose configurations, run them, and report the best one with its uncertainty.",
)


def _nearest(study: Path) -> Path:
    from tunesmith.cli.session.upwards import study_above

    return study_above(study)


_HERE = "this folder, or the nearest one above it with a study"
Study = Annotated[Path, typer.Argument(help="study.toml, or its folder.", show_default=_HERE, callback=_nearest)]
StudyOrName = Annotated[
    Path,
    typer.Argument(help="study.toml, its folder, or the name of a study.", show_default=_HERE, callback=_nearest),
]
StudyOption = Annotated[
    Path,
    typer.Option(
        "--study", help="study.toml, its folder, or the name of a study.", show_default=_HERE, callback=_nearest
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


def _study_names() -> list[str]:
    from tunesmith.cli.commands.studies import study_names

    return study_names()


def _samplers() -> list[str]:
    from tunesmith.study.config.tables.planner import SAMPLERS

    return list(SAMPLERS)


def _version(is_given: bool) -> None:
    if is_given:
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


@app.command()
def run(  # noqa: PLR0913  # one argument per option
    study: Study = Path(),
    *,
    trials: Annotated[int | None, typer.Option(help="Stop after this many trials, earlier runs included.")] = None,
    hours: Annotated[float | None, typer.Option(help="Stop after this many hours, earlier runs included.")] = None,
    until: Annotated[str | None, typer.Option(help='Stop at this time of day, for example "07:00".')] = None,
    parallel: Annotated[int | None, typer.Option(help="How many trials run at once.")] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="bayes, random, sobol, grid, optuna-tpe or optuna-gp.", autocompletion=_samplers),
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

        overrides = Overrides(
            trials=trials,
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command("list")
def list_(
    study: Study = Path(),
    *,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """List the studies of a history: trials, best value, and the state of each."""
    with readable_errors():
        from tunesmith.cli.commands.studies import list_studies

        list_studies(study, history=history, as_json=as_json)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command("import")
def import_(  # noqa: PLR0913  # one argument per option
    source: Annotated[
        str, typer.Argument(help="A file, a folder, or the URL of an Optuna storage.", show_default=False)
    ],
    *,
    study: Annotated[
        Path,
        typer.Option(
            help="The study that uses the trials: study.toml, or its folder.", show_default=_HERE, callback=_nearest
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


@app.command()
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


@app.command()
def variants(
    asked: Annotated[
        str | None, typer.Argument(metavar="[STUDY|VARIANT]", help="A study, or a variant to show the diff of.")
    ] = None,
    *,
    study: StudyOption = Path(),
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show the tree of code variants, each with its reason and its result; or the diff of one variant."""
    with readable_errors():
        from tunesmith.cli.commands.variants import show_variants

        show_variants(asked, study, history=history, as_json=as_json)


@app.command()
def apply(  # noqa: PLR0913  # one argument per option
    variant: Annotated[str, typer.Argument(help="The id of the variant, or its first characters.", show_default=False)],
    *,
    study: StudyOption = Path(),
    patch: Annotated[bool, typer.Option("--patch", help="Write a patch file instead of making a branch.")] = False,
    stack: Annotated[
        bool, typer.Option("--stack", help="Make one commit of each edit that the variant consists of.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="The patch file. Default: STUDY-VARIANT.patch.")] = None,
    branch: Annotated[str | None, typer.Option(help="The branch. Default: tunesmith/STUDY-VARIANT.")] = None,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Show the diff, gain and cost of a code variant, and make a git branch or a patch file of it."""
    with readable_errors():
        from tunesmith.cli.commands.apply import ApplyOptions, apply_variant

        options = ApplyOptions(variant=variant, patch=patch, stack=stack, output=output, branch=branch)
        apply_variant(study, options, history=history, as_json=as_json)


@app.command()
def init(  # noqa: PLR0913  # one argument per option
    script: Annotated[
        Path,
        typer.Argument(help="The script or notebook to tune; with --judge, the study's folder.", show_default=False),
    ] = Path(),
    words: Annotated[
        list[str] | None,
        typer.Argument(help="After --, further words of its command, as you start it.", show_default=False),
    ] = None,
    *,
    judge: Annotated[
        bool, typer.Option("--judge", help="Write evaluate.py, a judge for edits of the study's code, instead.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. Default: study.toml in the script's folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing study.toml.")] = False,
    seconds: Annotated[float, typer.Option(min=0, max=86400, help="The time for the dry run; 0 for none.")] = 20.0,
    model: Annotated[str | None, typer.Option(help="An LLM that reads the script and improves the draft.")] = None,
    base_url: BaseUrl = None,
) -> None:
    """Read a training script, write a study.toml for it with a reason for each range, and try it."""
    with readable_errors("Nothing was written."):
        from tunesmith.cli.commands.setup.init import InitOptions, write_judge, write_study

        if judge:
            write_judge(script)
            return
        write_study(
            script,
            InitOptions(words=words or (), out=out, force=force, seconds=seconds, model=model, base_url=base_url),
        )


@app.command()
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


@app.command()
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


@app.command()
def watch(
    study: StudyOrName = Path(),
    *,
    history: HistoryOption = None,
) -> None:
    """Watch a running study from another terminal: trials, curves, slots, reasons. It only reads."""
    with readable_errors():
        from tunesmith.cli.watch.start import watch_study

        watch_study(study, history=history)


@app.command()
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


@app.command()
def soup(
    study: StudyOrName = Path(),
    *,
    checkpoint: Annotated[
        str, typer.Option(help="A PyTorch state dict among the files that the trials kept.")
    ] = "model.pt",
    top: Annotated[int, typer.Option(min=2, help="How many of the best trials to try.")] = 8,
    history: HistoryOption = None,
    as_json: Json = False,
) -> None:
    """Average the weights of the best trials, as long as the average scores better."""
    with readable_errors():
        from tunesmith.cli.commands.soup import make_soup

        make_soup(study, checkpoint=checkpoint, top=top, history=history, as_json=as_json)


@app.command()
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


@app.command()
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


@app.command()
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


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as end:
        exit_process(end)


if __name__ == "__main__":
    main()
