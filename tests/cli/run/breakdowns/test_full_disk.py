"""A disk that is full for a while: the run waits and resumes by itself, with nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.projects import environment, make_project

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem

DISK_BYTES = 256 * 2**20

# The folder is a separate small disk that only these processes see.
NIGHT = """
import contextlib, json, os, subprocess, sys, time
from pathlib import Path

project, left = Path(sys.argv[1]), int(sys.argv[2])
run = [sys.executable, "-m", "tunesmith.cli.main"]

def start():
    with open(sys.argv[3], "w") as output:
        return subprocess.Popen([*run, "run"], cwd=project, stdout=output, stderr=subprocess.STDOUT)

def wait_for(words):
    while night.poll() is None and words not in open(sys.argv[3]).read():
        time.sleep(0.02)

def fill_disk():
    free = left + 1
    with open(project.parent / "ballast", "ab", buffering=0) as ballast:
        while free > left:
            # The run writes meanwhile, so what was free a moment ago may be gone.
            with contextlib.suppress(OSError):
                os.posix_fallocate(ballast.fileno(), ballast.tell(), free - left)
                ballast.seek(0, os.SEEK_END)
            disk = os.statvfs(project)
            free = disk.f_bavail * disk.f_frsize

if sys.argv[4] == "from the start":
    subprocess.run([*run, "run", "--trials", "2"], cwd=project, capture_output=True)
    fill_disk()
    night = start()
else:
    night = start()
    wait_for("default")
    fill_disk()
wait_for("the disk is full")
time.sleep(0.5)
(project.parent / "ballast").unlink()
night.wait()
print(night.returncode)
print(subprocess.run([*run, "status", "--json"], cwd=project, capture_output=True, text=True).stdout)
"""


@pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())
@pytest.mark.parametrize(("left", "when"), [(20 * 2**20, "in the middle"), (0, "in the middle"), (0, "from the start")])
def test_a_run_waits_while_the_disk_is_full_and_resumes(tmp_path: Path, left: int, when: str) -> None:
    disk, output = tmp_path / "disk", tmp_path / "output"
    disk.mkdir()
    project = make_project(tmp_path / "made", trials=8, more="--sleep 0.3")
    night = f"import shutil; shutil.copytree({str(project)!r}, {str(disk / 'project')!r})\n{NIGHT}"
    small = ["bwrap", "--dev-bind", "/", "/", "--size", str(DISK_BYTES), "--tmpfs", str(disk), "--"]
    done = subprocess.run(
        [*small, sys.executable, "-c", night, str(disk / "project"), str(left), str(output), when],
        env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    printed = output.read_text()
    assert done.returncode == 0, done.stderr + printed
    status, found = done.stdout.split("\n", 1)
    assert status == "0", printed
    assert "the disk is full: the study resumes once 64 MiB are free" in printed
    assert "the disk has free space again" in printed
    assert json.loads(found)["trials"]["complete"] == 8, found


KEEPS_MANY = """\
import os, time
time.sleep(0.4)
for number in range(20): open(f"{os.environ['TUNESMITH_ARTIFACTS']}/{number}", "w")
print("loss=1")
"""
# As above, with a file system that has room for few files.
FEW_FILES = """
import json, os, subprocess, sys, time
from pathlib import Path

project, run = Path(sys.argv[1]), [sys.executable, "-m", "tunesmith.cli.main"]
ballast = project.parent / "ballast"
ballast.mkdir()
with open(sys.argv[2], "w") as output:
    night = subprocess.Popen([*run, "run"], cwd=project, stdout=output, stderr=subprocess.STDOUT)

def wait_for(words):
    while night.poll() is None and words not in open(sys.argv[2]).read():
        time.sleep(0.02)

wait_for("default")
def count(words):
    return open(sys.argv[2]).read().count(words)

for times in range(2):
    said, resumed = count("no inodes left"), count("free space again")
    for number in range(10**6):
        try:
            (ballast / str(number)).touch()
        except OSError:
            break
    while night.poll() is None and count("no inodes left") == said:
        time.sleep(0.02)
    time.sleep(0.5)
    for path in ballast.iterdir(): path.unlink()
    while night.poll() is None and count("free space again") == resumed:
        time.sleep(0.02)
night.wait()
print(night.returncode)
print(subprocess.run([*run, "status", "--json"], cwd=project, capture_output=True, text=True).stdout)
"""


def test_a_run_waits_while_no_file_can_be_made_and_its_trials_lose_no_attempt(tmp_path: Path) -> None:
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace for a small file system can be made here")
    disk, output = tmp_path / "disk", tmp_path / "output"
    disk.mkdir()
    project = make_project(tmp_path / "made", trials=6, script=KEEPS_MANY)
    night = f"import shutil; shutil.copytree({str(project)!r}, {str(disk / 'project')!r})\n{FEW_FILES}"
    mount = f'mount -t tmpfs -o size=300m,nr_inodes=900 none {disk} && exec "$@"'
    done = subprocess.run(
        [*enter, "sh", "-c", mount, "sh", sys.executable, "-c", night, str(disk / "project"), str(output)],
        env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    printed = output.read_text()
    assert done.returncode == 0, done.stderr + printed
    status, found = done.stdout.split("\n", 1)
    assert status == "0", printed
    assert "the study resumes once 200 are free" in printed
    assert json.loads(found)["trials"] | {"complete": 6} == json.loads(found)["trials"], found
    assert not json.loads(found)["trials"].get("failed"), printed
