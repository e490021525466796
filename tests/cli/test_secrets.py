"""No key in a script, a log, a file, the study or the environment reaches the server of a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.llm.answers import candidates_text
from fakes.llm.server import Reply, Request, message, serving, streamed
from fakes.projects import environment, invoke

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem

HEX = "0123456789abcdef0123456789abcdef01234567"
PLANTED = {
    "in the script": "sk-proj-abcDEF0123456789abcdef",
    "of W&B": HEX,
    "of Hugging Face": "hf_abcdefghijklmnopqrstuvwxyz",
    "a password": "correct horse battery",
    "of AWS": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "of an option": "abcd1234efgh",
    "in an address": "hunter2pass",
    "in the log": "ghp_abcdefghijklmnopqrst12",
    "in a web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij",
    "in a private key": "MIIEvQIBADANBgkq",
    "in the environment": "value-of-a-variable-9",
    "in the study": "zyxw9876vuts",
    "in a header": "header5432secret",
    "in a file": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "in a message": "gsk_abcdefghijklmnopqrst1234",
}
SCRIPT = f'''\
import argparse

OPENAI = "{PLANTED["in the script"]}"
WANDB_API_KEY = "{PLANTED["of W&B"]}"
login = dict(token="{PLANTED["of Hugging Face"]}", password="{PLANTED["a password"]}")
aws_secret_access_key = "{PLANTED["of AWS"]}"
DATABASE = "postgres://user:{PLANTED["in an address"]}@db/x"
BEARER = "{PLANTED["in a web token"]}"
PRIVATE = """-----BEGIN PRIVATE KEY-----
{PLANTED["in a private key"]}
-----END PRIVATE KEY-----"""
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.9)
parser.add_argument("--api-key", default="{PLANTED["of an option"]}")
args = parser.parse_args()
bias = 1.0
print("cloning with {PLANTED["in the log"]} and {PLANTED["in the environment"]}")
if args.x > 0.95:
    raise SystemExit("no access with api_key={PLANTED["of an option"]}")
print(f"loss={{(args.x - 0.3) ** 2 + bias}}")
'''
STUDY = f"""\
[study]
name = "secretive"
metric = "loss"
description = "tuned with password: '{PLANTED["a password"]}'"
[run]
command = "{{python}} -I -S train.py --x {{{{x}}}} --api-key {PLANTED["of an option"]}"
parallel = 1
env = {{{{ SERVICE_TOKEN = "{PLANTED["in the study"]}" }}}}
[space]
x = {{{{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}}}
[budget]
trials = 6
[planner]
model = "m"
base_url = "{{url}}"
headers = {{{{ "X-Api-Key" = "{PLANTED["in a header"]}" }}}}
[edits]
files = ["train.py"]
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-0123456789")
    monkeypatch.setenv("HF_TOKEN", PLANTED["in the environment"])


def project(folder: Path, url: str = "") -> Path:
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "settings.py").write_text(f'GOOGLE = "{PLANTED["in a file"]}"\n', encoding="utf-8")
    if url:
        (folder / "study.toml").write_text(STUDY.format(python=sys.executable, url=url), encoding="utf-8")
    return folder


def assert_nothing_leaked(requests: list[dict[str, Any]]) -> None:
    assert requests
    for request in requests:
        sent = json.dumps({key: value for key, value in request.items() if key not in ("headers", "authorization")})
        for where, secret in PLANTED.items():
            assert secret not in sent, f"the key {where} was sent"
        assert "[redacted]" in sent or "# The code" not in sent


def answering(request: Request, before: int) -> Reply:
    """Answer with an edit where code is shown, with a wrong one first, and with points otherwise."""
    asked = json.dumps(request["messages"])
    if "# The code" not in asked:
        return message(candidates_text([{"x": round((0.37 * before) % 1, 3)}, {"x": 0.97}]))
    search = "OPENAI = nothing" if before % 2 else "bias = 1.0"
    block = {"path": "train.py", "search": search, "replace": "bias = 0.5"}
    answer = {"rationale": "r", "direction": "other", "edits": [block], "params": {"x": None}, "new_params": []}
    return message(json.dumps({**answer, "predicted": 0.5}))


def test_no_key_is_sent_when_a_study_is_drafted(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with serving(lambda request, before: message('{"toml": "[study]"}')) as server:  # noqa: ARG005
        invoke("init", "train.py", "--model", "m", "--base-url", server.base_url, cwd=folder)
    assert "[redacted]" in json.dumps(server.requests)
    assert_nothing_leaked(server.requests)


def test_no_key_is_sent_when_points_are_proposed(tmp_path: Path) -> None:
    with serving(answering) as server:
        folder = project(tmp_path / "p", server.base_url)
        done = invoke("suggest", "--n", "3", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_nothing_leaked(server.requests)


@pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
def test_no_key_is_sent_during_a_run_with_edits(tmp_path: Path) -> None:
    with serving(answering) as server:
        folder = project(tmp_path / "p", server.base_url)
        done = invoke("run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert any("# The code" in json.dumps(request["messages"]) for request in server.requests)
    assert_nothing_leaked(server.requests)


def test_no_key_is_sent_in_a_chat(tmp_path: Path) -> None:
    files = [("source", {"path": path}) for path in ("train.py", "settings.py", "study.toml")]
    tools = [*files, ("study", {}), ("log", {"number": 0}), ("trials", {}), ("read_script", {"path": "train.py"})]
    calls = streamed(calls=[(name, json.dumps(arguments)) for name, arguments in tools])
    with serving(lambda request, before: calls if before == 0 else streamed("Done.")) as server:  # noqa: ARG005
        folder = project(tmp_path / "p", server.base_url)
        (folder / "study.toml").write_text(
            (folder / "study.toml").read_text().replace('[edits]\nfiles = ["train.py"]', "")
        )
        invoke("run", "--replay", os.devnull, cwd=folder)
        chat = subprocess.run(
            [sys.executable, "-m", "tunesmith.cli.main", "chat"],
            cwd=folder,
            env=environment(),
            input=f"is {PLANTED['in a message']} my key?\n",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert "Traceback" not in chat.stdout + chat.stderr
    results = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "tool"]
    assert len(results) == len(tools)
    assert_nothing_leaked(server.requests)
