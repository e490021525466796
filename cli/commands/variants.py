"""`tunesmith variants`: the tree of a study's code variants and what became of each, or one variant's diff."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tunesmith.cli.commands.apply import candidate_json, variant_json
from tunesmith.cli.display.diff import show_diff
from tunesmith.cli.display.format import first_line
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.study.errors import HistoryError
from tunesmith.study.formatting import one_line
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, short_id
from tunesmith.tools.analysis.summary import plus_minus
from tunesmith.tools.variants.results import VariantResult, find_variant, matches_id, variant_results


def show_variants(asked: str | None, study: Path, *, history: Path | None, as_json: bool) -> None:
    """Print the tree of variants, or the diff of one.

    Args:
        asked: a study's name, file or folder, or the beginning of a variant's id; None for `study`.
        study: the study that a variant's id is looked up in.
        history: the history file; None for the one beside the study.
        as_json: print JSON instead of text.

    Raises:
        HistoryError: there is no history, no such study, or no such variant.
    """
    located = _located(asked, study, history)
    with located.history:
        record = located.record
        variants = located.history.variants(record.id)
        if asked is not None and _is_variant(asked, variants) and not Path(asked).exists():
            variant = find_variant(variants, asked)
            if as_json:
                print(json.dumps({**variant_json(variant), "diff": variant.diff}, indent=2))
            else:
                _show_one(variant)
            return
        found = variant_results(record, located.history.trials(record.id), variants)
    print(json.dumps([_json(s) for s in found], indent=2) if as_json else "\n".join(_tree(located, found)))


def _located(asked: str | None, study: Path, history: Path | None) -> OpenStudy:
    """Open the study that is meant: a name or a path in `asked` is a study, anything else may be a variant's id."""
    if asked is None:
        return open_study(study, history)
    if Path(asked).exists():
        return open_study(Path(asked), history)
    located = open_study(study, history)
    if _is_variant(asked, located.history.variants(located.record.id)):
        return located
    names = located.history.names()
    located.history.close()
    if asked not in names:
        raise HistoryError(f"{asked!r} is neither a study nor a variant; the studies here are {', '.join(names)}")
    return open_study(Path(asked), history)


def _is_variant(asked: str, variants: Sequence[Variant]) -> bool:
    return any(matches_id(v, asked) for v in variants)


def _show_one(variant: Variant) -> None:
    direction = f" ({variant.direction})" if variant.direction else ""
    origin = f"from {variant.parent}, by {variant.author}" if variant.is_edited else "your project as a run found it"
    print(f"variant {variant.id}{direction}, {origin}")
    if variant.rationale:
        print(f"  {one_line(variant.rationale, None)}")
    if variant.state is not VariantState.SOUND:
        print(f"  {variant.state.value}: {one_line(variant.reason, None)}")
    for warning in variant.warnings:
        print(f"  mind: {one_line(warning, None)}")
    if variant.diff.strip():
        print()
        show_diff(variant.diff)


def _tree(located: OpenStudy, found: Sequence[VariantResult]) -> list[str]:
    record = located.record
    objective = record.spec.objectives[0]
    edits = sum(s.variant.is_edited for s in found)
    if not edits:
        return [f"{record.name}: no edit of the code was tried yet"]
    width = max(shutil.get_terminal_size((120, 24)).columns, 60)
    lines = [f"{record.name}  {objective.direction.value} {objective.metric}  ·  {edits} edits"]
    name_width = max(len(_name(s)) for s in found)
    lines.append(f"{'variant':<{name_width}}  trials  {'best':<27}  why")
    return lines + [_line(s, name_width)[:width] for s in found]


def _name(result: VariantResult) -> str:
    return f"{result.node.guides()}{short_id(result.variant.id)}"


def _line(result: VariantResult, name_width: int) -> str:
    variant = result.variant
    reason = first_line(variant.rationale) or "no reason was given"
    why = f"{variant.direction or 'other'}: {reason}" if variant.is_edited else "your project"
    return f"{_name(result):<{name_width}}  {result.trials:>6}  {_best(result):<27}  {why}"


def _best(result: VariantResult) -> str:
    """Return the best value, or why there is none."""
    if result.best is not None:
        sample = result.best.confirmed
        return f"{plus_minus(sample)}, {sample.count} seeds" if sample else short_number(result.best.value)
    if result.variant.state is not VariantState.SOUND:
        return result.variant.state.value
    if result.failures:
        return "failed: " + ", ".join(f"{count} {kind}" for kind, count in result.failures.items())
    return "not complete yet" if result.trials else "never ran"


def _json(result: VariantResult) -> dict[str, object]:
    return {
        **variant_json(result.variant),
        "depth": result.node.depth,
        "trials": result.trials,
        "failures": dict(result.failures),
        "best": candidate_json(result.best),
    }
