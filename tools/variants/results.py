"""Results of each variant of the code: its trials, its best value, its gain over the user's own code, and its cost.

These figures are behind `tunesmith variants` and `tunesmith apply`. Knows no layout and no git.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.study.config.record import Event, StudyRecord
from tunesmith.study.errors import HistoryError
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import EDITED, Source, Trial, TrialState
from tunesmith.study.trials.view import Objective
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.variant import Variant, moved_ids, root_variant, short_id, unified_diff
from tunesmith.tools.analysis.confirmation.at_scale import ScaleResult, scale_results
from tunesmith.tools.analysis.confirmation.significance import Difference, difference
from tunesmith.tools.analysis.findings.figures import ConfigResult
from tunesmith.tools.analysis.findings.summary import Summary, summarize
from tunesmith.tools.variants.lineage import first_pair
from tunesmith.tools.variants.tree import TreeNode, variant_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """What a complete trial uses, as the median of `count` trials."""

    count: int
    wall_s: float
    cpu_s: float
    gpu_s: float
    peak_rss_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One variant and the results of its trials.

    Attributes:
        node: the variant and where it is in the tree of variants.
        trials: the number of its trials, replicates excluded.
        failures: the number of failed trials by kind.
        best: its best trial; a replicated one where there are any. None while none is complete and feasible.
        on_parent: the metric of its first trial minus that of its parent's trial on the same seed; None without both.
        noise: standard deviation of such a difference between seeds; None while it is unknown.
    """

    node: TreeNode
    trials: int
    failures: Mapping[str, int] = field(default_factory=dict)
    best: ConfigResult | None = None
    on_parent: float | None = None
    noise: float | None = None

    @property
    def variant(self) -> Variant:
        """The variant."""
        return self.node.variant


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantComparison:
    """A variant compared with the user's own code.

    Attributes:
        result: the variant's results.
        default: the default configuration with the user's own code.
        unedited: the best trial with the user's own code, the default excluded: what tuning reached without edits.
        gain: gain of the variant's best trial over the default in tuning, as a fraction of the default's size.
        gain_on_unedited: the same over `unedited`.
        versus_default: best against default on fresh seeds; None unless both ran on two seeds or more.
        versus_unedited: best against `unedited` on fresh seeds; None likewise.
        cost: cost of the variant's trials; None while none is complete.
        base_cost: cost of trials of the user's own code; None while none is complete.
        at_scale: what became of the gain at the larger scale of [confirm]; () where this variant did not run there.
        seed: training seed of the variant's best trial, whose value is stated; None without one.
    """

    result: VariantResult
    default: ConfigResult | None
    unedited: ConfigResult | None
    gain: float | None
    gain_on_unedited: float | None
    versus_default: Difference | None
    versus_unedited: Difference | None
    cost: TrialCost | None
    base_cost: TrialCost | None
    at_scale: tuple[ScaleResult, ...] = ()
    seed: int | None = None

    @property
    def best(self) -> ConfigResult | None:
        """The variant's best trial."""
        return self.result.best


def find_variant(variants: Sequence[Variant], name: str) -> Variant:
    """Return the variant with this id, or with an id that begins so.

    Raises:
        HistoryError: no variant or several variants match.
    """
    found = [v for v in variants if matches_id(v, name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise HistoryError(f"{name!r} matches {len(found)} variants: {', '.join(v.id for v in found)}")
    edited = [short_id(v.id) for v in variants if v.is_edited]
    if not edited:
        raise HistoryError(f"there is no variant {name!r}: this study has no edits yet")
    raise HistoryError(f"there is no variant {name!r} in this study{did_you_mean(name, edited)}")


def matches_id(variant: Variant, name: str) -> bool:
    """Return whether a variant's id begins with a text, with or without the prefix that all ids of edits have."""
    start = name.lower()
    return bool(start) and (variant.id.startswith(start) or variant.id.removeprefix(EDITED).startswith(start))


def whole_diff(variant: Variant, variants: Sequence[Variant]) -> str:
    """Return the difference of a variant from the user's project, its ancestors' edits included, as a unified diff."""
    root = root_variant(variant, {v.id: v for v in variants})
    return unified_diff(root.files, variant.files) if variant.files else variant.diff


def changed_files(variant: Variant, variants: Sequence[Variant]) -> list[str]:
    """Return the files in which a variant differs from the user's project; [] where its files are not known."""
    root = root_variant(variant, {v.id: v for v in variants})
    return sorted(path for path, text in variant.files.items() if root.files.get(path) != text)


def variant_results(record: StudyRecord, trials: Sequence[Trial], variants: Sequence[Variant]) -> list[VariantResult]:
    """Return the results of every variant, in the order of the tree; an edit that was moved appears where it runs."""
    summary = summarize(record, trials)
    moved, known = moved_ids(variants), {v.id: v for v in variants}
    shown = [v for v in variants if v.id not in moved]
    return [_variant_result(record, trials, node, summary, known) for node in variant_tree(shown)]


def best_of_variants(record: StudyRecord, trials: Sequence[Trial], codes: Iterable[str]) -> dict[str, ConfigResult]:
    """Return the best configuration of each version that has one, by id: the same one at every door.

    Args:
        record: the study.
        trials: all of it.
        codes: ids of versions.
    """
    summary = summarize(record, trials)
    found = {code: _best(record, [t for t in trials if t.proposal.variant == code], summary) for code in codes}
    return {code: best for code, best in found.items() if best is not None}


def compare_variant(
    record: StudyRecord,
    trials: Sequence[Trial],
    variants: Sequence[Variant],
    variant: Variant,
    scale_runs: Sequence[Event] = (),
) -> VariantComparison:
    """Return a variant compared with the user's own code.

    Args:
        record: the study.
        trials: all of it.
        variants: every version of its code.
        variant: one of them.
        scale_runs: the events of runs at the larger scale of [confirm].
    """
    summary = summarize(record, trials)
    objective = record.spec.objectives[0]
    default = summary.default
    node = next(node for node in variant_tree(variants) if node.variant.id == variant.id)
    result = _variant_result(record, trials, node, summary, {v.id: v for v in variants})
    of_own_code = [t for t in trials if not t.proposal.code]
    tuned = [t for t in of_own_code if default is None or t.number != default.number]
    best, unedited = result.best, _best(record, tuned, summary)
    return VariantComparison(
        result=result,
        default=default,
        unedited=unedited,
        gain=_gain(best, default, objective),
        gain_on_unedited=_gain(best, unedited, objective),
        versus_default=_versus(best, default, objective.sign),
        versus_unedited=_versus(best, unedited, objective.sign),
        cost=_cost([t for t in trials if t.proposal.variant == variant.id]),
        base_cost=_cost(of_own_code),
        at_scale=tuple(
            found
            for found in scale_results(trials, record.spec, scale_runs)
            if any(t.number == found.trial and t.proposal.variant == variant.id for t in trials)
        ),
        seed=next((t.proposal.seed for t in trials if best is not None and t.number == best.number), None),
    )


def _variant_result(
    record: StudyRecord,
    trials: Sequence[Trial],
    node: TreeNode,
    summary: Summary,
    variants: Mapping[str, Variant],
) -> VariantResult:
    own = [t for t in trials if t.proposal.variant == node.variant.id]
    tuned = [t for t in own if t.counts and not t.is_replicate]
    return VariantResult(
        node=node,
        trials=len(tuned),
        failures=dict(Counter(t.failure.kind.value for t in tuned if t.failure)),
        best=_best(record, own, summary),
        on_parent=_on_parent(node.variant, trials, variants, record.spec.objectives[0].metric),
        noise=math.sqrt(2.0) * summary.winner.noise if summary.winner and summary.winner.noise else None,
    )


def _on_parent(variant: Variant, trials: Sequence[Trial], variants: Mapping[str, Variant], metric: str) -> float | None:
    pair = first_pair(variant, trials, variants) if variant.is_edited else None
    return pair.first.values[metric] - pair.paired.values[metric] if pair is not None else None


def _best(record: StudyRecord, trials: Sequence[Trial], summary: Summary) -> ConfigResult | None:
    """Return the best of some trials: the study's winner if it is one of them, else a replicated one.

    Replicated ones are preferred because their mean is not the result of a selection.

    The default is excluded from that preference: it is replicated only for comparison.
    """
    if summary.best is not None and any(t.number == summary.best.number for t in trials):
        return summary.best
    sign, confirmed = record.spec.objectives[0].sign, _confirmed(summary)
    rerun = [t for t in trials if t.number in confirmed and t.proposal.source is not Source.DEFAULT]
    if rerun:
        return min((confirmed[t.number] for t in rerun), key=lambda c: sign * c.confirmed.mean if c.confirmed else 0.0)
    leader = incumbent(trials, record.spec)
    if leader is None:
        return None
    return confirmed.get(leader.number) or ConfigResult(
        number=leader.number,
        source=leader.proposal.source.value,
        params=leader.params,
        values=leader.values,
        value=leader.values[record.spec.objectives[0].metric],
    )


def _confirmed(summary: Summary) -> dict[int, ConfigResult]:
    """Return the configurations that ran on two fresh seeds or more, or that hidden data judged, by number."""
    least = 1 if summary.winner is not None and summary.winner.is_hidden else 2
    return {c.number: c for c in summary.replicated if c.confirmed is not None and c.confirmed.count >= least}


def _gain(best: ConfigResult | None, other: ConfigResult | None, objective: Objective) -> float | None:
    """Return the relative gain on hidden data where both were judged there, else in tuning."""
    if best is None or other is None:
        return None
    if best.is_hidden and best.confirmed is not None and other.confirmed is not None:
        return relative_gain(best.confirmed.mean, other.confirmed.mean, objective)
    return relative_gain(best.value, other.value, objective)


def _versus(best: ConfigResult | None, other: ConfigResult | None, sign: float) -> Difference | None:
    if best is None or other is None or best.confirmed is None or other.confirmed is None:
        return None
    return difference(best.confirmed, other.confirmed, sign=sign)


def _cost(trials: Sequence[Trial]) -> TrialCost | None:
    usages = [t.outcome.usage for t in trials if t.outcome and t.state is TrialState.COMPLETE]
    if not usages:
        return None
    return TrialCost(
        count=len(usages),
        wall_s=statistics.median(u.wall_s for u in usages),
        cpu_s=statistics.median(u.cpu_s for u in usages),
        gpu_s=statistics.median(u.gpu_s for u in usages),
        peak_rss_gib=statistics.median(u.peak_rss_gib for u in usages),
    )
