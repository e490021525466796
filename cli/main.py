"""The command line: the groups of commands, and what all of them have in common.

Every module of a command is imported inside its function: `tunesmith --help` shall load typer and little else.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tunesmith.cli.exits import DONE, discard_output, exit_process
from tunesmith.cli.parsing import code, comparing, exchanging, looking, running, serving, setting_up, studies

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tune training scripts: propose configurations, run them, and report the best one with its uncertainty.",
)
for group in (setting_up, running, looking, serving, studies, code, exchanging, comparing):
    app.add_typer(group.commands)


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


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as end:
        exit_process(end)
    except BrokenPipeError:
        discard_output(sys.stdout)
        sys.exit(DONE)


if __name__ == "__main__":
    main()
