"""Shows trials as rows of a table: each as what differs from the reference.

A history of one good configuration and its variations repeats most values in every row; differences are shorter and
show what was tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.space.condition import Params, same
from tunesmith.study.trials.replicates.configurations import is_instance_run
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView, objective_values
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

LEADING_ROWS = 3
"""Number of best trials that are shown with their values on instances."""
SAME = "the same"
"""What a configuration without a change is shown as."""
NOTED_S = 1.0
"""Seconds of a trial from which on they are worth saying."""
MAX_SHOWN = 12
"""Number of instances whose values are shown for one trial."""
MAX_INSTANCE = 20
"""Characters after which the name of an instance is cut."""


def reference_trial(view: StudyView) -> Trial | None:
    """Return the trial that the others are compared with: the incumbent, else the first one; None without trials."""
    return incumbent(view.trials, view) or next((t for t in view.trials if not t.is_replicate), None)


def changes_text(params: Params, reference: Params) -> str:
    """Return what a configuration sets differently, as `lr=0.01 layers=3`; SAME if nothing."""
    changed = {n: v for n, v in params.items() if n not in reference or not same(v, reference[n])}
    return render_params(changed, digits=4) or SAME


def trial_table(
    view: StudyView, trials: Sequence[Trial], best: Sequence[int], curves: Mapping[int, Sequence[float]]
) -> str:
    """Return one line per trial, by number.

    The trial that the others are compared with is shown in full above the table where it has a value.

    Args:
        view: the study.
        trials: what to show.
        best: numbers of trials whose values on instances are shown.
        curves: first objective at a few steps, by trial number.
    """
    reference = reference_trial(view)
    if reference is None:
        return "no trial yet"
    repeated = repeated_values(view)
    is_above = incumbent(view.trials, view) is not None
    shows_seconds = any(t.outcome and t.outcome.usage.wall_s >= NOTED_S for t in trials)
    header = ["#", "source", *(o.metric for o in view.objectives), *(c.metric for c in view.constraints), "state"]
    header += ["seconds"] if shows_seconds else []
    lines = [" | ".join([*header, f"what differs from #{reference.number}"])]
    for trial in trials:
        what = changes_text(trial.params, reference.params)
        if trial is reference:
            values = {**trial.params, **view.space.derived_values(trial.params)}
            what = "see above" if is_above else f"all values: {render_params(values, digits=5)}"
        line = " | ".join([*_cells(trial, view, shows_seconds=shows_seconds), what])
        if trial.runs is not None:
            line += f"; {instances_text(trial, in_full=trial is reference or trial.number in best)}"
        elif trial.number in repeated:
            line += f"; on other seeds {' '.join(short_number(value) for value in repeated[trial.number])}"
        if curves.get(trial.number):
            line += f"; curve {' '.join(short_number(value) for value in curves[trial.number])}"
        lines.append(line)
    return "\n".join(lines)


def instances_text(trial: Trial, *, in_full: bool) -> str:
    """Return how many instances a trial's value is of, with each of their values where the trial is shown in full."""
    values = trial.runs.values if trial.runs is not None else {}
    text = f"on {len(values)} instance{'s' if len(values) > 1 else ''}"
    if not in_full:
        return text
    each = [f"{one_line(name, MAX_INSTANCE)} {short_number(value)}" for name, value in values.items()]
    more = f" and {len(each) - MAX_SHOWN} more" if len(each) > MAX_SHOWN else ""
    return f"{text} ({', '.join(each[:MAX_SHOWN])}{more})"


def repeated_values(view: StudyView) -> Mapping[int, Sequence[float]]:
    """Return the first objective of complete replicates, by the number of the trial that they repeat.

    Runs on instances are left out: they are part of that trial's value.
    """
    values: dict[int, list[float]] = defaultdict(list)
    for trial in view.trials:
        measured = objective_values(trial, view.objectives[:1])
        if is_instance_run(trial):
            continue
        if trial.proposal.replicate_of is not None and measured is not None and trial.counts:
            values[trial.proposal.replicate_of].append(measured[0])
    return values


def source_text(trial: Trial) -> str:
    """Return who proposed a trial, as a model reads it: its own trials are "you"."""
    names = {Source.LLM: "you", Source.FALLBACK: "sampler"}
    return names.get(trial.proposal.source, trial.proposal.source.value)


def _cells(trial: Trial, view: StudyView, *, shows_seconds: bool) -> list[str]:
    metrics = [*(o.metric for o in view.objectives), *(c.metric for c in view.constraints)]
    cells = [str(trial.number), source_text(trial)]
    cells += [short_number(trial.values[m]) if m in trial.values else "-" for m in metrics]
    seconds = [f"{trial.outcome.usage.wall_s:.3g}" if trial.outcome else "-"] if shows_seconds else []
    return [*cells, _state(trial), *seconds]


def _state(trial: Trial) -> str:
    if trial.failure:
        return f"failed ({trial.failure.kind.value})"
    return "running" if trial.state is TrialState.WAITING else trial.state.value
