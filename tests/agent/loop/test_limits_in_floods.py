"""Ctrl-C, SIGTERM and the deadline end a run although its trials print without end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from fakes.projects import command, events, make_project, start

from tunesmith.cli.exits import DONE, INTERRUPTED, NOTHING_COMPLETE
from tunesmith.history.read import History
from tunesmith.study.trials.trial import TrialState

FLOODS = {
    "numbers": "while True: print('loss=0.5')",
    "ever new numbers": "n = 0\nwhile True:\n    n += 1\n    print(f'step={n} loss={n}')",
    "long lines": "while True: print('loss=' + '1' * 500_000)",
    "no line break": "import sys\nwhile True: sys.stdout.write('loss=1 ' * 10_000)",
    "a report": (
        "import os\nfile = open(os.environ['TUNESMITH_REPORT'], 'a')\n"
        'while True:\n    file.write(\'{"values": {"loss": 1}}\\n\' * 1_000)\n    file.flush()'
    ),
    "who ignores signals": (
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: print('loss=0.5')"
    ),
}


def flooding(folder: Path, flood: str) -> Path:
    project = make_project(folder, trials=20)
    text = (project / "study.toml").read_text(encoding="utf-8")
    (project / "study.toml").write_text(text.replace("[run]", '[run]\ndisk = "200M"'), encoding="utf-8")
    (project / "train.py").write_text(f"print('loss=1', flush=True)\n{flood}\n", encoding="utf-8")
    return project


@pytest.mark.parametrize(
    ("flood", "number"),
    [
        ("numbers", signal.SIGINT),
        ("long lines", signal.SIGTERM),
        ("a report", signal.SIGTERM),
        ("who ignores signals", signal.SIGINT),
        pytest.param("ever new numbers", signal.SIGTERM, marks=pytest.mark.nightly),
        pytest.param("no line break", signal.SIGINT, marks=pytest.mark.nightly),
    ],
)
def test_signals_end_a_run_whose_trial_prints_without_end(tmp_path: Path, flood: str, number: int) -> None:
    project = flooding(tmp_path / "p", FLOODS[flood])
    with start("run", "--json", cwd=project) as process:
        assert process.stdout is not None
        sent = 0
        for line in process.stdout:
            event = json.loads(line)
            if (event["event"] == "observed" and sent == 0) or ("will finish" in str(event) and sent == 1):
                process.send_signal(number)
                sent += 1
        assert process.wait() == INTERRUPTED
        assert sent == 2
    with History.open(project / ".tunesmith" / "history.db") as history:
        (trial,) = history.trials(history.study("toy").id)
    assert (trial.state, trial.attempt) == (TrialState.WAITING, 1)


@pytest.mark.parametrize(
    "flood",
    [
        "ever new numbers",
        "no line break",
        *(pytest.param(n, marks=pytest.mark.nightly) for n in ("numbers", "a report")),
    ],
)
def test_the_deadline_ends_a_run_whose_trial_prints_without_end(tmp_path: Path, flood: str) -> None:
    project = flooding(tmp_path / "p", FLOODS[flood])
    done = command("run", "--json", "--hours", "0.0005", cwd=project, timeout_s=200)
    assert done.returncode in (DONE, NOTHING_COMPLETE), done.stdout[-3000:] + done.stderr
    assert events(done.stdout)[-1]["by"] == "hours"
