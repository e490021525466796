"""Output without end and files that are none: turns of the loop are bounded, last values count, the rest is said."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.trials import PYTHON, Bench, finish, wait_until
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.output import thinning
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.output.thinning import LineBudget, thinned
from tunesmith.evaluator.readers import metric_reading, report_file
from tunesmith.evaluator.readers.metric_collector import MetricCollector
from tunesmith.evaluator.readers.metric_reading import MAX_TAKEN, MAX_WAITING, ObservationQueue
from tunesmith.evaluator.readers.metrics import MAX_NAMES, MetricReader
from tunesmith.evaluator.readers.report_file import ReportFile
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import FailureKind, TrialState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "BURST_LINES", 1_000)
    monkeypatch.setattr(thinning, "LINES_PER_S", 0)


@given(
    st.lists(st.sampled_from([b"loss=1", b"loss=2", b"acc: 0.5", b"{", b"}", b"epoch 3 loss=-4e5"])), st.integers(1, 9)
)
def test_the_last_line_of_each_kind_stays(lines: list[bytes], most: int) -> None:
    kept = thinned(lines, most)
    assert kept == sorted(set(kept))
    for kind in ({b"loss=1", b"loss=2"}, {b"acc: 0.5"}, {b"{"}, {b"}"}, {b"epoch 3 loss=-4e5"}):
        of_kind = [index for index, line in enumerate(lines) if line in kind]
        assert not of_kind or of_kind[-1] in kept
    assert len(kept) <= 2 * most + 6


def test_ever_new_kinds_of_lines_are_bounded_too() -> None:
    names = [bytes(f"{chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}=1", "ascii") for n in range(5_000)]
    kept = thinned(names, 10)
    assert len(kept) <= thinning.MOST_KINDS + 11
    assert kept[-1] == 4_999


def test_a_burst_is_read_whole_and_a_flood_thinned_until_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "BURST_LINES", 100)
    monkeypatch.setattr(thinning, "LINES_PER_S", 10)
    now = [0.0]
    budget = LineBudget(lambda: now[0])
    lines = [b"loss=%d" % n for n in range(80)]
    assert list(budget.pick(lines)) == list(range(80))
    assert len(budget.pick(lines)) < 45
    assert budget.left_out > 35
    now[0] = 1_000.0
    assert list(budget.pick(lines)) == list(range(80))


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize(
    "script",
    [
        "print('acc=0.25'); [print(f'loss={i}') for i in range(30_001)]",
        "print('acc=0.25'); print('\\n'.join(f'loss={i} step={i}' for i in range(30_001)))",
        "import sys; print('acc=0.25'); sys.stderr.write(''.join(f'INFO loss={i}\\n' for i in range(30_001)))",
        "print('acc=0.25'); print(''.join('{\\n  \"loss\": %d\\n}\\n' % i for i in range(30_001)))",
        "import os; print('acc=0.25'); open(os.environ['TUNESMITH_REPORT'], 'a').write("
        "''.join('{\"values\": {\"loss\": %d}}\\n' % i for i in range(30_001)))",
        "print('acc=0.25'); print('\\n'.join(f'loss={i}' for i in range(30_001)), end='')",
        "print('acc=0.25'); print('\\n'.join(['x' * 60, f'loss={i}'][i % 2] for i in range(60_001)), '\\nloss=30000')",
    ],
)
def test_of_a_flood_the_last_values_count_and_the_rest_is_said(bench: Bench, script: str) -> None:
    outcome = bench.run(script)
    assert outcome.state is TrialState.COMPLETE
    assert outcome.values["loss"] == 30_000
    assert "it wrote too fast" in outcome.note
    assert len(bench.seen) < 30_000


def test_a_trial_whose_output_takes_forever_delays_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading of one trial stops, as a pathological line might make it; the loop's turns continue."""
    released, real = threading.Event(), MetricCollector.collect

    def collect(self: MetricCollector, lines: list[OutputLine]) -> bool:
        if any("stuck" in line.text for line in lines):
            released.wait()
        return real(self, lines)

    monkeypatch.setattr(MetricCollector, "collect", collect)
    bench.write("import sys\nif float(sys.argv[1]) > 0.5: print('loss=1 stuck')\nprint('loss=0.5')")
    evaluator = bench.evaluator({"command": f"{PYTHON} train.py {{lr}}"})
    stuck = bench.start(evaluator, 0, lr=0.9)
    other = bench.start(evaluator, 1, Slot(index=1), lr=0.1)
    turns = [stuck.poll() for _ in range(50)]
    assert turns == [None] * 50
    assert finish(other).values == {"loss": 0.5}
    assert stuck.poll() is None
    released.set()
    assert finish(stuck).values == {"loss": 0.5}


def test_a_turn_takes_a_bounded_number_of_observations() -> None:
    queue = ObservationQueue()
    observation = Observation("loss", 1.0, 1.0, 1.0)
    writer = threading.Thread(target=lambda: [queue.put(observation) for _ in range(2 * MAX_WAITING)])
    writer.start()
    wait_until(lambda: len(queue) == MAX_WAITING)
    taken = 0
    while taken < 2 * MAX_WAITING:
        found = queue.take()
        assert len(found) <= MAX_TAKEN
        assert len(queue) <= MAX_WAITING
        taken += len(found)
    writer.join()


def test_a_fault_of_the_reading_fails_its_trial_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: MetricReader, line: Any) -> list[Observation]:
        if "bad" in line.text:
            raise RuntimeError("a fault")
        return [Observation("loss", 1.0, 0.5, 1.0)]

    monkeypatch.setattr(MetricReader, "from_line", broken)
    outcome = bench.run("print('loss bad')")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.NO_METRIC
    assert "could not be read (RuntimeError: a fault)" in outcome.failure.reason
    assert bench.run("print('loss good')").values == {"loss": 0.5}


def test_ever_new_names_are_not_remembered_without_end() -> None:
    reader = MetricReader(["loss"], lambda: 1.0)
    for n in range(3 * MAX_NAMES):
        reader.from_report(f'{{"values": {{"loss": {n}, "a{n}": 1}}}}')
        reader.from_line(f"loss={n} b{n}=1")

    assert len(reader._counts) <= MAX_NAMES + 1
    assert len(reader._origin) <= MAX_NAMES + 1


def as_pipe(path: Path, other: Path) -> None:  # noqa: ARG001
    os.mkfifo(path)


def as_link(path: Path, other: Path) -> None:
    path.symlink_to(other)


def as_hard_folder(path: Path, other: Path) -> None:  # noqa: ARG001
    path.mkdir()


def as_device(path: Path, other: Path) -> None:  # noqa: ARG001
    path.symlink_to("/dev/zero")


def as_loop(path: Path, other: Path) -> None:  # noqa: ARG001
    path.symlink_to(path)


def as_nothing(path: Path, other: Path) -> None:
    pass


@pytest.mark.parametrize("make", [as_pipe, as_link, as_hard_folder, as_device, as_loop, as_nothing])
def test_only_a_file_is_read_as_a_report(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    other = tmp_path / "other"
    other.write_text('{"values": {"loss": 1}}\n')
    make(tmp_path / "report", other)
    report = ReportFile(tmp_path / "report")
    report.skip_to_end()
    assert report.lines() == report.last_line() == []
    assert not report.has_more


def test_what_a_report_holds_too_much_of_at_the_end_is_passed_over_and_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_reading, "MAX_END_S", 0.0)
    monkeypatch.setattr(report_file, "MAX_REPORT_READ_BYTES", 1_000)
    script = """
    import os
    with open(os.environ["TUNESMITH_REPORT"], "a") as out:
        for i in range(60_001):
            out.write('{"values": {"loss": %d}}\\n' % i)
    """
    outcome = bench.run(script)
    assert outcome.values == {"loss": 60_000}
    assert "of its report were passed over, but not the end" in outcome.note
