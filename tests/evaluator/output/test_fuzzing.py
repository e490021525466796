"""What comes from outside, put together at random: nothing raises, nothing takes longer than 50 ms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fakes.fuzzing import TARGETS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("count", "seed"), [(150, 0), *(pytest.param(50_000, seed, marks=pytest.mark.nightly) for seed in range(1, 5))]
)
def test_random_input_from_outside_is_read_or_refused(target: str, count: int, seed: int) -> None:
    """Nightly, 200,000 inputs of each kind in four processes; a fault is repeated by its number."""
    program = [sys.executable, str(Path(__file__).parents[2] / "fakes" / "fuzzing.py"), target, str(count), str(seed)]
    environment = {"PYTHONPATH": ":".join(str(Path(__file__).parents[n] / f) for n, f in ((2, ""), (3, "src")))}
    found = subprocess.run(program, check=True, capture_output=True, text=True, env=environment, timeout=7200)
    assert found.stdout == ""
