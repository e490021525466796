"""`tunesmith dashboard`: the real server on a running study, and on a study with every kind of trial."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fakes.projects import SCRIPT, command, make_project, start

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed"
)


def got(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def status(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_dashboard_shows_notes_and_curves_of_a_study_and_keeps_up(tmp_path: Path) -> None:
    script = f"import sys\nif float(sys.argv[2]) < 0.3: sys.exit('<b>no</b> room')\n{SCRIPT}"
    project = make_project(tmp_path / "p", trials=5, script=script, tables="[confirm]\nseeds = 2\nmax_seeds = 2")
    assert command("run", cwd=project).returncode == 0
    process = start("dashboard", "--port", "0", cwd=project)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.match(r"(http://127\.0\.0\.1:(\d+)/)\?token=(\S+) shows toy", line)
        assert address is not None, line + (process.stderr.read() if process.stderr and process.poll() else "")
        url, port, token = f"{address[1]}api/studies", address[2], address[3]
        (study,) = got(url, token)["study_summaries"]
        bearer = f"Bearer {token}"
        for refused in (
            {"Authorization": bearer, "Host": f"evil.example:{port}"},
            {"Authorization": bearer, "Host": "127.0.0.1"},
            {"Authorization": bearer, "Host": f"127.0.0.1.evil.example:{port}"},
            {"Authorization": bearer, "Origin": "http://evil.example"},
            {"Authorization": bearer, "Origin": "null"},
            {"Authorization": "Bearer wrong"},
            {"Cookie": f"tunesmith-{port}=wrong"},
            {"Cookie": "\x22;;=\x22"},
            {},
        ):
            assert status(url, **refused) in (401, 403), refused
        assert status(url, Cookie=f"tunesmith-{port}={token}", Origin=f"http://localhost:{port}") == 200
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(line.split()[0]) as page:
            assert page.url.startswith(address[1])
            assert token not in page.url
            assert page.status == 200
        assert study["study_name"] == "toy"
        shown = got(f"{url}/{study['study_id']}", token)
        assert [t["number"] for t in shown["trials"]] == list(range(5))  # repetitions are no trials there
        complete = [t for t in shown["trials"] if t["state"] == "Complete"]
        assert [point["step"] for point in complete[0]["intermediate_values"]] == [0, 1, 2]
        assert "**default**" in complete[0]["note"]["body"]
        assert "on fresh seeds" in complete[0]["note"]["body"]
        assert any("**crash**: `<b>no</b> room`" in t["note"]["body"] for t in shown["trials"] if t["state"] == "Fail")
        assert command("run", "--trials", "7", cwd=project).returncode == 0
        until = time.monotonic() + 20
        while len(got(f"{url}/{study['study_id']}", token)["trials"]) < 7:
            assert time.monotonic() < until
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "Traceback" not in said


def test_a_taken_port_is_said_in_words(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=1)
    command("run", cwd=project)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("dashboard", "--port", str(taken.getsockname()[1]), cwd=project)
    assert done.returncode == 2
    assert "choose another with --port" in done.stderr
