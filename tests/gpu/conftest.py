"""Checks that need an NVIDIA GPU: `make test-gpu` runs them and prints a table of what held; others skip them."""

from __future__ import annotations

import shutil

import pytest

from tunesmith.evaluator.gpu.gpus import find_gpus

_figures: dict[str, list[str]] = {}
_results: dict[str, tuple[str, float, str]] = {}
_WIDTH = 56


def gpu_problem() -> str:
    """Return why the checks cannot run here; "" if they can."""
    inventory = find_gpus()
    if not inventory.gpus or shutil.which("nvidia-smi") is None:
        return f"no NVIDIA GPU was found{f' ({inventory.note})' if inventory.note else ''}"
    try:
        import torch
    except ImportError:
        return "the package torch is not installed"
    return "" if torch.cuda.is_available() else f"this PyTorch ({torch.__version__}) finds no GPU"


def _is_asked_for(config: pytest.Config) -> bool:
    return str(config.getoption("-m")).strip() == "gpu"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = [item for item in items if item.get_closest_marker("gpu")]
    reason = gpu_problem() if _is_asked_for(config) else "make test-gpu runs it"
    if wanted and reason:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """What a check measured, for the table."""
    return _figures.setdefault(request.node.nodeid, [])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "tests/gpu/test_gpu.py" not in report.nodeid or (report.when != "call" and report.passed):
        return
    why = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
    word = {"passed": "held", "failed": "DID NOT HOLD"}.get(report.outcome, "skipped")
    _results[report.nodeid] = (word, report.duration, why.removeprefix("Skipped: "))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not _is_asked_for(config) or not _results:
        return
    terminalreporter.section("what held on this GPU")
    for node, (word, seconds, why) in _results.items():
        name = node.rpartition("::")[2].removeprefix("test_").replace("_", " ").replace("gpu", "GPU")
        shown = "; ".join([*_figures.get(node, []), *([why] if why else [])])
        terminalreporter.write_line(f"{name:<{_WIDTH}} {word:<13} {seconds:5.0f} s  {shown}")
