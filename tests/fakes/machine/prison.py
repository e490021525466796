"""A machine to break out of: a user with secrets, services and files, and trials that run as that user.

`Prison` sets it up and looks for traces. Trials are started by a warden, a process of the same user (`python -m
fakes.machine.prison`), so that a test that runs as root can be an ordinary user too.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from fakes.projects import SOURCE

from tunesmith.evaluator.files.tree_walk import remove, walk

MARK = "MARK-5b1f0c"
"""Part of every secret; must appear nowhere that a trial can write to."""
KEYS = {"OPENAI_API_KEY": f"sk-{MARK}-openai", "HF_TOKEN": f"hf_{MARK}", "DB_PASSWORD": f"{MARK}-pass"}
EVALUATE = "import sys\nsys.path.insert(0, '.')\nimport metric\nprint(f'loss={metric.loss(open(sys.argv[1]).read())}')"


@dataclass(frozen=True)
class Victim:
    """What an attacker may know; a script finds each field as a constant with its name in capitals."""

    home: str
    precious: str
    project: str
    study: str
    snapshot: str
    history: str
    port: int
    socket: str
    abstract: str
    other: int
    loop: int


class Prison:
    """One user's machine. Use it as a context manager."""

    def __init__(self, user: str) -> None:
        self.uid = os.getuid() if user == "me" else pwd.getpwnam(user).pw_uid
        self.root = Path(tempfile.mkdtemp(prefix=f"prison-{user}-", dir="/tmp")).resolve()
        self.home = self.root / "home"
        self.project = self.root / "project"
        self.study = self.project / ".tunesmith" / "small"
        self.history = self.project / ".tunesmith" / "history.db"
        self.visitors: list[object] = []
        self._count = 0

    def __enter__(self) -> Prison:
        self._furnish()
        self._listeners = [self._listen(*place) for place in self._doors()]
        for path in [self.root, *self.root.rglob("*")]:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)
        self._warden = self._as_user([sys.executable, "-m", "fakes.machine.prison"])
        idle = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
        self._other = self._as_user([sys.executable, "-I", "-S", "-c", idle])
        # bubblewrap and setpriv may run before them, so they print their pids themselves.
        self._pids = {"loop": self._answer(self._warden), "other": self._answer(self._other)}
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._warden, self._other):
            process.communicate(timeout=20)
        for listener in self._listeners:
            listener.close()
        remove(self.root)

    def run(self, script: str, run: Mapping[str, Any], **tables: Any) -> dict[str, Any]:
        """Run one trial with this train.py and return its outcome."""
        number, self._count = self._count, self._count + 1
        snapshots = sorted((self.study / "snapshots").glob("*"))
        victim = Victim(
            home=str(self.home),
            precious=str(self.root / "precious" / "thesis.txt"),
            project=str(self.project),
            study=str(self.study),
            snapshot=str(snapshots[0]) if snapshots else "/nowhere",
            history=str(self.history),
            port=self._listeners[0].getsockname()[1],
            socket=str(self.root / "service.sock"),
            abstract=self.root.name,
            **self._pids,
        )
        known = "".join(f"{name.upper()} = {value!r}\n" for name, value in asdict(victim).items())
        honest = 'import os\nopen(os.environ["TUNESMITH_ARTIFACTS"] + "/prediction", "w").write("0.75")\n'
        # Written so that a traceback with the line of the script does not contain the word.
        honest += 'def escaped(*what): print("ESC" + "APED", *what)\n'
        path = self.project / "train.py"
        path.write_text(honest + known + textwrap.dedent(script), encoding="utf-8")
        path.chmod(0o644)
        self._before = self.fingerprint()
        assert self._warden.stdin is not None
        self._warden.stdin.write(json.dumps({"number": number, "run": dict(run), "tables": tables}) + "\n")
        self._warden.stdin.flush()
        answer: dict[str, Any] = self._answer(self._warden)
        return answer

    def _answer(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the warden has ended"
        return json.loads(line)

    def traces(self) -> list[str]:
        """Return what a trial changed, reached or left outside of the trials' folders."""
        after = self.fingerprint()
        # What Tunesmith itself writes: new snapshots, and what judges were seen to read.
        new = (str(self.study / "snapshots"), str(self.study / "reads.json"))
        paths = [path for path in {*after, *self._before} if path in self._before or not path.startswith(new)]
        found = [f"{path} changed" for path in paths if after.get(path) != self._before.get(path)]
        found += [f"a connection came in: {visitor}" for visitor in self.visitors]
        found += [f"{name} was killed" for name, pid in self._pids.items() if not psutil.pid_exists(pid)]
        folder = self.study / "trials"
        found += [f"{p} was left" for p in psutil.process_iter() if _trial_folder(p).startswith(str(folder))]
        for entry in walk(folder / f"{self._count - 1:04d}"):
            if entry.is_file(follow_symlinks=False) and MARK.encode() in Path(entry.path).read_bytes():
                found.append(f"a secret is in {entry.path}")
        return found

    def fingerprint(self) -> dict[str, str]:
        """Return mode, size and content of every file of the user, except those of the trials."""
        found = {}
        waiting = [self.root]
        while waiting:
            for path in sorted(waiting.pop().iterdir()):
                status = path.lstat()
                found[str(path)] = str(status.st_mode)
                if path.is_file():
                    found[str(path)] += f" {status.st_size} {status.st_nlink} {path.read_bytes()[:200]!r}"
                elif path.is_dir() and path != self.study / "trials":
                    waiting.append(path)
        return found

    def _furnish(self) -> None:
        files = {
            "home/.ssh/id_ed25519": f"{MARK}-ssh",
            "home/.aws/credentials": f"{MARK}-aws",
            "home/.bashrc": "# mine",
            "precious/thesis.txt": "years of work",
            "project/.env": f"KEY={MARK}-env",
            "project/evaluate.py": EVALUATE,
            "project/metric.py": "def loss(text): return float(text)",
            "project/scoring/rule.py": "rule = 1",
            "project/nested/deep/thesis.txt": "years of work",
            "project/answer": "0.0",
            "project/data/small.csv": "1,2",
        }
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        # Cleaning up takes equal size and time for an unchanged copy.
        shutil.copystat(self.root / "precious/thesis.txt", self.project / "nested/deep/thesis.txt")
        (self.project / "big.bin").write_bytes(b"\1" * (2**20 + 1))
        self.root.chmod(0o755)
        self.home.chmod(0o700)
        self.history.parent.mkdir()
        with sqlite3.connect(self.history) as database:
            database.execute("create table trials (number integer, value real)")
            database.execute("insert into trials values (0, 0.5)")
        database.close()

    def _doors(self) -> list[tuple[int, Any]]:
        return [
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_UNIX, str(self.root / "service.sock")),
            (socket.AF_UNIX, "\0" + self.root.name),
        ]

    def _listen(self, family: int, address: Any) -> socket.socket:
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen()

        def welcome() -> None:
            while True:
                try:
                    visitor, who = listener.accept()
                except OSError:
                    return
                visitor.close()
                self.visitors.append(who or address)

        threading.Thread(target=welcome, daemon=True).start()
        return listener

    def _as_user(self, words: list[str]) -> subprocess.Popen[str]:
        environment = {
            **KEYS,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SOURCE.parent / "tests")]),
        }
        return subprocess.Popen(
            [*as_user(self.uid), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.root,
        )


def as_user(uid: int) -> list[str]:
    """Return the words before a command that run it as another user, who can read this Python."""
    if uid == os.getuid():
        return []
    needed = [Path(place).resolve() for place in (sys.base_prefix, sys.prefix, SOURCE.parent)]
    shut = sorted({parent for path in needed for parent in path.parents if not parent.stat().st_mode & 0o001})
    words = ["bwrap", "--die-with-parent", "--bind", "/", "/", "--dev-bind", "/dev", "/dev"]
    for folder in shut:
        words += ["--perms", "0755", "--tmpfs", str(folder)]
    for path in needed:
        hidden = [folder for folder in shut if folder in path.parents]
        for parent in [p for p in reversed(path.parents) if any(folder in p.parents for folder in hidden)]:
            words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--ro-bind", str(path), str(path)] if hidden else []
    return [*words, "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]


def main() -> None:
    """Be the warden: read requests for trials from standard input, print each outcome to standard output."""
    from fakes.studies import make_spec
    from fakes.trials import PYTHON, Bench, finish

    from tunesmith.evaluator.evaluator import Evaluator
    from tunesmith.evaluator.executors import base
    from tunesmith.evaluator.files import folder_quota

    _print(os.getpid())
    base.GRACE_S = 0.2
    folder_quota.QUOTA_CHECK_S = 0.05
    bench = Bench(Path.cwd())
    tables = {
        "evaluate": {"command": f"{PYTHON} evaluate.py {{artifacts}}/prediction"},
        "edits": {"files": ["train.py"], "protect": ["metric.py", "scoring", "big.bin"]},
    }
    for line in sys.stdin:
        request = json.loads(line)
        run = {"command": f"{PYTHON} train.py", "sandbox": True, "timeout": "20s", "log": "10M", **request["run"]}
        spec = make_spec(run=run, **{**tables, **request["tables"]})
        evaluator = Evaluator(spec, project=bench.project, folder=bench.project / ".tunesmith" / "small")
        evaluation = bench.start(evaluator, request["number"])
        outcome = finish(evaluation)
        failure = outcome.failure
        log = evaluation.folder / "log.txt"
        answer = {
            "state": outcome.state.value,
            "kind": failure.kind.value if failure else "",
            "reason": f"{failure.reason}\n{failure.tail}" if failure else "",
            "values": dict(outcome.values),
            "log": log.read_text(encoding="utf-8", errors="replace")[-3000:],
        }
        _print(answer)


def _print(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _trial_folder(process: psutil.Process) -> str:
    try:
        return str(process.environ().get("TUNESMITH_TRIAL_FOLDER", ""))
    except (psutil.Error, OSError):
        return ""


if __name__ == "__main__":
    main()
