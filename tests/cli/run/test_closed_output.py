"""`tunesmith ... | head`: the reader of the output goes away, which is nobody's fault and loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project, start


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_run_whose_output_is_closed_finishes_and_says_so(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = make_project(tmp_path / "p", trials=5, more="--sleep 0.05")
    with start("run", *options, cwd=folder) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        said = run.stderr.read()
    assert run.returncode == 0, said
    assert said == "the output is closed; the study continues, and `tunesmith status` shows it\n"
    assert json.loads(invoke("status", "--json", cwd=folder).stdout)["trials"] == {"complete": 5}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("closed") / "p", trials=2)
    assert invoke("run", cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize("words", [("status",), ("report", "--json"), ("doctor",)])
def test_a_command_whose_output_is_closed_ends_quietly(finished: Path, words: tuple[str, ...]) -> None:
    with start(*words, cwd=finished) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        said = done.stderr.read()
    assert (done.returncode, said) == (0, "")
