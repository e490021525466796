"""Code variants and what they gained as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tunesmith.study.variant import Variant
from tunesmith.tools.analysis.confirmation.significance import Difference
from tunesmith.tools.analysis.findings.figures import ConfigResult
from tunesmith.tools.variants.results import TrialCost, VariantComparison


def comparison_json(found: VariantComparison) -> dict[str, Any]:
    """Return a variant's trials, its best configuration, its gain and its cost."""
    return {
        "trials": found.result.trials,
        "failures": dict(found.result.failures),
        "best": config_json(found.best),
        "default": config_json(found.default),
        "unedited": config_json(found.unedited),
        "gain": found.gain,
        "versus_default": _difference_json(found.versus_default),
        "versus_unedited": _difference_json(found.versus_unedited),
        "cost": _cost_json(found.cost),
        "base_cost": _cost_json(found.base_cost),
        "at_scale": [{**asdict(at_scale), "text": at_scale.text} for at_scale in found.at_scale],
    }


def variant_json(variant: Variant) -> dict[str, Any]:
    """Return a variant without its diff."""
    return {
        "id": variant.id,
        "parent": variant.parent,
        "author": variant.author,
        "direction": variant.direction,
        "rationale": variant.rationale,
        "state": variant.state.value,
        "reason": variant.reason,
        "warnings": list(variant.warnings),
        "declared": {name: dict(table) for name, table in variant.declared.items()},
        "created_at": variant.created_at,
    }


def config_json(found: ConfigResult | None) -> dict[str, Any] | None:
    """Return a trial's configuration and values."""
    if found is None:
        return None
    sample = found.confirmed
    return {
        "number": found.number,
        "params": dict(found.params),
        "value": found.value,
        "confirmed": {"mean": sample.mean, "margin": sample.margin, "values": list(sample.values)} if sample else None,
    }


def _difference_json(versus: Difference | None) -> dict[str, float] | None:
    if versus is None:
        return None
    return {"gain": versus.gain, "margin": versus.margin, "probability": versus.probability}


def _cost_json(cost: TrialCost | None) -> dict[str, float] | None:
    if cost is None:
        return None
    return {
        "trials": cost.count,
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "gpu_s": cost.gpu_s,
        "peak_rss_gib": cost.peak_rss_gib,
    }
