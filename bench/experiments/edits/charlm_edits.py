"""Edits of examples/charlm in the form of LLM answers (charlm_edits.toml), and the measured gain of each.

    python bench/experiments/edits/charlm_edits.py --seeds 5 --jobs 2

Trains the example's own code and edited code on the same seeds and prints bits per byte, each ± half of a 95% interval.
charlm_edits.toml lists the configurations, the edits and the comparisons.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.study.config.load import load_spec
from tunesmith.study.config.template import argv
from tunesmith.tools.analysis.confirmation.significance import difference, sample
from tunesmith.tools.analysis.findings.figures import plus_minus, probability_text

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "charlm"
DOCUMENT = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CANDIDATES: Mapping[str, Mapping[str, Any]] = {candidate["name"]: candidate for candidate in DOCUMENT["candidates"]}

QUICK_S = 8
"""Seconds of training in the quick setting; enough to recognise most good edits."""

_ANSWERED = ("edits", "direction", "rationale", "predicted_mean")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: edits, parameters, seconds of training; `against` names the line it is compared with."""

    name: str
    edits: tuple[str, ...]
    params: Mapping[str, Any]
    seconds: float
    against: str = ""


def answer(name: str) -> dict[str, Any]:
    """Return a candidate as the LLM would answer it."""
    candidate = CANDIDATES[name]
    chosen = {"params": candidate.get("params", {}), "new_params": {}}
    return {**{key: candidate[key] for key in _ANSWERED}, **chosen}


def edited(names: Iterable[str], source: str) -> str:
    """Return train.py with edits applied one after the other.

    Raises:
        ValueError: the text that one replaces is not there exactly once.
    """
    for name in names:
        for edit in CANDIDATES[name]["edits"]:
            if edit["path"] != "train.py" or source.count(edit["search"]) != 1:
                raise ValueError(f"{name} does not fit train.py")
            source = source.replace(edit["search"], edit["replace"])
    return source


def rows(seconds: float) -> list[Row]:
    """Return the lines of the table, for runs of that many seconds of training."""
    known = {"default": dict(load_spec(EXAMPLE).space.default or {}), **DOCUMENT["params"]}
    return [
        Row(row["name"], tuple(row["edits"]), known[row["params"]], seconds, row.get("against", ""))
        for row in DOCUMENT["rows"]
        if row["seconds"] == seconds
    ]


def run(row: Row, seed: int) -> float:
    """Train and judge once, in a copy of the example, and return bits per byte; nan when it failed."""
    spec = load_spec(EXAMPLE)
    assert spec.evaluate is not None  # noqa: S101  # this example has a judge
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        shutil.copytree(EXAMPLE, work, ignore=shutil.ignore_patterns("__pycache__", ".tunesmith", "artifacts"))
        (work / "train.py").write_text(edited(row.edits, (work / "train.py").read_text(encoding="utf-8")))
        artifacts = str(Path(folder) / "artifacts")
        environment = {
            **os.environ,
            **spec.run.env,
            "CHARLM_SECONDS": str(row.seconds),
            "TUNESMITH_ARTIFACTS": artifacts,
        }
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[3] / "src")
        output = ""
        for command in (spec.run.command, spec.evaluate.command):
            words = [sys.executable, *argv(command, {**row.params, "seed": seed, "artifacts": artifacts})[1:]]
            done = subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{row.name}, seed {seed}: {done.stderr.strip()[-200:]}", file=sys.stderr)
                return float("nan")
            output = done.stdout
    found = re.search(r"val_bpb=(\S+)", output)
    return float(found[1]) if found else float("nan")


def measure(wanted: Sequence[Row], *, seeds: int, jobs: int) -> dict[str, list[float]]:
    """Return every row's values by name; seeds are interleaved, so that other load on the machine affects all rows."""
    work = [(row, seed) for seed in range(seeds) for row in wanted]
    values: dict[str, list[float]] = {row.name: [] for row in wanted}
    with ThreadPoolExecutor(jobs) as pool:
        for (row, seed), value in zip(work, pool.map(lambda job: run(*job), work), strict=True):
            values[row.name].append(value)
            print(f"seed {seed}  {value:.4f}  {row.name}", file=sys.stderr, flush=True)
    return values


def table(wanted: Sequence[Row], values: Mapping[str, Sequence[float]]) -> Iterable[str]:
    """Yield a Markdown table of what was measured."""
    yield "| configuration and code | bits per byte | gain | probability that it is better |"
    yield "|---|---|---|---|"
    found = {name: sample(of) for name, of in values.items()}
    for row in wanted:
        mine, other = found[row.name], found.get(row.against)
        if mine is None:
            yield f"| {row.name} | none: every run failed | | |"
            continue
        versus = difference(mine, other, sign=1.0) if other else None
        gain = f"{versus.gain:+.3f} ± {versus.margin:.3f} on {row.against}" if versus else ""
        probability = probability_text(versus.probability) if versus else ""
        yield f"| {row.name} | {plus_minus(mine)} | {gain} | {probability} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=QUICK_S, choices=[8, 60], help="of training, per run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each with one thread")
    parser.add_argument("--only", nargs="*", default=None, help="names of rows")
    parser.add_argument("--json", type=Path, default=None, help="write all values here")
    args = parser.parse_args()
    wanted = [row for row in rows(args.seconds) if args.only is None or row.name in args.only]
    values = measure(wanted, seeds=args.seeds, jobs=args.jobs)
    if args.json is not None:
        args.json.write_text(json.dumps(values, indent=2), encoding="utf-8")
    print("\n".join(table(wanted, values)))


if __name__ == "__main__":
    main()
