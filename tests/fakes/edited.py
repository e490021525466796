"""A project with edits by a study: its files, and a history with three edits and their trials."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.studies import failed, make_spec

from tunesmith.history.write import Recorder
from tunesmith.study.trials.replicates.seeds import confirming_seed
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState, Usage
from tunesmith.study.variant import Variant, VariantState

SCRIPT = """\
import sys

RATE = float(sys.argv[1])


def schedule(step):
    return RATE


def main():
    for step in range(3):
        print(f"loss={schedule(step)}")


main()
"""
EDITED = SCRIPT.replace("    return RATE\n", "    return RATE / (1 + step)\n")
MORE = EDITED.replace("range(3)", "range(5)")
BASE, GOOD, BROKEN, TWICE = "b" * 16, "edit-9" + "a" * 15, "edit-9" + "c" * 15, "edit-8" + "d" * 15


def diff_of(before: str, after: str, path: str = "train.py") -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _variant(name: str, parent: str, before: str, after: str, **more: Any) -> Variant:
    diff = diff_of(before, after)
    return Variant(id=name, parent=parent, files={"train.py": after}, diff=diff, author="llm", **more)


VARIANTS = (
    Variant(id=BASE, files={"train.py": SCRIPT}, created_at=1000.0),
    _variant(
        GOOD,
        BASE,
        SCRIPT,
        EDITED,
        direction="schedule",
        rationale="The rate never falls.\nLet it fall.",
        created_at=1001.0,
    ),
    _variant(
        BROKEN,
        BASE,
        SCRIPT,
        ")\n",
        rationale="\x1b[31mShorter.",
        state=VariantState.BROKEN,
        reason="crash",
        created_at=1002.0,
    ),
    _variant(TWICE, GOOD, EDITED, MORE, direction="efficiency", rationale="Five steps do.", created_at=1003.0),
)


@dataclass(frozen=True)
class EditedProject:
    """A project and its history, in which trials ran three versions of the code."""

    project: Path

    @property
    def history(self) -> Path:
        return self.project / ".tunesmith" / "history.db"


def make_edited_project(project: Path, *, is_confirmed: bool = True, is_tuned_confirmed: bool = True) -> EditedProject:
    """Write the project and its history. The good edit reduces the default's loss by a quarter and takes 50% longer.

    Args:
        project: the folder to write.
        is_confirmed: whether the best trial and the default were repeated on fresh seeds.
        is_tuned_confirmed: whether the best configuration of the user's code was repeated as well.
    """
    project.mkdir(parents=True, exist_ok=True)
    (project / "train.py").write_text(SCRIPT, encoding="utf-8")
    (project / "study.toml").write_text('[study]\nname = "small"\nmetric = "loss"\n', encoding="utf-8")
    spec = make_spec(study={"name": "small", "metric": "loss"})
    with Recorder(project / ".tunesmith" / "history.db", spec, project=str(project), now=1000.0) as recorder:
        for variant in VARIANTS:
            recorder.record_variant(variant)
        default = _run(recorder, BASE, [1.0], source=Source.DEFAULT)
        tuned = _run(recorder, BASE, [0.9], lr=0.02)
        best = _run(recorder, GOOD, [0.7], lr=0.03, wall_s=3.0)
        _run(recorder, BROKEN, [])
        if is_confirmed:
            _confirm(recorder, default, [1.0, 1.02, 0.98, 1.01, 0.99], BASE)
        if is_confirmed and is_tuned_confirmed:
            _confirm(recorder, tuned, [0.91, 0.93, 0.92, 0.94, 0.9], BASE)
        if is_confirmed:
            _confirm(recorder, best, [0.75, 0.76, 0.74, 0.77, 0.73], GOOD, wall_s=3.0)
    return EditedProject(project)


def _run(
    recorder: Recorder,
    variant: str,
    losses: Sequence[float],
    *,
    lr: float = 0.001,
    source: Source = Source.LLM,
    wall_s: float = 2.0,
    seed: int = 0,
    replicate_of: int | None = None,
) -> Trial:
    proposal = Proposal(
        params={"lr": lr, "hidden": 64, "optimizer": "adam"},
        source=source,
        seed=seed,
        rationale="because",
        variant=variant,
        replicate_of=replicate_of,
    )
    trial = recorder.record_start(recorder.record_proposal(proposal, 1010.0), 0, 1010.0)
    usage = Usage(wall_s=wall_s, cpu_s=1.5, peak_rss_gib=0.25)
    outcome = failed(reason="SyntaxError") if not losses else None
    outcome = outcome or Outcome(state=TrialState.COMPLETE, values={"loss": losses[0]}, usage=usage)
    return recorder.record_outcome(trial, outcome, 1012.0)


def _confirm(recorder: Recorder, trial: Trial, losses: Sequence[float], variant: str, *, wall_s: float = 2.0) -> None:
    for index, loss in enumerate(losses):
        seed = confirming_seed(0, index)
        lr = float(str(trial.params["lr"]))
        _run(
            recorder, variant, [loss], lr=lr, seed=seed, source=Source.CONFIRM, replicate_of=trial.number, wall_s=wall_s
        )
