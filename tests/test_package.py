"""The package as users get it: the wheel, what it imports and when, and whether the docs describe it completely."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from fakes.projects import environment, make_project

from tunesmith.study.config.spec import StudySpec

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "langchain", "openai", "ray", "plotly", "optuna", "scipy", "sklearn", "sqlite_utils", "pydantic")


def modules_after(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import tunesmith",
        "import tunesmith.cli.main",
        "from typer.testing import CliRunner\nfrom tunesmith.cli.main import app\nCliRunner().invoke(app, ['--help'])",
    ],
    ids=["import tunesmith", "import the cli", "--help"],
)
def test_nothing_heavy_is_imported_before_a_command_needs_it(code: str) -> None:
    assert modules_after(code).isdisjoint(HEAVY)


def test_status_needs_neither_a_sampler_nor_plots() -> None:
    loaded = modules_after("import tunesmith.cli.commands.status")
    assert loaded.isdisjoint({"torch", "langchain", "openai", "ray", "plotly", "optuna", "scipy", "numpy"})


def test_a_run_without_a_judge_of_texts_opens_without_scipy() -> None:
    assert modules_after("import tunesmith.agent.loop.loop").isdisjoint({"torch", "langchain", "openai", "scipy"})


def test_a_training_script_needs_only_the_standard_library(tmp_path: Path) -> None:
    script = "import tunesmith\ntunesmith.report(step=1, loss=2.0)\nprint(tunesmith.params())\n"
    # -I -S: no site-packages at all, as in an environment that has only a copy of tunesmith.
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); exec({script!r})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{}"


@pytest.mark.slow
def test_the_wheel_installs_in_a_fresh_environment_and_runs_a_study(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "tunesmith/py.typed" in names
    for room in ("study", "history", "evaluator", "agent", "tools", "prompts", "cli"):
        assert f"tunesmith/{room}/__init__.py" in names
    sources = {
        str(path.relative_to(ROOT))
        for room in ("study", "agent", "tools", "cli")
        for path in (ROOT / room).rglob("*.py")
    }
    assert {f"tunesmith/{name}" for name in sources} <= set(names)

    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    # Dependencies are installed already, for the tests; this test is about the content of the wheel.
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True, capture_output=True, cwd=tmp_path)
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    assert (packages / "tunesmith" / "py.typed").exists()
    # After the environment's packages; the editable install of the checkout is not among these folders.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    project = make_project(tmp_path / "project", trials=3, parallel=2, sampler="bayes")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    tunesmith = tmp_path / "venv" / "bin" / "tunesmith"
    for arguments in (["--help"], ["run"], ["status"], ["report"], ["doctor"]):
        done = subprocess.run([tunesmith, *arguments], cwd=project, env=kept, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (project / ".tunesmith" / "toy" / "report.html").exists()


def test_every_dependency_is_justified() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = set(re.findall(r'^    "([a-z-]+)[>=<]', text, re.MULTILINE))
    assert len(needed) > 10
    documented = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert [name for name in sorted(needed) if name not in documented] == []


def keys_of_study_toml() -> list[str]:
    fields = StudySpec.model_fields.items()
    tables = {field.alias or name: field for name, field in fields if name not in ("document", "space")}
    keys = []
    for name, field in tables.items():
        classes = (field.annotation, *getattr(field.annotation, "__args__", ()))
        table = next((cls for cls in classes if hasattr(cls, "model_fields")), None)
        # [scale] takes any name, so it has no keys to document.
        inner = {} if table is None else table.model_fields
        keys += [f"{name}.{field.alias or key}" for key, field in inner.items()]
    return keys


@pytest.mark.parametrize("key", keys_of_study_toml())
def test_every_key_of_study_toml_is_documented(key: str) -> None:
    table, _, name = key.partition(".")
    text = (ROOT / "docs" / "study-toml.md").read_text(encoding="utf-8")
    section = re.split(rf"^## \[+{table}\]+", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    assert f"`{name}`" in section


def test_no_machine_is_named_in_the_repository() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and path.suffix in (".py", ".md", ".toml", ".txt", ""):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert f"{Path.home()}/" not in text, name
