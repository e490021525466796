"""The configuration systems in the order in which they are tried: the surest signs first."""

from __future__ import annotations

import ast
from pathlib import Path

from tunesmith.tools.script_reader.literals import constants
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems import hydra_config, lightning_cli
from tunesmith.tools.script_reader.systems.base import System
from tunesmith.tools.script_reader.systems.options import (
    argparse_options,
    click_options,
    configurator,
    dataclass_options,
    flags_and_functions,
    positional_words,
    typer_options,
)

COMMAND_LINES: tuple[System, ...] = (
    hydra_config.read,
    lightning_cli.read,
    configurator.read,
    flags_and_functions.read_fire,
    flags_and_functions.read_jsonargparse,
    dataclass_options.read,
    typer_options.read,
    click_options.read,
    argparse_options.read,
    flags_and_functions.read_absl,
    positional_words.read,
)
"""Systems whose settings the command line sets; a script has one of them."""


def options_in(tree: ast.Module) -> tuple[Setting, ...]:
    """Return the options that one file defines for its command line."""
    module = Module(path="script.py", file=Path("script.py"), tree=tree, names=constants(tree))
    sources = Sources(root=Path(), script=module.path, modules=(module,))
    found = next((result for system in COMMAND_LINES if (result := system(sources)) is not None), None)
    return found.settings if found is not None else ()
