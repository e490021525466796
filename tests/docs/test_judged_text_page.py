"""The page on judged text: its study loads, its figures are what the experiment prints, and its example runs."""

from __future__ import annotations

import re
import runpy
import shutil
import threading
import tomllib
from http.server import ThreadingHTTPServer
from pathlib import Path

from fakes.projects import invoke

from tunesmith.evaluator.readers.labels_file import read_labels
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.trials.observed.texts import read_texts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "judged-text.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "summaries"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_study_and_the_line_of_texts_are_valid() -> None:
    spec = parse_spec(tomllib.loads(block("toml")))
    assert spec.judge is not None
    assert read_texts(block("json").splitlines())["bridge"].output.startswith("Bridge closed")
    example = load_spec(EXAMPLE)
    assert example.judge is not None
    assert len(read_labels(example.judge, EXAMPLE)) == 40


def test_the_example_runs_with_its_scripted_judge(tmp_path: Path) -> None:
    project = tmp_path / "summaries"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".tunesmith", "__pycache__"))
    handler = runpy.run_path(str(project / "scripted_judge.py"))["Judge"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    study = project / "study.toml"
    text = study.read_text().replace(":8765/", f":{server.server_address[1]}/").replace("trials = 12", "trials = 3")
    study.write_text(text)
    try:
        done = invoke("run", cwd=project)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stdout
    with History.open(project / ".tunesmith" / "history.db") as history:
        trials = history.trials(history.study("summaries").id)
    assert trials[0].values["judge/strength"] == 0.0
    assert "on 40 labels" in trials[1].outcome.note  # type: ignore[union-attr]
