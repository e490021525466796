"""`tunesmith variants`: the tree of a study's code variants with their results, or the diff of one variant."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.display.diff import show_diff
from tunesmith.cli.display.format import first_line, show
from tunesmith.cli.display.variants.variant_json import config_json, variant_json
from tunesmith.cli.display.variants.variant_text import variant_lines
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.cli.session.sending import send_command
from tunesmith.study.errors import HistoryError, Mistake, SpecError
from tunesmith.study.formatting import count
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, short_id
from tunesmith.tools.analysis.findings.figures import plus_minus
from tunesmith.tools.llm_tools.edits import FIT
from tunesmith.tools.variants.constants import CodeConstant
from tunesmith.tools.variants.results import VariantResult, find_variant, matches_id, variant_results
from tunesmith.tools.variants.run_command import CLAIM, is_claim
from tunesmith.tools.variants.user_edit import offered_constants


def show_variants(asked: str | None, study: Path, *, history: Path | None, as_json: bool) -> None:
    """Print the tree of variants, or the diff of one.

    Args:
        asked: a study's name, file or folder, or the first characters of a variant's id; None for `study`.
        study: the study that has the variant.
        history: the history file; None for the default path.
        as_json: print JSON instead of text.

    Raises:
        HistoryError: the history, the study or the variant does not exist.
    """
    opened = _open(asked, study, history)
    with opened.history:
        record = opened.record
        variants = opened.history.variants(record.id)
        if asked is not None and _is_variant(asked, variants) and not Path(asked).exists():
            variant = find_variant(variants, asked)
            if as_json:
                show(json.dumps({**variant_json(variant), "diff": variant.diff}, indent=2))
            else:
                _show_one(variant, offered_constants(variant, {v.id: v for v in variants}, record.spec.space.names))
            return
        found = variant_results(record, opened.history.trials(record.id), variants)
    show(json.dumps([_result_json(s) for s in found], indent=2) if as_json else "\n".join(_tree(opened, found)))


def fit_numbers(asked: str | None, names: str, study: Path, *, history: Path | None) -> None:
    """Make numbers of a variant's edit parameters, at once if the study runs, else at its next run.

    Args:
        asked: the first characters of the variant's id.
        names: names with commas between them, or "all".
        study: the study that has the variant.
        history: the history file; None for the default path.

    Raises:
        InputError: no variant is named, or it has no such number.
    """
    if asked is None:
        raise SpecError(
            [Mistake("--fit", "name the variant, such as `tunesmith variants 9a1f --fit all`")], where="variants"
        )
    is_all = names.strip() == "all"
    listed = [] if is_all else [name.strip() for name in names.split(",") if name.strip()]
    if not is_all and not listed:
        raise SpecError([Mistake("--fit", "names no number; name some, with commas, or write all")], where="variants")
    show(send_command(FIT, {"name": asked, "constants": listed}, study, history))


def _open(asked: str | None, study: Path, history: Path | None) -> OpenStudy:
    """Open the study that `asked` names, or `study` if `asked` is the id of one of its variants."""
    if asked is None:
        return open_study(study, history)
    if Path(asked).exists():
        return open_study(Path(asked), history)
    opened = open_study(study, history)
    if _is_variant(asked, opened.history.variants(opened.record.id)):
        return opened
    names = opened.history.names()
    opened.history.close()
    if asked not in names:
        raise HistoryError(f"{asked!r} is neither a study nor a variant; studies here: {', '.join(names)}")
    return open_study(Path(asked), history)


def _is_variant(asked: str, variants: Sequence[Variant]) -> bool:
    return any(matches_id(v, asked) for v in variants)


def _show_one(variant: Variant, constants: Sequence[CodeConstant]) -> None:
    show("\n".join(variant_lines(variant)))
    for constant in constants:
        show(f"  could be a parameter: {constant.text}")
    if constants:
        show(f"  to tune it: tunesmith variants {short_id(variant.id)} --fit {constants[0].name}")
    if variant.diff.strip():
        show()
        show_diff(variant.diff)


def _tree(opened: OpenStudy, found: Sequence[VariantResult]) -> list[str]:
    record = opened.record
    objective = record.spec.objectives[0]
    edits = sum(s.variant.is_edited for s in found)
    if not edits:
        return [f"{record.name}: no edit of the code has been tried yet"]
    width = max(shutil.get_terminal_size((120, 24)).columns, 60)
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {count(edits, 'edit')}"]
    name_width = max(len(_name(s)) for s in found)
    lines.append(f"{'variant':<{name_width}}  trials  {'best':<27}  {'against parent':<18}  why")
    lines += [_line(s, name_width)[:width] for s in found]
    claims = [
        s for s in found if s.best is not None and is_claim(record.spec, s.variant.id if s.variant.is_edited else "")
    ]
    return [*lines, f"values of edits are {CLAIM}: the study has no [evaluate]"] if claims else lines


def _name(result: VariantResult) -> str:
    return f"{result.node.guides()}{short_id(result.variant.id)}"


def _line(result: VariantResult, name_width: int) -> str:
    variant = result.variant
    reason = first_line(variant.rationale) or "no reason was given"
    why = f"{variant.direction or 'other'}: {reason}" if variant.is_edited else "your own code"
    return f"{_name(result):<{name_width}}  {result.trials:>6}  {_best(result):<27}  {_on_parent(result):<18}  {why}"


def _on_parent(result: VariantResult) -> str:
    """Return the difference of the first trial to the parent's on the same seed, with the noise between seeds."""
    if result.on_parent is None:
        return ""
    noise = f" (std {short_number(result.noise, 2)})" if result.noise else ""
    return f"{result.on_parent:+.3g}{noise}"


def _best(result: VariantResult) -> str:
    """Return the best value, or why there is none."""
    if result.best is not None:
        sample = result.best.confirmed
        if sample is None:
            return short_number(result.best.value)
        return f"{plus_minus(sample)}, {result.best.fresh if result.best.is_hidden else f'{sample.count} seeds'}"
    if result.variant.state is not VariantState.SOUND:
        return result.variant.state.value
    if result.failures:
        return "failed: " + ", ".join(f"{number} {kind}" for kind, number in result.failures.items())
    return "not complete yet" if result.trials else "never ran"


def _result_json(result: VariantResult) -> dict[str, object]:
    return {
        **variant_json(result.variant),
        "depth": result.node.depth,
        "trials": result.trials,
        "failures": dict(result.failures),
        "best": config_json(result.best),
        "on_parent": result.on_parent,
        "noise": result.noise,
    }
