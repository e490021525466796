"""Output as it arrives: in pieces of any size, with any line ends, and in floods."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.trials import PYTHON, Bench, finish
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.evaluator.output.output_line import MAX_LINES, OutputLine
from tunesmith.evaluator.output.streams import CappedLog, LineQueue, Pump
from tunesmith.evaluator.readers import metric_collector
from tunesmith.study.trials.trial import TrialState


def pumped(pieces: Sequence[bytes], words: Sequence[str] = ("loss",)) -> list[OutputLine]:
    """Return what a pump passes on when the stream arrives in these pieces."""
    found: list[OutputLine] = []
    read_end, write_end = os.pipe()
    os.close(write_end)
    log = CappedLog(Path(os.devnull), 1000)
    pump = Pump(read_end, log, found.append, words)
    for piece in pieces:
        pump._split(piece)
    pump.run()
    log.close()
    return found


def in_pieces(data: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)  # noqa: S311  # where a stream is cut
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


LINES = [
    b"loss=0.5\n", b"noise\n", b"loss=0.4\r\n", b"\xff\xfe loss=0.3\n", b"10%\rloss=0.2\r",
    b"\x1b[35mlo\x1b[0mss loss=1\n",
    b'{\n"loss": 1,\n"epoch": 2\n}\n', b"epoch loss\n1 0.5\n2 0.4\n", b"\n", b"\r\n", b"{", b"}\n", b"LOSS 3\n",
    b"x" * 50 + b"\n",
]  # fmt: skip


@settings(max_examples=300)
@given(
    lines=st.lists(st.sampled_from(LINES), max_size=8),
    seed=st.integers(0, 10**6),
    end=st.sampled_from([b"", b"loss=9"]),
)
def test_where_a_stream_is_cut_changes_nothing(lines: list[bytes], seed: int, end: bytes) -> None:
    data = b"".join(lines) + end
    assert pumped(in_pieces(data, seed)) == pumped([data] if data else [])


def test_a_last_line_without_its_end_counts() -> None:
    assert pumped([b"x\nlo", b"ss=0.5"]) == [OutputLine("loss=0.5", "stdout", 2)]


def test_lines_are_numbered_as_an_editor_does() -> None:
    data = b"a\r\nb\rc\nloss=1\n" + b"noise\n" * 20_000 + b"loss=2"
    assert [line.number for line in pumped([data[i : i + 777] for i in range(0, len(data), 777)])] == [3, 20_004]


def test_a_progress_bar_is_read_while_it_is_rewritten() -> None:
    assert [line.text for line in pumped([b"loss=3\rlo", b"ss=2\rloss=1\r"])] == ["loss=3", "loss=2", "loss=1"]


def test_half_of_a_line_that_is_too_long_is_no_metric() -> None:
    pieces = [b"x" * 2**16] * 20 + [b"val_loss=12345", b" loss=0.5\n"]
    assert [line.text.split()[-1] for line in pumped(pieces)] == ["loss=0.5"]


def test_a_full_queue_waits_for_its_reader() -> None:
    queue = LineQueue()
    writer = threading.Thread(target=lambda: [queue.put(OutputLine("x")) for _ in range(40_000)])
    writer.start()
    taken = 0
    while taken < 40_000:
        lines = queue.take()
        assert len(lines) <= MAX_LINES
        taken += len(lines)
    writer.join()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


BURST = """
import os
with open(os.environ["TUNESMITH_REPORT"], "a") as out:
    for i in range(60_000):
        out.write('{"step": %d, "values": {"loss": %d}, "at": 1.5}\\n' % (i, i))
"""


def test_a_report_is_read_to_its_end_before_the_trial_is_judged(bench: Bench) -> None:
    outcome = bench.run(BURST)
    assert (outcome.state, outcome.values, outcome.note) == (TrialState.COMPLETE, {"loss": 59_999}, "")
    assert [o.step for o in bench.seen] == list(range(60_000))


def test_output_is_read_to_its_end_before_the_trial_is_judged(bench: Bench) -> None:
    outcome = bench.run("for i in range(30_000): print(f'step {i} loss={i}')")
    assert outcome.values == {"loss": 29_999}
    assert [o.step for o in bench.seen] == list(range(30_000))


def test_a_report_without_a_last_line_break_counts(bench: Bench) -> None:
    script = """
    import os
    open(os.environ["TUNESMITH_REPORT"], "a").write('{"step": 1, "values": {"loss": 0.5}}')
    """
    assert bench.run(script).values == {"loss": 0.5}


def test_points_beyond_the_limit_are_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_collector, "MAX_OBSERVATIONS", 10)
    outcome = bench.run("for i in range(25): print(f'loss={i}')")
    assert outcome.values == {"loss": 24}
    assert len(bench.seen) == 10
    assert outcome.note == "kept the first 10 of its 25 reported numbers, and the last of each metric"


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("import logging; logging.basicConfig(level='INFO'); logging.info('loss=0.41')", 0.41),
        ("import sys; sys.stderr.write('INFO loss=0.9\\n'); sys.stderr.flush(); print('loss=0.41')", 0.41),
        ("import json; print(json.dumps({'loss': 0.41, 'epoch': 1}, indent=2))", 0.41),
        ("import pprint; pprint.pprint({'loss': 0.41, 'epochs': list(range(40))})", 0.41),
        ("print('epoch loss'); print('1 0.9'); print('2 0.41')", 0.41),
        ("print('\\x1b[35mLoss\\x1b[0m: \\x1b[1m0.41\\x1b[0m')", 0.41),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe loss=0.41')", 0.41),
        ("print('loss=0.9', end='\\r'); print('loss=0.41', end='\\r')", 0.41),
    ],
)
def test_a_metric_is_read_as_scripts_print_it(bench: Bench, script: str, value: float) -> None:
    assert bench.run(script).values["loss"] == value


@pytest.mark.parametrize(
    ("script", "run", "reason"),
    [
        (
            "import sys; sys.stderr.write('x\\nloss=0.4\\n')",
            {"metrics_from": ["stdout"]},
            "line 2 of standard error, not",
        ),
        (
            "print('loss = 12ms')",
            {},
            "line 1 of standard output has a number that cannot be read",
        ),
        ("print('train loss: 0.4')", {}, "line 1 of standard output has `train loss`, which is another metric"),
        ("print('val loss: 0.4'); print('test loss: 0.3')", {}, "the output has `val loss` and `test loss`"),
        ("pass", {"metrics_from": ["out/*.json"]}, "no file out/*.json was written ([run].metrics_from)"),
    ],
)
def test_a_missing_metric_says_where_its_name_was(bench: Bench, script: str, run: dict[str, Any], reason: str) -> None:
    outcome = bench.run(script, f"{PYTHON} train.py", **run)
    assert outcome.failure is not None
    assert outcome.failure.kind.value == "no_metric"
    assert reason in outcome.failure.reason


def test_a_flood_of_lines_is_read_in_turns(bench: Bench) -> None:
    bench.write("for i in range(20_000): print(f'loss={i}')")
    evaluation = bench.start(bench.evaluator({"command": f"{PYTHON} train.py"}))
    most = turns = seen = 0
    while evaluation.poll() is None:
        most, seen, turns = max(most, len(bench.seen) - seen), len(bench.seen), turns + 1
    assert most <= MAX_LINES
    assert turns >= 20_000 // MAX_LINES
    assert finish(evaluation).values == {"loss": 19_999}
