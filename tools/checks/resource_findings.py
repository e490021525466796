"""What a dry run measured of the resources that are metrics of a study, such as `run/seconds`."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.resources import RESOURCES, resource_values
from tunesmith.study.units import short_number
from tunesmith.tools.checks.finding import Finding


def measured_resources(spec: StudySpec, run: DryRun) -> dict[str, float | None]:
    """Return the value of each measured resource of the study, of the dry run itself; None where it has none."""
    values = resource_values(spec.resources, run.outcome.usage, spec.run.usd_per_hour)
    return {name: values.get(name) for name in spec.resources}


def resource_findings(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    """Yield whether each measured resource of the study can be measured here."""
    for name, value in measured_resources(spec, run).items():
        about = RESOURCES[name].about
        if value is None:
            hint = '; pip install "tunesmith[gpu]" where trials run' if RESOURCES[name].needs_gpu else ""
            yield Finding(level="problem", what="metric", detail=f"{name} ({about}) was not measured{hint}")
        else:
            detail = f"{name}: measured by Tunesmith, {short_number(value)} in this run ({about})"
            yield Finding(level="ok", what="metric", detail=detail)
