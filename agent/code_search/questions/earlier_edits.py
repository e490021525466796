"""Earlier edits as lines of a prompt: where each began, its settings, and its gain against its parent."""

from __future__ import annotations

from tunesmith.agent.code_search.arms import Arm
from tunesmith.agent.code_search.strategies.base import SearchState
from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, moved_ids, short_id
from tunesmith.tools.variants.lineage import first_pair, parent_code

_LONGEST_LINE = 500


def edit_lines(state: SearchState) -> list[str]:
    """Return a line for each edit, in the order of proposal; one that was moved appears where it runs."""
    moved = moved_ids(state.variants.values())
    shown = [v for v in state.variants.values() if v.is_edited and v.id not in moved]
    return [one_line(_edit_line(v, state), _LONGEST_LINE) for v in shown]


def _edit_line(variant: Variant, state: SearchState) -> str:
    head = f"{short_id(variant.id)} on {_name(parent_code(variant, state.variants))} ({variant.direction or 'other'})"
    arm = state.by_code.get(variant.id)
    if variant.state is not VariantState.SOUND:
        return f"{head}: {variant.state.value}: {variant.reason}. {variant.rationale}"
    if arm is None:
        return f"{head}: not run yet. {variant.rationale}"
    return f"{head}: {_result(variant, arm, state)}. {variant.rationale}"


def _result(variant: Variant, arm: Arm, state: SearchState) -> str:
    """Return the best value, the difference to the parent with its noise, and the prediction."""
    metric = state.objective.metric
    if arm.best is None:
        return "no complete trial"
    parts = [f"{metric} {short_number(arm.best.values[metric])} in {len(arm.curve)} trial{'s' * (len(arm.curve) != 1)}"]
    pair = first_pair(variant, state.trials, state.variants)
    if pair is not None:
        first, paired = pair.first, pair.paired
        difference = first.values[metric] - paired.values[metric]
        noise = f" (std {short_number(state.noise, 2)})" if state.seed_noise else ""
        changed = {n: v for n, v in first.params.items() if paired.params.get(n) != v}
        settings = f" with {render_params(changed)}" if changed else ""
        parts.append(f"{difference:+.3g}{noise} against its parent in the first trial{settings}")
    if variant.predicted is not None:
        parts.append(f"predicted {short_number(variant.predicted)}")
    return ", ".join(parts)


def _name(code: str) -> str:
    return short_id(code) if code else "your starting code"
