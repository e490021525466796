"""Commands on edited code and on checkpoints. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import HistoryOption, Json, StudyOption, StudyOrName

PANEL = "Edited code and checkpoints"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def variants(
    asked: Annotated[
        str | None, typer.Argument(metavar="[STUDY|VARIANT]", help="A study, or a variant to show the diff of.")
    ] = None,
    *,
    study: StudyOption = Path(),
    history: HistoryOption = None,
    as_json: Json = False,
    fit: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Tune these numbers of the variant's edit, or all.")
    ] = None,
) -> None:
    """Show the tree of code variants, each with its reason and its result; or the diff of one variant."""
    with readable_errors():
        from tunesmith.cli.commands.variants import fit_numbers, show_variants

        if fit is not None:
            fit_numbers(asked, fit, study, history=history)
            return
        show_variants(asked, study, history=history, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
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
