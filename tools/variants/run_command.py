"""How trials of a variant run: their parameters, their command line, and how a person gets the variant's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.study.config.command import command_line
from tunesmith.study.config.space_tables import parse_space
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import Variant, short_id
from tunesmith.tools.script_reader.systems.registry import options_in
from tunesmith.tools.variants.ast_equivalence import parse_python
from tunesmith.tools.variants.constants import is_filled, own_tables

CLAIM = "as reported by the edited script"
"""What is said of values of edited code that no judge measured."""


def variant_space(variant: Variant, spec: StudySpec) -> SearchSpace:
    """Return the parameters of trials with this code: the study's and those that the variant declares."""
    if not variant.declared:
        return spec.space
    return spec.space.extended(parse_space(own_tables(variant.declared)).parameters)


def variant_command(variant: Variant, command: str) -> str:
    """Return the study's command with an option for each parameter that the variant declares as one."""
    names = [name for name, table in variant.declared.items() if not is_filled(table)]
    return " ".join([command, *(word for name in names if (word := option_word(name, variant.files)))])


def option_word(name: str, files: Mapping[str, str]) -> str:
    """Return the command's word that passes a parameter, such as "--lr={lr}"; "" when no file has such an option."""
    for text in files.values():
        tree = parse_python(text)
        words = {s.name: s.word for s in options_in(tree)} if tree is not None else {}
        if words.get(name):
            return words[name]
    # A script may parse its options without argparse, so a string literal counts as well.
    spelled = (f"--{name}", f"--{name.replace('_', '-')}")
    found = (word for word in spelled for text in files.values() if f'"{word}"' in text or f"'{word}'" in text)
    word = next(found, "")
    return f"{word} {{{name}}}" if word else ""


def run_line(
    spec: StudySpec, params: Mapping[str, Value], code: str, variants: Sequence[Variant], *, seed: int | None = None
) -> str:
    """Return the command line that runs a configuration.

    Args:
        spec: the study.
        params: the configuration.
        code: the id of its variant, "" for the user's project.
        variants: of the study.
        seed: the one that was measured; that of the study if left out.
    """
    variant = next((v for v in variants if v.id == code), None)
    if variant is not None and variant.declared:
        run = spec.run.model_copy(update={"command": variant_command(variant, spec.run.command)})
        spec = spec.model_copy(update={"run": run})
    return command_line(spec, params, seed=seed)


def code_needed(spec: StudySpec, code: str) -> str:
    """Return which code the command line needs, how to get it, and who measured it; "" for the user's project."""
    if not code:
        return ""
    claim = f"; its values are {CLAIM}, since no [evaluate] measured them" if is_claim(spec, code) else ""
    return f"with the code of {short_id(code)}: `tunesmith apply {short_id(code)}`{claim}"


def is_claim(spec: StudySpec, code: str) -> bool:
    """Return whether values of a version of the code are what it reported itself, because the study has no judge."""
    return bool(code) and spec.trusts_edits
