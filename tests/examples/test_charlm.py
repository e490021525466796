"""examples/charlm: what its judge accepts and refuses, its budget of time, and the edits that benchmarks try on it."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunesmith.study.config.load import load_spec
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState

torch = pytest.importorskip("torch", reason="needs the package torch")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "charlm"
EDITS_FILE = ROOT / "bench" / "experiments" / "edits" / "charlm_edits.toml"
EDITS = tomllib.loads(EDITS_FILE.read_text(encoding="utf-8"))["candidates"]


TEXT = np.frombuffer(b"def main() -> None:\n    print('so it goes')\n\n\nclass Kept(list):\n    pass\n" * 600, np.uint8)
NAMES = ("data", "budget", "checkpoint", "evaluate", "train")


@pytest.fixture(scope="module")
def charlm() -> Iterator[SimpleNamespace]:
    """The example's modules. They are imported by bare names, as they are in a trial."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    finally:
        sys.path.remove(str(EXAMPLE))
        for name in NAMES:
            del sys.modules[name]


class Bytewise(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Knows which byte follows which, from a table; `sees` bytes ahead, and `blends` its texts with each other."""

    def __init__(self, *, sees: int = 0, blends: bool = False, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = torch.nn.Parameter(torch.randn(256, 256, generator=generator))
        self.sees, self.blends, self.scale, self.shift = sees, blends, scale, shift

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = self.table[tokens]
        if self.sees:
            logits = logits + 20 * torch.nn.functional.one_hot(tokens.roll(-self.sees, dims=1), num_classes=256)
        if self.blends:
            logits = logits + logits.mean(dim=0, keepdim=True)
        return logits * self.scale + self.shift


def judged(charlm: SimpleNamespace, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    """Return what the judge prints, or the message that it ends with."""
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--artifacts", str(folder)])
    monkeypatch.setattr(charlm.evaluate, "held_out_text", lambda: TEXT)
    monkeypatch.setattr(charlm.evaluate, "TEXTS", 2 * charlm.data.ROWS)
    try:
        charlm.evaluate.main()
    except SystemExit as end:
        return str(end.code)
    printed: str = capsys.readouterr().out
    return printed


def score(charlm: SimpleNamespace, model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    charlm.checkpoint.save(model, folder)
    return judged(charlm, folder, monkeypatch, capsys)


def test_a_trial_trains_and_saves_what_the_judge_reads(
    charlm: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "CHARLM_SECONDS": "0.3"}
    env["TUNESMITH_ARTIFACTS"] = str(tmp_path)
    env.pop("TUNESMITH_REPORT", None)
    words = [
        sys.executable,
        "-m",
        "budget",
        "train.py",
        "--width",
        "16",
        "--layers",
        "1",
        "--heads",
        "2",
        "--seed",
        "3",
    ]
    done = subprocess.run(words, cwd=EXAMPLE, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"val_bpb=(\d+\.\d+)\n", judged(charlm, tmp_path, monkeypatch, capsys))
    assert found is not None
    assert 1 < float(found[1]) < 9  # 8 bits are a guess


def test_a_saved_model_says_what_the_model_said(charlm: SimpleNamespace, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = charlm.train.GPT(16, 2, 2, 0.1)
    charlm.checkpoint.save(model, tmp_path)
    tokens = torch.randint(256, (charlm.data.ROWS, charlm.data.CONTEXT))
    loaded = charlm.checkpoint.load(tmp_path)
    assert torch.allclose(loaded(tokens), model.eval()(tokens), atol=1e-5)
    assert torch.equal(loaded(tokens), loaded(tokens))


def test_scores_are_normalized_by_the_judge(
    charlm: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = score(charlm, Bytewise(), tmp_path, monkeypatch, capsys)
    assert re.fullmatch(r"val_bpb=\d+\.\d+\n", honest)
    shifted = score(charlm, Bytewise(shift=100.0), tmp_path, monkeypatch, capsys)
    assert float(shifted.split("=")[1]) == pytest.approx(float(honest.split("=")[1]), abs=1e-4)


@pytest.mark.parametrize("model", [{"sees": 1}, {"sees": 40}, {"blends": True}], ids=str)
def test_a_model_that_sees_what_it_must_not_is_refused(
    charlm: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: dict[str, Any],
) -> None:
    assert "it must not see them" in score(charlm, Bytewise(**model), tmp_path, monkeypatch, capsys)


def test_nan_is_told_as_nan_and_a_wrong_shape_is_refused(
    charlm: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(charlm, Bytewise(scale=float("nan")), tmp_path, monkeypatch, capsys) == "val_bpb=nan\n"
    wrong = torch.nn.Embedding(256, 7)
    assert "the model answers with (32, 128, 7)" in score(charlm, wrong, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "operation", ["aten.from_file.default", "os.system", "prims.add.default", "aten.add._dir", "aten.no"]
)
def test_a_checkpoint_holds_operations_of_aten_alone(
    charlm: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    operation: str,
) -> None:
    charlm.checkpoint.save(Bytewise(), tmp_path)
    path = tmp_path / "model.json"
    graph = json.loads(path.read_text())
    graph["steps"][0]["operation"] = operation
    path.write_text(json.dumps(graph))
    assert "the model cannot be loaded" in judged(charlm, tmp_path, monkeypatch, capsys)
    path.unlink()
    assert "the model cannot be loaded" in judged(charlm, tmp_path, monkeypatch, capsys)


def test_held_out_files_are_no_training_files(charlm: SimpleNamespace) -> None:
    training, held_out = charlm.data.training_text().tobytes(), charlm.data.held_out_text().tobytes()
    assert len(training) > 4 * len(held_out) > 1_000_000
    pieces = [held_out[start : start + 400] for start in range(0, len(held_out), len(held_out) // 50)]
    assert sum(piece in training for piece in pieces) == 0


def test_a_script_that_ignores_the_clock_is_ended(charlm: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("while True: pass\n", encoding="utf-8")
    env = {**os.environ, "CHARLM_SECONDS": str(1 - charlm.budget.GRACE_S)}
    words = [sys.executable, str(EXAMPLE / "budget.py"), "endless.py"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    if not Path("/dev/nvidiactl").exists():
        assert done.returncode > 0
        assert "more than 1 CPU seconds" in done.stderr


def modules() -> ModuleType:
    sys.path.insert(0, str(ROOT / "bench" / "experiments" / "edits"))
    try:
        return importlib.import_module("charlm_edits")
    finally:
        sys.path.remove(str(ROOT / "bench" / "experiments" / "edits"))


def test_sound_edits_fit_in_any_order_and_compile() -> None:
    source = (EXAMPLE / "train.py").read_text(encoding="utf-8")
    sound = [edit["name"] for edit in EDITS if edit["kind"] in ("good", "neutral")]
    assert len(sound) >= 5
    for seed in range(20):
        random.Random(seed).shuffle(sound)
        compile(modules().edited(sound, source), "train.py", "exec")


def test_every_answer_has_the_form_of_the_edit_planner() -> None:
    assert len({edit["name"] for edit in EDITS}) == len(EDITS)
    for edit in EDITS:
        answer = modules().answer(edit["name"])
        assert set(answer) == {
            "edits", "direction", "params", "new_params", "rationale", "predicted_mean"
        }  # fmt: skip
        assert {key for one in answer["edits"] for key in one} == {"path", "search", "replace"}
        assert json.loads(json.dumps(answer)) == answer
        assert ("expect" in edit) == (edit["kind"] == "bad")
        assert ("of" in edit) == (edit["kind"] == "duplicate")


def test_the_gate_lets_sound_edits_through_and_stops_what_it_should() -> None:
    making = pytest.importorskip("tunesmith.tools.variants.build")
    gate = importlib.import_module("tunesmith.tools.variants.rules")
    spec = load_spec(EXAMPLE)
    assert spec.edits is not None
    rules = gate.GateRules(
        editable=spec.edits.files,
        protected=spec.edits.protect,
        command=spec.run.command,
        space=spec.space,
        metrics=spec.study.metric,
        has_judge=True,
    )
    root = Variant(id="0" * 16, files={"train.py": (EXAMPLE / "train.py").read_text(encoding="utf-8")})
    known = {root.id: root}
    states: dict[str, str] = {}
    for edit in EDITS:
        change = making.EditProposal(edits=[Edit(**block) for block in edit["edits"]], author="llm")
        try:
            made = making.make_variant(change, root, known, rules)
        except EditRefused:
            states[edit["name"]] = "refused"
            continue
        states[edit["name"]] = made.state.value
        if made.state is VariantState.SOUND:
            known[made.id] = made
    for edit in EDITS:
        is_stopped = edit.get("expect", "").startswith("the gate")
        expected = "refused" if is_stopped else "duplicate" if edit.get("is_seen") else "sound"
        assert states[edit["name"]] == expected, edit["name"]
