"""The command line of a configuration that was found with an edited version of the code, and how to get that code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.config.command import command_line
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.condition import Value
from tunesmith.study.variant import Variant, short_id
from tunesmith.tools.variants.build import command_of


def run_line(spec: StudySpec, params: Mapping[str, Value], code: str, variants: Sequence[Variant]) -> str:
    """Return a configuration as a line to paste; `code` is the edited version that it ran with, "" for none."""
    variant = next((v for v in variants if v.id == code), None)
    if variant is not None and variant.declared:
        run = spec.run.model_copy(update={"command": command_of(variant, spec.run.command)})
        spec = spec.model_copy(update={"run": run})
    return command_line(spec, params)


def code_needed(code: str) -> str:
    """Return what a person must do before that line gives that result, "" where the code is theirs."""
    return f"with the code of {short_id(code)}: `tunesmith apply {short_id(code)}`" if code else ""
