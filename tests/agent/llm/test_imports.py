"""What the LLM needs is imported by a study with a model, and by nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.projects import environment, make_project

from tunesmith.agent.llm.client.client import LangChainModel
from tunesmith.study.errors import ProjectError

LLM_PACKAGES = {
    "genai_prices",
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "langsmith",
    "openai",
    "tiktoken",
}


def imported_packages(code: str, cwd: Path | None = None) -> set[str]:
    """Return the top-level packages that a new interpreter has imported after running the code."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "module",
    [
        "tunesmith.agent.loop.loop",
        "tunesmith.agent.code_search.factory",
        "tunesmith.agent.chat.conversation",
        "tunesmith.agent.llm.client.client",
        "tunesmith.agent.tuner",
        "tunesmith.cli.commands.run",
        "tunesmith.cli.chat.app",
    ],
)
def test_importing_a_module_imports_no_llm_package(module: str) -> None:
    assert imported_packages(f"import {module}").isdisjoint(LLM_PACKAGES)


def test_a_run_without_a_model_imports_no_llm_package(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=6, sampler="bayes")
    code = """
from tunesmith.cli.main import main
sys.argv = ["tunesmith", "run"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert imported_packages(code, cwd=project).isdisjoint(LLM_PACKAGES)


@pytest.mark.parametrize("package", ["langchain", "genai_prices"])
def test_a_model_without_the_extra_names_its_install_line(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ProjectError, match=rf"openai:gpt-5-mini needs the package {package}.*'tunesmith\[llm\]'"):
        LangChainModel("openai:gpt-5-mini")
