"""What a dry run showed, as findings for people and as JSON values. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.evaluator.preview.output_survey import Sighting
from tunesmith.evaluator.readers.metric_names import is_spelling_of, tokens
from tunesmith.evaluator.readers.metrics import REPORT, STREAM_NAMES
from tunesmith.study.config.command import command_line
from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import InstancesTable
from tunesmith.study.formatting import json_values, one_line, strip_control
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.trial import Failure, FailureKind, TrialState
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.checks.finding import Finding, has_problem
from tunesmith.tools.checks.judged_text_checks import texts_findings
from tunesmith.tools.checks.resource_findings import measured_resources, resource_findings
from tunesmith.tools.checks.study_checks import (
    check_arms,
    check_mixtures,
    check_parameters,
    check_rules,
    unused_parameters,
)
from tunesmith.tools.checks.timing_checks import timed_findings, timed_table
from tunesmith.tools.checks.trial_time import budget_text, estimate_trial, has_failed
from tunesmith.tools.script_reader.metric_words import direction_of, is_held_out, is_training

MAX_OTHERS = 8
"""Number of other names that are listed."""
MAX_TAIL_LINES = 12
"""Number of lines from the end of the log."""
_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_FILE = re.compile(
    r"^(?:\w{1,40}Error: )?(?:\[Errno 2\] )?(?:No such file or directory: |FileNotFoundError: )"
    r"['\"]?([^'\"\n{}]{1,300}?)"
    r"['\"]?(?: not found\.?| does not exist\.?)?$",
    re.MULTILINE,
)
"""What Python and NumPy say of a file that is missing."""
_GPU = re.compile(
    r"no NVIDIA driver|no CUDA-capable device|CUDA (?:driver|is not available)|not compiled with CUDA|no GPU|"
    r"invalid device ordinal|No CUDA GPUs are available",
    re.IGNORECASE,
)


def dry_run_findings(spec: StudySpec, run: DryRun) -> list[Finding]:
    """Return what a person wants to know before the first trial; a problem if the study could not run like this."""
    return [
        *_ended(spec, run),
        *_missing(run),
        *(_metric(spec, run, name) for name in spec.reported_metrics),
        *resource_findings(spec, run),
        *_others(spec, run),
        *_training_metric(spec, run),
        *_shared(spec, run),
        *_time(spec, run),
        _memory(run),
        check_parameters(spec),
        *check_rules(spec),
        *check_arms(spec),
        *check_mixtures(spec),
        _seed(spec) if spec.instances is None else _instances(spec.instances, spec.study.seed),
        *_artifacts(spec, run),
        *texts_findings(spec, run),
    ]


def dry_run_json(spec: StudySpec, run: DryRun, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return a dry run as JSON values."""
    usage, time = run.outcome.usage, estimate_trial(spec, run)
    failure = run.outcome.failure
    values: dict[str, Any] = json_values(
        {
            "study": spec.study.name,
            "ok": not has_problem(findings),
            "params": dict(run.params),
            "fidelity": run.fidelity,
            "ended": run.ended,
            "failure": None
            if failure is None
            else {"kind": failure.kind.value, "reason": failure.reason, "tail": failure.tail},
            "metrics": {
                name: {
                    "reports": run.counts[name],
                    "value": run.outcome.values.get(name),
                    "where": [asdict(seen) for seen in _sightings(run, name)],
                }
                for name in spec.reported_metrics
            },
            "resources": measured_resources(spec, run),
            "others": [asdict(seen) for seen in _other_sightings(spec, run)],
            "wall_s": usage.wall_s,
            "trial_s": time.seconds,
            "trial_s_from": time.basis,
            "slots": run.slots,
            "peak_rss_gib": usage.peak_rss_gib,
            "gpu_mem_gib": usage.gpu_mem_gib,
            "unused_parameters": unused_parameters(spec),
            "passes_seed": "seed" in used_placeholders(spec),
            "ran_judge": run.ran_judge,
            "artifacts": list(run.outcome.artifacts),
            "findings": [asdict(finding) for finding in findings],
        }
    )
    return values


def start_problem(error: Exception) -> Finding:
    """Return the finding for a run that could not start."""
    return Finding(level="problem", what="missing", detail=str(error))


def _ended(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    wall = short_seconds(run.outcome.usage.wall_s)
    where = " in the sandbox" if spec.run.sandbox else ""
    at = f" at {spec.fidelity.name} = {run.fidelity:g}" if spec.fidelity and run.fidelity is not None else ""
    first = spec.instance_set.tuning[0] if spec.instance_set is not None else ""
    line = command_line(spec, run.params, fidelity=run.fidelity, instance=first)
    ran = f"the default{at}{where}: {one_line(line, 200)}"
    failure = run.outcome.failure
    if failure is None and run.outcome.state is TrialState.STOPPED:
        yield Finding(level="ok", what="run", detail=f"{ran}\nstill running after {wall}, then ended by the check")
    elif failure is None:
        note = f"; {run.outcome.note}" if run.outcome.note else ""
        level = "warning" if run.outcome.note else "ok"
        yield Finding(level=level, what="run", detail=f"{ran}\nended by itself after {wall}{note}")
    elif failure.kind is FailureKind.NO_METRIC:
        lines = [ran, f"ended by itself after {wall}, with exit status 0", *_tail(failure)]
        yield Finding(level="ok", what="run", detail="\n".join(lines))
    else:
        lines = [ran, f"failed after {wall} ({failure.kind.value}): {failure.reason}", *_tail(failure)]
        yield Finding(level="problem", what="run", detail="\n".join(lines))
    table = timed_table(spec)
    if table is not None:
        yield from timed_findings(table, run)
    elif spec.evaluate is not None and not run.ran_judge:
        detail = "the command of [evaluate] did not run, because the training did not end"
        more = f"; --seconds {4 * run.limit_s:g} gives it more time" if failure is None else ""
        yield Finding(level="problem", what="judge", detail=f"{detail}{more}")
    elif spec.evaluate is not None:
        detail = "the metric comes from the command of [evaluate], which ran on what the training kept"
        yield Finding(level="ok", what="judge", detail=detail)


def _tail(failure: Failure) -> list[str]:
    lines = [line.rstrip() for line in strip_control(failure.tail).split("\n") if line.strip()]
    return [f"  | {line[:160]}" for line in lines[-MAX_TAIL_LINES:]]


def _missing(run: DryRun) -> Iterator[Finding]:
    """Yield what a failed run lacked: a package, a file, a GPU."""
    failure = run.outcome.failure
    if failure is None or failure.kind is FailureKind.NO_METRIC:
        return
    text = f"{failure.reason}\n{failure.tail}"
    if match := _MODULE.search(text):
        detail = f"the Python package {match[1]}; install it for the Python of [run].command"
        yield Finding(level="problem", what="missing", detail=detail)
    elif match := _FILE.search(text):
        detail = (
            f"the file {match[1]}; trials run in a copy of the project: name a folder next to it in [run].shared, or "
            "write\nabsolute paths (in the sandbox, name their folder in [run].data)"
        )
        yield Finding(level="problem", what="missing", detail=detail)
    elif _GPU.search(text):
        detail = "a GPU that the script can use; `tunesmith doctor` lists this machine's, and [run].gpus assigns them"
        yield Finding(level="problem", what="missing", detail=detail)


def _metric(spec: StudySpec, run: DryRun, name: str) -> Finding:
    count, seen = run.counts[name], _sightings(run, name)
    value = run.outcome.values.get(name)
    if value is not None:
        table = spec.metric_tables.get(name)
        taken = f"; what counts is {table.text}" if table is not None and table.text else ""
        head = f"{name}: read {_times(count)}, {'value' if taken else 'last'} {short_number(value)}{taken}"
        places = [_place(sighting) for sighting in seen if sighting.is_read]
        return Finding(level="ok", what="metric", detail="\n".join([head, *places]))
    if not count and seen and not any(sighting.is_read for sighting in seen):
        places = [f'"{sighting.source}"' for sighting in seen]
        head = f"{name}: written to {', '.join(places)}, which [run].metrics_from does not name; add it there"
        return Finding(level="problem", what="metric", detail="\n".join([head, *map(_place, seen)]))
    return Finding(level="problem", what="metric", detail=f"{name}: {_why_missing(name, spec, run)}")


def _why_missing(name: str, spec: StudySpec, run: DryRun) -> str:
    """Return why a metric has no value, and what to do."""
    failure = run.outcome.failure
    if has_failed(run):
        return "not reported before the run failed"
    if run.counts[name] and failure is None:
        return "the output has it under several names; name one of them in [study].metric"
    if near := _near_name(name, spec, run):
        return f"not reported; did you mean {near}? Then name it in [study].metric"
    if failure is not None and spec.fidelity is not None and run.fidelity is not None:
        shortest = f"this was at {spec.fidelity.name} = {run.fidelity:g}; if that is too short, raise [fidelity].min"
        return f"{failure.reason}; {shortest}"
    if failure is not None:
        return failure.reason
    return (
        f"not reported within {run.limit_s:g} s; if it comes later, try tunesmith check --seconds {4 * run.limit_s:g}; "
        f"else print a line such as {name}=0.41, or call tunesmith.report({name}=...)"
    )


def _near_name(name: str, spec: StudySpec, run: DryRun) -> str:
    """Return the name in the output that is most like a metric's, "" for none."""
    others = [seen.name for seen in _other_sightings(spec, run)]
    hint = did_you_mean(name, others)
    if "did you mean" in hint:
        return hint.removeprefix("; did you mean ").removesuffix("?")
    return next((other for other in others if tokens(other)[-1:] == tokens(name)[-1:]), "")


def _training_metric(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    """Warn of a metric that is not measured on held-out data, where one that is was seen."""
    held_out = [seen.name for seen in _other_sightings(spec, run) if is_held_out(seen.name) and direction_of(seen.name)]
    for name in spec.study.metric:
        if not is_held_out(name) and held_out and direction_of(name) and ("loss" in name.lower() or is_training(name)):
            detail = (
                f"{name} may be measured on training data, where memorizing looks like improvement; "
                f"{held_out[0]} is printed as well"
            )
            yield Finding(level="warning", what="metric", detail=detail)


def _shared(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    if not spec.run.shared:
        return
    names = ", ".join(spec.run.shared)
    yield Finding(level="ok", what="shared", detail=f"{names}: yours, and read and written by all trials")
    if run.written:
        where = ", ".join(run.written)
        detail = f"the script wrote in {where}: right for downloads, but results of one trial replace another's there"
        yield Finding(level="warning", what="shared", detail=detail)


def _others(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    others = _other_sightings(spec, run)
    if others:
        listed = [f"{seen.name} ({_times(seen.count)} in {_source(seen)})" for seen in others[:MAX_OTHERS]]
        more = f" and {len(others) - MAX_OTHERS} more" if len(others) > MAX_OTHERS else ""
        yield Finding(level="ok", what="others", detail=f"{', '.join(listed)}{more}")


def _time(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    time = estimate_trial(spec, run)
    if time.seconds is None:
        if not has_failed(run):
            yield Finding(level="warning", what="time", detail=f"of a full trial: {time.basis}")
        return
    detail = f"a full trial takes about {short_seconds(time.seconds)} ({time.basis})"
    timeout = spec.run.timeout
    if timeout is not None and time.seconds > timeout:
        limit = f"{short_seconds(timeout)} ([run].timeout)"
        yield Finding(level="problem", what="time", detail=f"{detail}, longer than {limit}; raise the limit")
        return
    budget = budget_text(spec, run, time.seconds)
    yield Finding(level="ok", what="time", detail=f"{detail}{f'{chr(10)}{budget}' if budget else ''}")


def _memory(run: DryRun) -> Finding:
    usage = run.outcome.usage
    gpu = "" if usage.gpu_mem_gib is None else f", {usage.gpu_mem_gib:.2f} GiB on its GPU"
    return Finding(level="ok", what="memory", detail=f"peak {usage.peak_rss_gib:.2f} GiB{gpu}")


def _instances(table: InstancesTable, seed: int) -> Finding:
    found = table.instance_set(seed)
    held_out = f", {len(found.held_out)} held out for confirmation" if found.held_out else ""
    detail = f"{len(found.tuning)} to tune on{held_out}; the default ran on {one_line(found.tuning[0], 60)}"
    return Finding(level="ok", what="instances", detail=detail)


def _seed(spec: StudySpec) -> Finding:
    if timed_table(spec) is not None:
        return Finding(level="ok", what="seed", detail="every measurement has new inputs, from a seed of the judge")
    if "seed" in used_placeholders(spec):
        return Finding(level="ok", what="seed", detail="{seed} is in the command")
    detail = (
        "{seed} is not in the command, so repetitions measure noise only if the script uses\n"
        'tunesmith.params()["seed"], or no fixed seed'
    )
    return Finding(level="warning", what="seed", detail=detail)


def _artifacts(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    kept = run.outcome.artifacts
    if kept:
        names = ", ".join(one_line(name, 60) for name in kept[:5])
        more = f" and {len(kept) - 5} more" if len(kept) > 5 else ""  # noqa: PLR2004  # those that are named
        yield Finding(level="ok", what="artifacts", detail=f"kept {names}{more}")
    elif "artifacts" in used_placeholders(spec) or (spec.evaluate is not None and timed_table(spec) is None):
        level = "warning" if run.ended else "ok"
        yield Finding(level=level, what="artifacts", detail="the run kept no file in {artifacts}")
    elif spec.fidelity is not None:
        detail = "no checkpoint was kept in {artifacts}, so a trial that continues starts from the beginning"
        yield Finding(level="ok", what="artifacts", detail=detail)


def _place(seen: Sighting) -> str:
    line = f" line {seen.line}" if seen.line and seen.source in STREAM_NAMES else ""
    example = f": {seen.example}" if seen.example else ""
    return f"  {_source(seen)}{line}, {_times(seen.count)}{example}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _source(seen: Sighting) -> str:
    return {**STREAM_NAMES, REPORT: "tunesmith.report()"}.get(seen.source, seen.source)


def _sightings(run: DryRun, name: str) -> list[Sighting]:
    """Return where a metric of the study was, under its own name or another spelling."""
    return [
        seen for seen in run.sightings if seen.name == name or (not seen.is_read and is_spelling_of(seen.name, name))
    ]


def _other_sightings(spec: StudySpec, run: DryRun) -> list[Sighting]:
    return [
        seen for seen in run.sightings if not any(is_spelling_of(seen.name, name) for name in spec.reported_metrics)
    ]
