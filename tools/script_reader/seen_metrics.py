"""Chooses the metric by what a dry run really showed, where that contradicts what the code suggested."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from tunesmith.evaluator.preview.output_survey import Sighting
from tunesmith.evaluator.readers.metric_names import is_spelling_of
from tunesmith.evaluator.readers.metrics import REPORT, STREAM_NAMES
from tunesmith.tools.script_reader.metric_words import direction_of, is_no_objective, rank
from tunesmith.tools.script_reader.reading import MetricGuess, ScriptReading

_BETTER = 1.0
"""How much better a seen metric must suit than the one that was guessed and seen as well."""


def with_seen_metric(reading: ScriptReading, sightings: Sequence[Sighting], *, is_read: bool) -> ScriptReading:
    """Return the reading with the metric that a dry run showed.

    Args:
        reading: of the script.
        sightings: every name that had numbers.
        is_read: whether the guessed metric had a value.
    """
    domains = reading.domains
    seen = [s for s in sightings if _may_be_metric(s.name)]
    if not seen:
        return reading
    best = max(seen, key=lambda sighting: rank(sighting.name, domains) + 0.2 * (sighting.source in STREAM_NAMES))
    guess = reading.metrics[0] if reading.metrics else None
    if guess is not None and is_read and rank(best.name, domains) < rank(guess.name, domains) + _BETTER:
        return reading
    if guess is not None and not is_read and (own := _same(guess, seen)) is not None:
        best = own
    chosen = MetricGuess(
        name=best.name, direction=direction_of(best.name), where=_where(best), source=_source(best.source)
    )
    others = tuple(metric for metric in reading.metrics if metric.name != chosen.name)
    return replace(reading, metrics=(chosen, *others))


def _may_be_metric(name: str) -> bool:
    return bool(direction_of(name)) and not is_no_objective(name)


def _same(guess: MetricGuess, seen: Sequence[Sighting]) -> Sighting | None:
    """Return the guessed metric where it was seen all the same: in a file that nothing names."""
    return next((s for s in seen if is_spelling_of(s.name, guess.name) and s.source not in STREAM_NAMES), None)


def _where(seen: Sighting) -> str:
    return f"{STREAM_NAMES.get(seen.source, seen.source)} of the dry run"


def _source(source: str) -> str:
    """Return a pattern for the file, since folders often have the time or a number in their names."""
    if source in STREAM_NAMES or source == REPORT or "*" in source:
        return "" if source in STREAM_NAMES or source == REPORT else source
    name = PurePath(source).name
    return "**/events.out.tfevents.*" if ".tfevents." in name else f"**/{re.sub(r'[0-9]{6,}', '*', name)}"
