"""The load test against a real server: what it sends, what it measures, and what it says of failures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.projects import invoke
from fakes.servers import served

from tunesmith.study.errors import ProjectError
from tunesmith.tools.load_test.client import Answer, run_load
from tunesmith.tools.load_test.summary import summarize
from tunesmith.tools.load_test.workload import LoadSpec, arrival_times, prompts_of

pytest.importorskip("httpx", reason="the package httpx is not installed")
SMALL = LoadSpec(requests=6, concurrency=3, input_tokens=8, output_tokens=5, warmup=0)


@pytest.fixture(scope="module")
def server():
    with served("--max-model-len", "64") as address:
        yield address


def test_the_same_seed_is_the_same_load() -> None:
    assert prompts_of(SMALL) == prompts_of(SMALL)
    assert prompts_of(SMALL) != prompts_of(replace(SMALL, seed=1))
    timed = replace(SMALL, rate=5.0, requests=2000)
    assert arrival_times(timed) == arrival_times(timed)
    assert arrival_times(timed)[-1] == pytest.approx(2000 / 5, rel=0.1)


@pytest.mark.parametrize("is_chat", [True, False])
def test_tokens_and_times_of_each_request_are_measured(server: str, is_chat: bool) -> None:
    answers = asyncio.run(run_load(replace(SMALL, is_chat=is_chat), f"{server}/v1"))
    assert [(a.error, a.tokens) for a in answers] == [("", 5)] * 6
    assert all(a.due_at < a.first_at < a.last_at for a in answers)
    found = summarize(answers).metrics
    assert found["throughput"] == pytest.approx(30 / found["duration"])


def test_requests_that_fail_are_counted_with_their_reason(server: str, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    lines = [{"prompt": "short"}, {"messages": [{"role": "user", "content": "word " * 80}]}]
    prompts.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    answers = asyncio.run(run_load(replace(SMALL, prompts=prompts), server))
    summary = summarize(answers)
    assert summary.metrics["errors"] == 0.5
    ((reason, count),) = summary.errors
    assert count == 3
    assert reason.startswith("HTTP 400: ")
    assert "maximum context length is 64" in reason


def test_latencies_are_of_answers_only_and_count_the_wait_for_a_place() -> None:
    answers = [
        Answer(due_at=0.0, first_at=1.0, last_at=2.0, tokens=11),
        Answer(due_at=1.0, first_at=1.5, last_at=1.5, tokens=1),
        Answer(due_at=0.0, error="HTTP 500"),
    ]
    found = summarize(answers).metrics
    assert (found["errors"], found["completed"]) == (pytest.approx(1 / 3), 2)
    assert (found["throughput"], found["ttft_p50"], found["tpot_mean"]) == (6.0, 0.75, 0.1)
    assert summarize([Answer(due_at=0.0, error="x")]).metrics == {
        "throughput": 0.0, "request_throughput": 0.0, "completed": 0.0, "errors": 1.0,
    }  # fmt: skip


def test_a_rate_sends_at_random_times(server: str) -> None:
    answers = asyncio.run(run_load(replace(SMALL, rate=100.0), server))
    assert len({a.due_at for a in answers}) == 6
    assert [a.due_at for a in answers] == sorted(a.due_at for a in answers)


def test_the_command_prints_and_writes_what_it_measured(server: str, tmp_path: Path) -> None:
    words = ("--requests", "4", "--input-tokens", "4", "--output-tokens", "3", "--warmup", "1")
    done = invoke("load-test", server, *words, "--result", "found.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 requests answered" in done.stdout
    written = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert written["errors"] == 0
    assert written["throughput"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("http://127.0.0.1:9",), "does not answer"),
        (("{server}", "--body", "[1]"), "--body must be a JSON object"),
        (("{server}", "--prompts", "none.txt"), "the prompts in none.txt cannot be read"),
        (("{server}", "--input-tokens", "99"), "no request of the warm-up"),
        (("{server}", "--input-tokens", "99", "--warmup", "0"), "no request succeeded: HTTP 400"),
    ],
)
def test_what_goes_wrong_is_said(server: str, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = invoke("load-test", *(word.format(server=server) for word in words), cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"x": 1}', "line 1: has no key"),
        ("a.jsonl", "{", "line 1: is not JSON"),
        ("a.txt", "\n\n", "has no prompts"),
    ],
)
def test_a_file_of_prompts_with_mistakes_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError, match=message):
        prompts_of(replace(SMALL, prompts=tmp_path / name))
