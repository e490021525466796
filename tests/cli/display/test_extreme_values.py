"""Every display survives any finite value, any width, and any text of a script, a model or a person."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.studies import make_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tunesmith.agent.loop.notices.events import Finished, Note, Observed, Opened, Started
from tunesmith.cli.display.end_summary import end_lines
from tunesmith.cli.display.format import cut, fit, sparkline
from tunesmith.cli.display.live import LiveTable
from tunesmith.cli.display.plain import PlainLines
from tunesmith.cli.display.status_text import status_text
from tunesmith.cli.display.trial_story import trial_story
from tunesmith.cli.session.locate import OpenStudy, open_study
from tunesmith.cli.watch import panels
from tunesmith.cli.watch.snapshot import Snapshot, SnapshotReader
from tunesmith.history.write import Recorder
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, TrialState, Usage
from tunesmith.tools.analysis.confirmation.significance import difference, sample
from tunesmith.tools.report.gather import report_input
from tunesmith.tools.report.html import write_html
from tunesmith.tools.report.markdown import to_markdown

HOSTILE = "\x1b[2J\x1b]0;own\x07\u202egnp.py\u2066 \x9b31m\r\n\ufeff\u6771\u4eac" + "\u0301" * 50 + " end"
VALUES = {
    "opposite ends": [1e308, -1e308, 0.0, 1e308],
    "tiny": [5e-324, -5e-324, 0.0],
    "one": [1.7976931348623157e308],
    "equal": [1e308, 1e308, 1e308],
    "far apart": [1e-308, 1e308, 3.0, -2.5],
}


def write_history(folder: Path, values: list[float], *, replicates: bool) -> None:
    spec = make_spec()
    with Recorder(folder / "history.db", spec, project="", now=1000.0) as recorder:
        for number, value in enumerate(values):
            copies = 3 if replicates and number < 2 else 0
            for copy in range(1 + copies):
                proposal = Proposal(
                    params={"lr": 0.01 + 0.001 * number, "hidden": 64, "optimizer": "adam"},
                    source=Source.DEFAULT if number == copy == 0 else Source.SAMPLER,
                    seed=copy,
                    rationale=HOSTILE,
                    considered=(HOSTILE,),
                    replicate_of=None if copy == 0 else number * (1 + copies),
                )
                running = recorder.record_start(recorder.record_proposal(proposal, 1000.0), 0, 1001.0)
                usage = Usage(wall_s=2.0)
                outcome = Outcome(
                    state=TrialState.COMPLETE, values={"loss": value, "o": -value}, usage=usage, note=HOSTILE
                )
                recorder.record_outcome(running, outcome, 1003.0)
        proposal = Proposal(params={"lr": 0.5, "hidden": 64, "optimizer": "adam"}, source=Source.SAMPLER, seed=1)
        running = recorder.record_start(recorder.record_proposal(proposal, 1000.0), 0, 1001.0)
        failure = Failure(kind=FailureKind.CRASH, reason=HOSTILE, tail=HOSTILE)
        recorder.record_outcome(running, Outcome(state=TrialState.FAILED, failure=failure), 1003.0)


@pytest.fixture(params=[(name, again) for name in VALUES for again in (False, True)], ids=str)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStudy]:
    name, again = request.param
    write_history(tmp_path, VALUES[name], replicates=again)
    found = open_study(Path("small"), tmp_path / "history.db")
    yield found
    found.history.close()


def assert_harmless(text: str) -> None:
    left = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200c\u200d"}
    assert left == set()


@pytest.mark.parametrize("columns", ["1", "23", "80", "300"])
def test_status_and_stories_of_any_values(opened: OpenStudy, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert_harmless(status_text(opened))
    trials = opened.history.trials(opened.record.id)
    for trial in trials:
        assert_harmless(trial_story(opened, trial))
    counts = opened.history.trial_counts(opened.record.id)
    assert_harmless("\n".join(end_lines(report_input(opened.history, opened.record), counts)))


def test_reports_of_any_values(opened: OpenStudy, tmp_path: Path) -> None:
    report = report_input(opened.history, opened.record)
    write_html(report, tmp_path / "report.html")
    assert "\x1b" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert_harmless(to_markdown(report))


def test_watch_of_any_values(opened: OpenStudy) -> None:
    snapshot = SnapshotReader(Path("small"), opened.folder.parent / "history.db").read(None)
    assert isinstance(snapshot, Snapshot)
    for width, height in ((1, 1), (20, 3), (80, 20), (250, 60)):
        for lines in (panels.head(snapshot, width), panels.plot(snapshot, width=width, height=height)):
            assert_harmless("\n".join(lines))
        assert_harmless("\n".join(panels.slots(snapshot, [], width) + panels.why(snapshot, width, most=9)))
    for trial in snapshot.trials:
        assert_harmless(" ".join(panels.row(trial, snapshot)))


@pytest.mark.parametrize("width", [1, 12, 80])
def test_a_run_shows_any_values_at_any_width(opened: OpenStudy, width: int) -> None:
    trials, stream = opened.history.trials(opened.record.id), io.StringIO()
    spec, found = opened.record.spec, opened.history.winner(opened.record)
    shown = io.StringIO()
    displays = [
        PlainLines(spec, stream, width=width),
        LiveTable(spec, clock=lambda: 2000.0, console=Console(file=shown, width=width, force_terminal=False)),
    ]
    best, default = found.trial if found else None, trials[0]
    start = Opened(
        record=opened.record, slots=1, gpus=(), finished=0, requeued=0, best=best, winner=found, default=default,
        budget=Budget(trials=2), estimate="",
    )  # fmt: skip
    for display in displays:
        for event in (start, *(e for t in trials for e in (
            Started(trial=t),
            Observed(trial=t, latest=dict(t.values), step=1e308),
            Finished(trial=t, best=best, winner=found, improved=True, spent=Spent(trials=10**9)),
            Note(text=HOSTILE),
        ))):  # fmt: skip
            display.show(event)
        display.close()
    assert_harmless(stream.getvalue())


@given(st.text(), st.integers(0, 40))
def test_cut_and_fitted_text_takes_the_columns_it_is_given(text: str, width: int) -> None:
    assert cell_len(cut(text, width)) <= width
    assert cell_len(fit(text, width)) == width
    assert_harmless(cut(text, width))


@given(st.lists(st.floats()))
def test_a_sparkline_of_any_numbers(values: list[float]) -> None:
    assert len(sparkline(values)) <= 20


@settings(max_examples=200)
@given(*[st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4)] * 2)
def test_samples_of_any_finite_values_are_compared(first: list[float], second: list[float]) -> None:
    a, b = sample(first), sample(second)
    assert a is not None
    assert b is not None
    found = difference(a, b, sign=1.0)
    assert found is None or 0.0 <= found.probability <= 1.0
