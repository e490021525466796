"""Runs a study over configurations and edits of examples/charlm, with a scripted LLM server.

    python bench/experiments/edits/charlm_study.py --trials 30 --seed 0
    python bench/experiments/edits/charlm_study.py --trials 30 --seed 0 --no-edits

The LLM proposes the edits of charlm_edits.toml (good, useless and bad ones) in an order drawn from the seed, each once
and only where it fits the shown code. Without edits, the sampler tunes only the parameters, with as many trials. Prints
the output of `tunesmith run`, `variants` and, for the best variant, `apply`. Trials run in the sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from fakes.llm.answers import candidates_reply
from fakes.llm.server import Reply, Request, message, serving

from tunesmith.bench.experiments.edits.charlm_edits import CANDIDATES, EXAMPLE, QUICK_S, answer
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec


class ScriptedModel:
    """Answers like a model that has many ideas, good and bad."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._left = list(CANDIDATES)
        self._random.shuffle(self._left)
        self._space = load_spec(EXAMPLE).space

    def __call__(self, request: Request, before: int) -> Reply:
        """Return the next edit that fits the code in the question, or a random point when the question has no code."""
        question = "\n".join(str(m["content"]) for m in request["messages"])
        if "# The code" not in question:
            unit = [self._random.random() for _ in self._space.names]
            return candidates_reply([dict(self._space.from_unit(unit))])
        shown = question.replace("\n| ", "\n")
        name = next((n for n in self._left if self._fits(n, shown)), None)
        if name is None:
            return message(json.dumps({"rationale": "no more ideas", "edits": []}))
        self._left.remove(name)
        return message(json.dumps(answer(name)))

    def _fits(self, name: str, shown: str) -> bool:
        # Edits that never fit are proposed as well, as a model would in error.
        found = [edit["search"] in shown for edit in CANDIDATES[name]["edits"]]
        return all(found) or not any(found)


def make_project(folder: Path, *, trials: int, seconds: float, url: str) -> Path:
    """Copy the example, set its number of trials and seconds of training, and allow edits when there is a `url`."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".tunesmith", "artifacts"))
    file = folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    text = text.replace('CHARLM_SECONDS = "60"', f'CHARLM_SECONDS = "{seconds:g}"')
    text = text.replace("trials = 40", f"trials = {trials}")
    if url:
        text += f'\n[planner]\nmodel = "openai:scripted"\nbase_url = "{url}"\n'
    else:
        before, _, after = text.partition("[edits]")
        text = before + after[after.index("[evaluate]") :]
    file.write_text(text, encoding="utf-8")
    return folder


def tunesmith(folder: Path, *words: str) -> None:
    """Run the command line in the project and show its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OPENAI_API_KEY": "sk-nobody"}
    command = [sys.executable, "-m", "tunesmith.cli.main", *words]
    print(f"\n$ tunesmith {' '.join(words)}", flush=True)
    subprocess.run(command, cwd=folder, env=environment, check=False)


def best_variant(folder: Path) -> str:
    """Return the edited version of the best trial, "" when that ran the example's own code."""
    with History.open(folder / ".tunesmith" / "history.db") as history:
        best = history.best(history.study("charlm"))
    return best.proposal.variant if best is not None and best.proposal.variant.startswith("edit-") else ""


def main() -> None:
    """Run one study and show its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=QUICK_S, help="of training, per trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--no-edits", action="store_true", help="only the sampler, on the example's own code")
    parser.add_argument("--folder", type=Path, default=None, help="keep the study in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept, serving(ScriptedModel(args.seed)) as server:
        target = args.folder or Path(kept) / "charlm"
        url = "" if args.no_edits else server.base_url
        folder = make_project(target.absolute(), trials=args.trials, seconds=args.seconds, url=url)
        tunesmith(folder, "run", "--seed", str(args.seed), "--parallel", str(args.parallel))
        if not args.no_edits:
            tunesmith(folder, "variants")
        if variant := best_variant(folder):
            tunesmith(folder, "apply", variant, "--patch")


if __name__ == "__main__":
    main()
