"""Planted cheats: a candidate that only seems faster is refused, or gains nothing by the judge's clock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fakes
import pytest

FAKES = Path(fakes.__path__[0]) / "timing"
NAMES = re.findall(r"^def ([a-z]\w*)\(a, b\)", (FAKES / "cheats.py").read_text(), re.MULTILINE)
HONEST = [name for name in NAMES if name.startswith("honest")]
WITHOUT_GAIN = [
    "by_content", "lazy", "with_another_clock", "another_reference", "threads_that_slow_the_reference",
    "children_that_slow_the_reference", "daemons_that_slow_the_reference", "in_a_handler_of_the_signal",
]  # fmt: skip
"""Cheats whose results are right: they are measured, and must not seem faster."""
KINDS = {
    "only_the_timed_shape": "crash", "leaving": "crash", "leaving_as_if_done": "crash", "a_broken_pointer": "crash",
    "all_of_the_memory": "oom", "writing_rubbish": "tampered", "computing_ahead": "",
}  # fmt: skip
"""The kind of failure of each cheat that does not fail as `wrong`; "" for any."""
NOISE = 1.7
"""Speed-up that a busy machine may show for five blocks of single calls; what the cheats pretend is far more."""


@dataclass(frozen=True)
class Judged:
    kind: str
    reason: str
    speedup: float


def judge(names: Sequence[str], folder: Path) -> dict[str, Judged]:
    """Return the verdicts on candidates, from one process: they share the reference and the maker of inputs."""
    command = [sys.executable, str(FAKES / "judged.py"), str(folder / "x"), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    return {row.pop("name"): Judged(**row) for row in rows}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """The verdicts on all candidates."""
    return judge(NAMES, tmp_path_factory.mktemp("judged"))


def test_there_are_at_least_forty() -> None:
    assert len(NAMES) - len(HONEST) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_a_cheat_gains_nothing(name: str, judged: dict[str, Judged], tmp_path: Path) -> None:
    found = judged[name]
    for attempt in ("second", "third"):
        if not found.kind and found.speedup >= NOISE:  # a busy machine makes one measurement wrong, not all three
            found = judge([name], tmp_path / attempt)[name]
    if name in HONEST or name in WITHOUT_GAIN:
        assert found.kind == "", found.reason
        assert found.speedup < NOISE
    else:
        assert found.kind == (KINDS.get(name, "wrong") or found.kind), found
        assert found.kind or found.speedup < NOISE
        assert found.kind == "" or found.reason
