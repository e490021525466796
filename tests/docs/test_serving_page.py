"""The page on serving: its studies load, its commands and options exist, its metrics and reasons are the real ones."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from fakes.projects import invoke

from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.tools.load_test.client import Answer
from tunesmith.tools.load_test.summary import summarize

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
FIRST, ANSWERS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

ASK = """\
import random, sys
at = dict(zip(sys.argv[1::2], sys.argv[2::2]))
samples, large = int(at["--samples"]), at["--model"] == "large"
noise = random.Random(at["--part"] + at["--seed"]).gauss(0, 0.02)
cost = samples * (0.02 if large else 0.004) * int(at["--max-tokens"]) / 512
print(f"accuracy={0.5 + 0.04 * samples ** 0.5 + 0.1 * large + noise} usd={cost}")
"""


def test_the_study_is_that_of_the_example() -> None:
    page, example = parse_spec(tomllib.loads(FIRST)), load_spec(ROOT / "examples" / "serving")
    assert (page.serve, page.space, page.forbid) == (example.serve, example.space, example.forbid)
    script = (ROOT / "examples" / "serving" / "server.py").read_text(encoding="utf-8")
    assert all(option in script for option in re.findall(r"--[\w-]+", page.run.command))


@pytest.mark.parametrize("command", ["load-test", "init"])
def test_options_of_our_own_commands_exist(command: str, tmp_path: Path) -> None:
    shown = re.sub(r"\x1b\[[0-9;]*m", "", invoke(command, "--help", cwd=tmp_path).stdout)
    lines = re.findall(rf"^tunesmith {command} (.*)$", PAGE, re.MULTILINE)
    lines += re.findall(rf'bench = "tunesmith {command} (.*)"$', PAGE, re.MULTILINE)
    assert lines
    words = " ".join(re.sub(r'"[^"]*"', "", line) for line in lines)
    assert all(option in shown for option in re.findall(r"--[a-z-]+", words))


def test_the_table_names_every_metric_of_our_client() -> None:
    found = summarize([Answer(due_at=0.0, first_at=1.0, last_at=2.0, tokens=3)]).metrics
    families = {re.sub(r"_(mean|p\d+)$", "_", name) for name in found} - {"completed", "duration"}
    assert all(f"`{family}" in PAGE for family in families)


def test_prompts_are_tuned_under_a_bound_on_cost(tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK, encoding="utf-8")
    text = ANSWERS.replace("python ask.py", f"{sys.executable} -I -S ask.py --seed {{seed}}")
    text = text.replace("[confirm]\n", "").replace("hold_out = 0.3\n", "")
    (tmp_path / "study.toml").write_text(text.replace("runs = 150", "runs = 20"), encoding="utf-8")
    done = invoke("run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with History.open(tmp_path / ".tunesmith" / "history.db") as history:
        record = history.study("answers")
        assert record is not None
        trials = history.trials(record.id)
    runs: dict[int, list[float]] = {}
    for trial in trials:
        if trial.outcome is not None and trial.values:
            first = trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of
            runs.setdefault(first, []).append(trial.outcome.values["usd"])
    assert any(usd[0] > 0.05 for usd in runs.values())
    assert all(len(usd) == 1 for usd in runs.values() if usd[0] > 0.05)
    assert max(len(usd) for usd in runs.values()) > 1
