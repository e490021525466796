"""Runs a study over configurations and edits with recorded ideas, given by a scripted LLM server.

    python bench/experiments/edits/replay.py ripples --trials 12 --seed 0
    python bench/experiments/edits/replay.py charlm --trials 15 --seed 0 --seconds 2 --strategy greedy
    python bench/experiments/edits/replay.py charlm --trials 30 --seed 0 --no-edits

The LLM proposes the recorded ideas (good, useless and bad ones) in their order, which is that of a strong model, or
with --shuffled in one drawn from the seed; each once and only where it fits the shown code. --first puts one idea at a
place of its own in that order. Configurations
are drawn at random. Without edits, the sampler tunes only the parameters, with as many trials. Prints the trials with
their version and, for each idea, how many trials passed between its proposal and its first one. Trials run in the
sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from fakes.llm.answers import candidates_reply
from fakes.llm.server import Reply, Request, message, serving

from tunesmith.bench.experiments.edits.banks import bank
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Trial
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, short_id

HERE = Path(__file__).resolve().parent
PROJECTS = {**bank.PROJECTS, "ripples": HERE / "ripples"}
QUICK_S = 8
"""Seconds of training of a trial of charlm."""


class ScriptedModel:
    """Answers like a model that has many ideas, good and bad.

    Args:
        project: the folder of the study.
        ideas: the recorded ones, by name.
        seed: of their order and of the configurations.
        per_answer: ideas in one answer.
        is_shuffled: whether the seed draws the order of the ideas.
    """

    def __init__(
        self,
        project: Path,
        ideas: Mapping[str, Mapping[str, Any]],
        *,
        seed: int,
        per_answer: int,
        is_shuffled: bool,
    ) -> None:
        self._random = random.Random(seed)
        self._ideas = ideas
        self._left = list(ideas)
        if is_shuffled:
            self._random.shuffle(self._left)
        self._space = load_spec(project).space
        self._per_answer = per_answer
        self.questions: list[str] = []

    def __call__(self, request: Request, before: int) -> Reply:
        """Return the next ideas that fit the code in the question, or a random point when the question has no code."""
        question = "\n".join(str(m["content"]) for m in request["messages"])
        if "# The code" not in question:
            self.questions.append("configurations")
            unit = [self._random.random() for _ in self._space.names]
            return candidates_reply([dict(self._space.from_unit(unit))])
        shown = question.replace("\n| ", "\n")
        wanted = min(self._per_answer, int(found[1]) if (found := re.search(r"up to (\d+) ideas", question)) else 1)
        names = [name for name in self._left if self._fits(name, shown)][:wanted]
        self._left = [name for name in self._left if name not in names]
        self.questions.append(", ".join(names) or "edits, none left")
        return message(json.dumps({"ideas": [self._answer(name) for name in names], "joins": [], "trials": []}))

    def _answer(self, name: str) -> dict[str, Any]:
        idea = self._ideas[name]
        predicted = idea.get("predicted", idea.get("predicted_mean"))
        kept = {key: idea[key] for key in ("direction", "edits")}
        # The name leads, so that the versions of a study can be distinguished afterwards.
        rationale = f"{name}: {idea['rationale']}"
        return {
            **kept,
            "rationale": rationale,
            "predicted": predicted,
            "params": idea.get("params", {}),
            "new_params": [],
        }

    def _fits(self, name: str, shown: str) -> bool:
        # Ideas that never fit are proposed as well, as a model would in error.
        found = [edit["search"].rstrip("\n") in shown for edit in self._ideas[name]["edits"]]
        return all(found) or not any(found)


def ideas_of(project: str) -> dict[str, Mapping[str, Any]]:
    """Return the recorded ideas for a project, by name."""
    if project in bank.PROJECTS:
        found = bank.documents(project)
    else:
        found = tomllib.loads((HERE / f"{project}_edits.toml").read_text(encoding="utf-8"))["candidates"]
    return {candidate["name"]: candidate for candidate in found}


def with_place(ideas: Mapping[str, Mapping[str, Any]], name: str, place: int) -> dict[str, Mapping[str, Any]]:
    """Return the ideas with one of them moved to a place in their order; without a name, as they are."""
    names = [other for other in ideas if other != name]
    names = [*names[:place], *([name] if name else []), *names[place:]]
    return {other: ideas[other] for other in names}


def make_project(source: Path, folder: Path, *, trials: int, seconds: float, url: str, strategy: str) -> Path:
    """Copy a project, set its number of trials and charlm's seconds, and allow edits when there is a `url`."""
    ignored = shutil.ignore_patterns("__pycache__", ".tunesmith", "artifacts", "ideas.toml", "measured.json")
    shutil.copytree(source, folder, ignore=ignored)
    file = folder / "study.toml"
    text = re.sub(r"(?m)^trials = \d+$", f"trials = {trials}", file.read_text(encoding="utf-8"))
    text = text.replace('CHARLM_SECONDS = "60"', f'CHARLM_SECONDS = "{seconds:g}"')
    before, _, after = text.partition("[edits]\n")
    if url:
        planner = f'[planner]\nmodel = "openai:scripted"\nbase_url = "{url}"\n'
        text = f'{before}[edits]\nstrategy = "{strategy}"\n{after}\n{planner}'
    else:
        text = before + after[after.index("[evaluate]") :]
    file.write_text(text, encoding="utf-8")
    return folder


def tunesmith(folder: Path, *words: str) -> None:
    """Run the command line in the project and show its output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "OPENAI_API_KEY": "sk-nobody"}
    command = [sys.executable, "-m", "tunesmith.cli.main", *words]
    print(f"\n$ tunesmith {' '.join(words)}", flush=True)
    subprocess.run(command, cwd=folder, env=environment, check=False)


def story(trials: list[Trial], variants: list[Variant], metric: str) -> Iterator[str]:
    """Yield a line for each trial, then one for each version with the trials between its proposal and its first one."""
    names = {v.id: f"{v.rationale.partition(':')[0]} ({short_id(v.id)})" for v in variants if v.is_edited}
    for trial in trials:
        if not trial.is_replicate:
            value = short_number(trial.values[metric]) if metric in trial.values else trial.state.value
            yield f"{trial.number:3d}  {value:>8}  {names.get(trial.proposal.code, 'own code')}"
    for variant in variants:
        if variant.is_edited:
            ran = [t for t in trials if t.proposal.code == variant.id and not t.is_replicate]
            between = sum(variant.created_at < t.created_at < ran[0].created_at for t in trials) if ran else 0
            wait = f"first trial {ran[0].number}, {between} trials after its proposal" if ran else "never ran"
            yield f"{names[variant.id]}: {variant.state.value}, {wait}{f'; {variant.reason}' if variant.reason else ''}"


def main() -> None:
    """Run one study and show its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", choices=sorted(PROJECTS))
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategy", default="adaptive")
    parser.add_argument("--seconds", type=float, default=QUICK_S, help="CPU seconds of training of a trial of charlm")
    parser.add_argument(
        "--first", default="", help="an idea that comes after --after others, as in --first ngram_counts"
    )
    parser.add_argument("--after", type=int, default=3, help="number of ideas before that one")
    parser.add_argument("--per-answer", type=int, default=1, help="ideas in one answer")
    parser.add_argument("--shuffled", action="store_true", help="the seed draws the order of the ideas")
    parser.add_argument("--no-edits", action="store_true", help="only the sampler, on the project's own code")
    parser.add_argument("--folder", type=Path, default=None, help="keep the study in this folder")
    args = parser.parse_args()
    source = PROJECTS[args.project]
    model = ScriptedModel(
        source,
        with_place(ideas_of(args.project), args.first, args.after),
        seed=args.seed,
        per_answer=args.per_answer,
        is_shuffled=args.shuffled,
    )
    with tempfile.TemporaryDirectory() as kept, serving(model) as server:
        target = args.folder or Path(kept) / args.project
        url = "" if args.no_edits else server.base_url
        folder = make_project(
            source, target.absolute(), trials=args.trials, seconds=args.seconds, url=url, strategy=args.strategy
        )
        tunesmith(folder, "run", "--seed", str(args.seed))
        with History.open(folder / ".tunesmith" / "history.db") as history:
            record = history.study(args.project)
            trials, variants = list(history.trials(record.id)), history.variants(record.id)
        print("\n".join(story(trials, variants, record.spec.objectives[0].metric)))
        print(f"questions: {'; '.join(model.questions)}")


if __name__ == "__main__":
    main()
