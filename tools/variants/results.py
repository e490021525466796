"""What each state of the code has come to: its trials, its best value, what it gains over the default, what it costs.

The figures behind `tunesmith variants` and `tunesmith apply`. Knows no layout and no git.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.study.config.record import StudyRecord
from tunesmith.study.errors import HistoryError
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.results import candidates, relative_gain
from tunesmith.study.trials.trial import EDITED, Source, Trial, TrialState
from tunesmith.study.variant import Variant, root_of, short_id, unified
from tunesmith.tools.analysis.significance import Difference, difference
from tunesmith.tools.analysis.summary import ConfigResult, Summary, summarize


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """What a complete trial takes, the median of several; `count` is of how many."""

    count: int
    wall_s: float
    cpu_s: float
    gpu_s: float
    peak_rss_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One variant and what became of it.

    Attributes:
        depth: how many variants stand between it and a snapshot of the project.
        trials: how many ran from it, those on fresh seeds left out.
        failures: how many of them failed, by kind.
        best: its best trial, by fresh seeds where some ran again; None while none is complete and feasible.
    """

    variant: Variant
    depth: int
    trials: int
    failures: Mapping[str, int] = field(default_factory=dict)
    best: ConfigResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantComparison:
    """A variant beside the user's own code.

    Attributes:
        best: the variant's best trial.
        default: the default configuration with the user's own code.
        unedited: the best trial with the user's own code, the default left out: what tuning alone reached.
        gain: by which fraction of the default's size the variant's best is better in tuning.
        gain_on_unedited: the same against what tuning alone reached.
        versus_default: the same on fresh seeds; None unless both ran on two or more.
        versus_unedited: against what tuning alone reached, on fresh seeds.
        cost: of the variant's trials; None while none is complete, as is base_cost of those of the user's own code.
    """

    standing: VariantResult
    default: ConfigResult | None
    unedited: ConfigResult | None
    gain: float | None
    gain_on_unedited: float | None
    versus_default: Difference | None
    versus_unedited: Difference | None
    cost: TrialCost | None
    base_cost: TrialCost | None

    @property
    def best(self) -> ConfigResult | None:
        """The variant's best trial."""
        return self.standing.best


def find_variant(variants: Sequence[Variant], asked: str) -> Variant:
    """Return the variant that an id, or the beginning of one, stands for.

    Raises:
        HistoryError: it stands for none, or for several.
    """
    found = [v for v in variants if matches_id(v, asked)]
    if len(found) == 1:
        return found[0]
    if found:
        raise HistoryError(f"{asked!r} stands for {len(found)} variants: {', '.join(v.id for v in found)}")
    edited = [short_id(v.id) for v in variants if v.is_edited]
    if not edited:
        raise HistoryError(f"no variant {asked!r}: no edit was tried in this study yet")
    raise HistoryError(f"no variant {asked!r} in this study{did_you_mean(asked, edited)}")


def matches_id(variant: Variant, asked: str) -> bool:
    """Tell whether a text is the beginning of a variant's id, with or without what all ids of edits begin with."""
    name = asked.lower()
    return bool(name) and (variant.id.startswith(name) or variant.id.removeprefix(EDITED).startswith(name))


def whole_diff(variant: Variant, variants: Sequence[Variant]) -> str:
    """Return what a variant changes in the user's project, all its forebears' changes among it, as a unified diff."""
    root = root_of(variant, {v.id: v for v in variants})
    return unified(root.files, variant.files) if variant.files else variant.diff


def variant_results(record: StudyRecord, trials: Sequence[Trial], variants: Sequence[Variant]) -> list[VariantResult]:
    """Return every variant, each one after what it was made from."""
    confirmed = _confirmed(summarize(record, trials))
    return [_standing(record, trials, variant, depth, confirmed) for variant, depth in _as_tree(variants)]


def compare_variant(
    record: StudyRecord, trials: Sequence[Trial], variants: Sequence[Variant], variant: Variant
) -> VariantComparison:
    """Return a variant beside the user's own code."""
    summary = summarize(record, trials)
    confirmed = _confirmed(summary)
    objective = record.spec.objectives[0]
    default = summary.default
    depth = next(depth for found, depth in _as_tree(variants) if found.id == variant.id)
    standing = _standing(record, trials, variant, depth, confirmed)
    own = [t for t in trials if not t.proposal.code]
    plain = [t for t in own if default is None or t.number != default.number]
    best, unedited = standing.best, _best(record, plain, confirmed)
    return VariantComparison(
        standing=standing,
        default=default,
        unedited=unedited,
        gain=relative_gain(best.value, default.value, objective) if best and default else None,
        gain_on_unedited=relative_gain(best.value, unedited.value, objective) if best and unedited else None,
        versus_default=_versus(best, default, objective.sign),
        versus_unedited=_versus(best, unedited, objective.sign),
        cost=_cost([t for t in trials if t.proposal.variant == variant.id]),
        base_cost=_cost(own),
    )


def _standing(
    record: StudyRecord, trials: Sequence[Trial], variant: Variant, depth: int, confirmed: Mapping[int, ConfigResult]
) -> VariantResult:
    own = [t for t in trials if t.proposal.variant == variant.id]
    tuned = [t for t in own if not t.is_replicate]
    return VariantResult(
        variant=variant,
        depth=depth,
        trials=len(tuned),
        failures=dict(Counter(t.failure.kind.value for t in tuned if t.failure)),
        best=_best(record, own, confirmed),
    )


def _best(record: StudyRecord, trials: Sequence[Trial], confirmed: Mapping[int, ConfigResult]) -> ConfigResult | None:
    """Return the best of some trials: those that ran on fresh seeds are preferred, since no luck chose their values.

    The default is no choice of anybody: that it ran again makes it the best of nothing.
    """
    sign = record.spec.objectives[0].sign
    rerun = [t for t in trials if t.number in confirmed and t.proposal.source is not Source.DEFAULT]
    if rerun:
        return min((confirmed[t.number] for t in rerun), key=lambda c: sign * c.confirmed.mean if c.confirmed else 0.0)
    able = candidates(trials, record.spec.objectives, record.spec.bounds)
    if not able:
        return None
    leader = able[0]
    return confirmed.get(leader.number) or ConfigResult(
        number=leader.number,
        source=leader.proposal.source.value,
        params=leader.params,
        values=leader.values,
        value=leader.values[record.spec.objectives[0].metric],
    )


def _confirmed(summary: Summary) -> dict[int, ConfigResult]:
    """Return the configurations that ran on two fresh seeds or more, by number."""
    return {c.number: c for c in summary.replicated if c.confirmed is not None and c.confirmed.count > 1}


def _versus(best: ConfigResult | None, other: ConfigResult | None, sign: float) -> Difference | None:
    if best is None or other is None or best.confirmed is None or other.confirmed is None:
        return None
    return difference(best.confirmed, other.confirmed, sign=sign)


def _cost(trials: Sequence[Trial]) -> TrialCost | None:
    used = [t.outcome.usage for t in trials if t.outcome and t.state is TrialState.COMPLETE]
    if not used:
        return None
    return TrialCost(
        count=len(used),
        wall_s=statistics.median(u.wall_s for u in used),
        cpu_s=statistics.median(u.cpu_s for u in used),
        gpu_s=statistics.median(u.gpu_s for u in used),
        peak_rss_gib=statistics.median(u.peak_rss_gib for u in used),
    )


def _as_tree(variants: Sequence[Variant]) -> list[tuple[Variant, int]]:
    """Return the variants in the order of a tree that is read from its top, each with its depth."""
    known = {v.id for v in variants}
    children: dict[str | None, list[Variant]] = {}
    for variant in variants:
        # A parent that is not there makes it a root rather than lost.
        children.setdefault(variant.parent if variant.parent in known else None, []).append(variant)
    found: list[tuple[Variant, int]] = []
    left = [(variant, 0) for variant in reversed(children.get(None, []))]
    while left:
        variant, depth = left.pop()
        found.append((variant, depth))
        left += [(child, depth + 1) for child in reversed(children.get(variant.id, []))]
    return found
