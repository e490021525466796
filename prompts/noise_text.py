"""Says how much a repeat of one configuration varies, and which differences mean something for that reason."""

from __future__ import annotations

from tunesmith.prompts.trial_rows import repeated_values
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import Winner, winner
from tunesmith.study.units import short_number

MEANINGFUL = 2.0 * 2.0**0.5
"""Difference of two single runs that noise exceeds in one of twenty cases, in standard deviations of a run."""

_MAX_REPEATED = 4


def noise_text(view: StudyView) -> str:
    """Return what is known of the noise, in one line."""
    repeated = repeated_values(view)
    found = winner(view.trials, view)
    if found is not None and found.on_instances:
        return _on_instances(found)
    scatter = found.scatter if found is not None else None
    if not repeated and scatter is None:
        return "unknown: no configuration ran twice, so a small difference may be chance"
    fitted = "" if scatter is None else f"values seem to scatter by about {_varies(scatter)}"
    if not repeated:
        return f"no configuration ran twice; by the fit {fitted}"
    own = {t.number: t.values.get(view.objectives[0].metric) for t in view.trials}
    shown = [
        f"#{number}: {' '.join(short_number(v) for v in [own.get(number), *values] if v is not None)}"
        for number, values in sorted(repeated.items(), key=lambda item: -len(item[1]))[:_MAX_REPEATED]
    ]
    runs = f"repeats on other seeds: {'; '.join(shown)}"
    if found is None or found.noise is None:
        return f"{f'by the fit {fitted}' if fitted else 'hardly known'}; {runs}"
    return f"a repeat varies by {_varies(found.noise)}; {runs}"


def _varies(noise: float) -> str:
    """Return a standard deviation with the difference that it makes meaningful."""
    difference = f"a difference below {short_number(MEANINGFUL * noise, 2)} between two single runs may be chance"
    return f"{short_number(noise, 2)} (standard deviation), so {difference}"


def _on_instances(found: Winner) -> str:
    """Return what one run says: values are estimates over all instances, of few runs for most trials."""
    values = "values are estimates over all instances, corrected for how hard those are that a trial ran on"
    if found.noise is None:
        return f"{values}; how much one run varies is hardly known yet"
    difference = short_number(MEANINGFUL * found.noise, 2)
    return (
        f"{values}; one run varies by {short_number(found.noise, 2)} about that (standard deviation), so a difference "
        f"below {difference} between trials on one instance each may be chance"
    )
