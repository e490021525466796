"""Trials of a study with the judge of time: functions, edited code in the sandbox, programs, builds, and failures."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.trials import Bench, finish

from tunesmith.evaluator.evaluator import EditedCode, Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.tables.timing import TIMED
from tunesmith.study.trials.trial import FailureKind, Outcome, Proposal, Source, Trial, TrialState

needs_sandbox = pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

INPUTS = """
import random

def make(seed, n=300):
    return [random.Random(seed + i).random() for i in range(n)]
"""
SLOW = """
def ordered(items):
    result = []
    for item in items:
        at = len(result)
        while at and result[at - 1] > item:
            at -= 1
        result.insert(at, item)
    return result
"""
FAST = "def ordered(items, block=1):\n    return sorted(items)\n"
QUICK = {"pairs": 4, "launches": 1, "warmup": 1}
LAZY = """
import os
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        found += [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd") if pid != str(os.getpid())]
    except OSError:
        pass
if any("tunesmith" in name for name in found):
    raise RuntimeError("another worker's memory is visible")

def ordered(items):
    return sorted(items)
"""


class Timed(Bench):
    """A project with a function to time."""

    def judge(self, evaluate: dict[str, Any], *, code: dict[str, str] | None = None, **tables: Any) -> Outcome:
        document = {
            "study": {"name": "timed", "metric": "speedup", "direction": "maximize"},
            "space": {"block": {"type": "int", "low": 1, "high": 9, "default": 4}},
            "evaluate": {"kind": "time", **QUICK, **evaluate},
            "budget": {"trials": 9},
            **tables,
        }
        self.project.mkdir(exist_ok=True)
        evaluator = Evaluator(parse_spec(document), project=self.project, folder=self.study)
        proposal = Proposal(params={"block": 2}, source=Source.SAMPLER, seed=7, variant="edit-1" if code else "base")
        trial = Trial(number=0, proposal=proposal, state=TrialState.RUNNING)
        edited = EditedCode(files=code, command=TIMED) if code else None
        return finish(evaluator.start(trial, Slot(index=0), self.seen.append, code=edited), timeout_s=120)


@pytest.fixture
def bench(tmp_path: Path) -> Timed:
    made = Timed(tmp_path)
    made.write(INPUTS, "inputs.py")
    made.write(SLOW, "slow.py")
    made.write(FAST, "fast.py")
    return made


ORDERED = {"candidate": "fast.py:ordered", "reference": "slow.py:ordered", "inputs": "inputs.py:make"}


def test_a_faster_function_has_its_speed_up_with_its_interval(bench: Timed) -> None:
    outcome = bench.judge({**ORDERED, "arguments": {"block": "{block}"}, "cases": [{"n": 200}, {"n": 400}]})
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    values = outcome.values
    assert values["speedup_low"] <= values["speedup"] <= values["speedup_high"]
    assert values["speedup"] > 3
    assert values["reference_seconds"] > values["seconds"] > 0
    assert values["speedup/n:400"] > 1
    assert values["difference"] == 0


def test_what_the_candidate_prints_is_no_metric(bench: Timed) -> None:
    bench.write('def ordered(items):\n    print("speedup=1e9")\n    return sorted(items)\n', "fast.py")
    outcome = bench.judge(ORDERED)
    assert outcome.values["speedup"] < 1e6
    assert "speedup=1e9" in (bench.study / "trials" / "0000" / "log.txt").read_text()


def test_parameters_reach_the_candidate_and_its_default_the_reference(bench: Timed) -> None:
    bench.write(
        """
        import time
        def ordered(items, block):
            time.sleep(0.002 * block)
            return sorted(items)
        """,
        "kernel.py",
    )
    outcome = bench.judge(
        {"candidate": "kernel.py:ordered", "inputs": "inputs.py:make", "arguments": {"block": "{block}"}}
    )
    assert outcome.failure is None
    assert 1.5 < outcome.values["speedup"] < 2.5  # 8 ms by default, 4 ms in the trial


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("return items", FailureKind.WRONG, "differs from the reference's in value"),
        ("return undefined", FailureKind.CRASH, "NameError"),
    ],
)
def test_a_failure_has_its_kind_and_reason(bench: Timed, body: str, kind: FailureKind, words: str) -> None:
    bench.write(f"def ordered(items):\n    {body}\n", "fast.py")
    failure = bench.judge(ORDERED).failure
    assert failure is not None
    assert failure.kind is kind, failure
    assert words.split()[0] in failure.reason


def test_the_users_own_code_that_fails_is_named(bench: Timed) -> None:
    bench.write("def make(seed):\n    return open('nothing.txt')\n", "inputs.py")
    failure = bench.judge(ORDERED).failure
    assert failure is not None
    assert "inputs" in failure.reason
    assert "nothing.txt" in failure.reason


def test_checks_find_what_the_timed_cases_do_not(bench: Timed) -> None:
    bench.write("def ordered(items):\n    return sorted(items) if len(items) > 1 else [0.0]\n", "fast.py")
    assert bench.judge({**ORDERED, "cases": [{"n": 50}]}).failure is None
    failure = bench.judge({**ORDERED, "cases": [{"n": 50}], "checks": [{"n": 1}]}).failure
    assert failure is not None
    assert failure.kind is FailureKind.WRONG
    assert "n = 1" in failure.reason


def test_faster_than_possible_is_tampered(bench: Timed) -> None:
    bench.write("def make(seed, n):\n    return [0.0] * n\n", "inputs.py")
    outcome = bench.judge({**ORDERED, "cases": [{"n": 100}], "flops": "n * 1e9", "peak_flops": 1e9})
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TAMPERED
    assert "work was left out" in outcome.failure.reason


@needs_gcc
def test_the_default_code_of_a_compiled_kernel_is_its_reference(bench: Timed) -> None:
    bench.write(
        "double total(double *x, int n) { double s = 0; for (int i = 0; i < n; i++) s += x[i]; return s * REPEAT; }",
        "total.c",
    )
    bench.write(
        """
        import array, ctypes, os
        library = ctypes.CDLL(os.path.join(os.environ["TUNESMITH_ARTIFACTS"], "total.so"))
        library.total.restype = ctypes.c_double
        def total(items):
            values = (ctypes.c_double * len(items))(*items)
            return library.total(values, len(items))
        """,
        "kernel.py",
    )
    run = {"command": "gcc -O2 -DREPEAT={block} -shared -fPIC -o {artifacts}/total.so total.c"}
    evaluate = {"candidate": "kernel.py:total", "inputs": "inputs.py:make"}
    failure = bench.judge(evaluate, run=run).failure
    assert failure is not None
    assert failure.kind is FailureKind.WRONG  # the trial multiplies by 2, the default by 4
    failure = bench.judge(evaluate, run={"command": "gcc -shared -o {artifacts}/total.so missing-{block}.c"}).failure
    assert failure is not None
    assert "missing-2.c" in failure.reason


def test_programs_are_compared_by_what_they_print(bench: Timed) -> None:
    bench.write("def make(seed, n=50):\n    return ' '.join(str(seed * k % 1009) for k in range(1, n))\n", "inputs.py")
    python = f"{sys.executable} -I -S"
    bench.write("print(sum(map(int, input().split())) / 3)", "one.py")
    bench.write("import time; time.sleep(0.05); print('%.12f' % (sum(map(int, input().split())) / 3))", "two.py")
    evaluate = {"candidate": f"{python} one.py", "reference": f"{python} two.py", "inputs": "inputs.py:make"}
    outcome = bench.judge(evaluate)
    assert outcome.failure is None
    assert outcome.values["speedup"] > 1
    bench.write("print(1)", "one.py")
    failure = bench.judge(evaluate).failure
    assert failure is not None
    assert failure.kind is FailureKind.WRONG


def test_programs_that_print_nothing_and_inputs_that_are_no_text_are_named(bench: Timed) -> None:
    evaluate = {"candidate": "true", "reference": "true", "inputs": "inputs.py:make"}
    bench.write("def make(seed):\n    return 'text'\n", "inputs.py")
    assert "the reference gives an empty result, so nothing was compared" in bench.judge(evaluate).note
    bench.write("def make(seed):\n    return [1, 2]\n", "inputs.py")
    failure = bench.judge(evaluate).failure
    assert failure is not None
    assert "the function of `inputs` returned list, but a program reads one text or bytes" in failure.reason


@needs_sandbox
def test_edited_code_is_timed_in_the_sandbox(bench: Timed) -> None:
    edits = {"edits": {"files": ["slow.py"]}}
    evaluate = {"candidate": "slow.py:ordered", "inputs": "inputs.py:make"}
    outcome = bench.judge(evaluate, code={"slow.py": LAZY}, **edits)
    assert outcome.failure is None
    assert outcome.values["speedup"] > 2
    plan = json.loads((bench.study / "trials" / "0000" / "judge" / "timing-plan").read_text())
    assert any("bwrap" in word for word in plan["candidate"]["argv"])
    assert any("bwrap" in word for word in plan["reference"]["argv"])
