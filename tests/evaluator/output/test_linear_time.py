"""Any output costs no more than its length to read: lines of a megabyte, and tails full of anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import sys, time
from tunesmith.evaluator.executors.base import CommandResult
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.failures import command_failure, traceback_note
from tunesmith.evaluator.output.line_filter import LineFilter
from tunesmith.evaluator.readers.metrics import MetricReader

for piece in eval(sys.argv[1]):
    line = (piece * (2**20 // len(piece) + 1))[: 2**20]
    reader, picker = MetricReader(["val_loss"], time.time), LineFilter(["loss"], "stderr")
    for text in (f"val_loss={line}", "{" + line + " val_loss 0.5}"):
        reader.from_line(OutputLine(text, "stderr", 1))
        reader.from_report(text)
        list(picker.feed(1, text))
    for tail in (line[:16384], "Traceback (most recent call last):\\n" + line[:16384], line[:16384] + "\\nFooError: x"):
        command_failure(CommandResult(status=1, tail=tail, output_tail=tail), timeout_s=1)
        traceback_note(CommandResult(status=0, tail=tail))
"""
PIECES = {
    "digits": ["1", "1,234", "1 234 "],
    "spaces": [" ", "\u00a0", "\n"],
    "brackets": ["{", "[", "{'a': 1, "],
    "quotes": ["'", '"a":', "\\"],
    "signs": [",", ".", "=", "± "],
    "names": ["loss", "loss ", "best val_loss=", "a."],
    "escapes": ["\x1b[", "\x1b]8;;"],
    "errors": ["Traceback (most recent call last)\n", "[rank0]: ", "Killed ", 'File "x'],
}


@pytest.mark.parametrize("kind", PIECES)
def test_a_megabyte_of_anything_is_read_in_linear_time(kind: str) -> None:
    """Takes about two seconds; what is not linear takes hours."""
    subprocess.run([sys.executable, "-c", READ, repr(PIECES[kind])], check=True, timeout=240)


@pytest.mark.parametrize(
    ("size", "part"),
    [(2048, "0/1"), *(pytest.param(2**20, f"{part}/8", marks=pytest.mark.nightly) for part in range(8))],
)
def test_every_expression_of_the_product_is_linear(size: int, part: str) -> None:
    """Each expression in the repository reads text made of each awkward piece; one that is not linear is named."""
    program = [sys.executable, str(Path(__file__).parents[2] / "fakes" / "patterns.py"), str(size), part]
    tried = subprocess.run(program, check=True, capture_output=True, text=True, timeout=3600 if size > 2048 else 300)
    assert tried.stdout == ""
