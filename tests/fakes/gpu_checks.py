"""Studies for the checks of `make test-gpu`. Each takes the device from PyTorch, so that it runs on the CPU too."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakes.projects import command

from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.trial import Trial

ROOT = Path(__file__).parents[2]

TRAIN = """\
import sys, time
import torch
import tunesmith

at = dict(zip(sys.argv[1::2], sys.argv[2::2]))
device = "cuda" if torch.cuda.is_available() else "cpu"
began = time.time()
held = torch.ones(int(float(at["--gib"]) * 2**28), device=device)
model = torch.nn.Linear(256, 256, device=device)
optimizer = torch.optim.SGD(model.parameters(), lr=float(at.get("--lr", 0.1)))
step = 0
while step < 10 or time.time() - began < float(at["--seconds"]):
    x = torch.randn(512, 256, device=device)
    loss = (model(x) - x.roll(1, dims=1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    step += 1
    if not step % 50:
        tunesmith.report(step=step, loss=loss.item())
devices = torch.cuda.device_count() if device == "cuda" else 0
tunesmith.report(step=step + 1, loss=loss.item(), devices=devices, began=began, ended=time.time())
"""
STUDY = """\
[study]
name = "gpu"
metric = {metric}
direction = "minimize"

[run]
command = "{python} train.py --gib {gib} --seconds {seconds} --lr {lr}"
gpus = {gpus}
parallel = {parallel}
timeout = "3m"
{run}

[space]
{space}

[planner]
sampler = "grid"

[budget]
trials = {trials}
"""
QUICK_TIME = "pairs = 8\nlaunches = 2\n"


def study(
    folder: Path,
    *,
    space: str,
    trials: int,
    gpus: str = "0",
    parallel: int = 1,
    gib: str = "0.1",
    seconds: str = "5",
    lr: str = "0.1",
    metric: str = '"loss"',
    run: str = "",
) -> list[Trial]:
    """Run a study of the script above in a new folder; return its trials."""
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    text = STUDY.format(
        metric=metric, python=sys.executable, gib=gib, seconds=seconds, lr=lr, gpus=gpus, parallel=parallel, run=run,
        space=space, trials=trials,
    )  # fmt: skip
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return finished(folder)


def finished(folder: Path, *, timeout_s: float = 300) -> list[Trial]:
    """Run the study in a folder; return its trials."""
    done = command("run", cwd=folder, timeout_s=timeout_s)
    file = folder / ".tunesmith" / "history.db"
    assert file.exists(), done.stdout + done.stderr
    with History.open(file) as history:
        trials = list(history.trials(history.study(load_spec(folder).study.name).id))
    assert trials, done.stdout + done.stderr
    return trials


def overlap_s(trials: Sequence[Trial]) -> float:
    """Return for how many seconds the first two trials trained at the same time."""
    first, second = (t.values for t in trials[:2])
    return min(first["ended"], second["ended"]) - max(first["began"], second["began"])


def timed_example(folder: Path, *, on_cpu: bool) -> Path:
    """Copy the Triton example, with fewer trials and pairs; on the CPU its kernel is PyTorch's own product."""
    shutil.copytree(ROOT / "examples" / "triton_matmul", folder)
    file = folder / "study.toml"
    text = re.sub(r"pairs = \d+\nlaunches = \d+\n", QUICK_TIME, file.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^trials = \d+$", "trials = 3", text)
    if on_cpu:
        text = text.replace("gpus = 1\n", "").replace("4096", "192").replace("1024", "160")
        inputs = folder / "inputs.py"
        inputs.write_text(inputs.read_text(encoding="utf-8").replace("cuda", "cpu").replace("float16", "float32"))
        product = "import torch\n\ndef matmul(a, b, **blocks):\n    return (b.T @ a.T).T\n"
        (folder / "kernel.py").write_text(product, encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    return folder


def charlm_with_edits(folder: Path, *, url: str, gpus: int, minutes: float, trials: int, seconds: float) -> Path:
    """Copy charlm as a study with edits of a recorded model, for so long."""
    replay = replay_module()
    made: Path = replay.make_project(  # type: ignore[attr-defined]  # loaded by its path
        ROOT / "examples" / "charlm", folder, trials=trials, seconds=seconds, url=url, strategy="greedy"
    )
    file = made / "study.toml"
    text = file.read_text(encoding="utf-8").replace('timeout = "10m"', f'timeout = "10m"\ngpus = {gpus}\nparallel = 1')
    text = re.sub(r"\[confirm\]\ntop = \d+\nseeds = \d+\n", "", text)
    file.write_text(text.replace("[budget]\n", f"[budget]\nhours = {minutes / 60:.4f}\n"), encoding="utf-8")
    return made


def replay_module() -> object:
    """Return bench/experiments/edits/replay.py, which has the recorded model."""
    import importlib.util

    path = ROOT / "bench" / "experiments" / "edits" / "replay.py"
    spec = importlib.util.spec_from_file_location("replay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay"] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Watched:
    """What nvidia-smi said of a GPU while it was watched: seconds since the epoch, MiB in use, watts."""

    rows: list[tuple[float, float, float]] = field(default_factory=list)

    def peak_mib(self) -> float:
        return max(row[1] for row in self.rows) - self.rows[0][1]

    def joules(self, began: float, ended: float) -> float:
        rows = [row for row in self.rows if began <= row[0] <= ended]
        return sum((b[0] - a[0]) * (a[2] + b[2]) / 2 for a, b in zip(rows, rows[1:], strict=False))


@contextmanager
def watched(index: str) -> Iterator[Watched]:
    """Ask nvidia-smi twice a second what a GPU uses."""
    found, over = Watched(), threading.Event()
    words = ["nvidia-smi", f"--id={index}", "--query-gpu=memory.used,power.draw", "--format=csv,noheader,nounits"]

    def look() -> None:
        while not over.is_set():
            line = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            used, watts = map(float, line.split(","))
            found.rows.append((time.time(), used, watts))
            over.wait(0.5)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def nvidia_smi_gpus() -> list[tuple[str, float]]:
    """Return the name and the GiB of each GPU, from nvidia-smi."""
    words = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    return [(name.strip(), float(mib) / 1024) for name, mib in (line.rsplit(",", 1) for line in lines)]


def seen_in_the_sandbox(folder: Path) -> dict[str, object]:
    """Return what edited code wrote of the devices that it saw."""
    found: dict[str, object] = json.loads((folder / "artifacts" / "seen.json").read_text(encoding="utf-8"))
    return found


SEES = """\
import json, os, pathlib, torch
import tunesmith

device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Linear(64, 64, device=device)
for step in range(20):
    x = torch.randn(32, 64, device=device)
    loss = (model(x) - x).square().mean()
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.1 * weight.grad
            weight.grad = None
seen = {
    "device": device, "count": torch.cuda.device_count(), "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "nodes": sorted(p.name for p in pathlib.Path("/dev").iterdir() if p.name.startswith("nvidia")),
}
(tunesmith.artifacts() / "seen.json").write_text(json.dumps(seen))
print(f"loss={loss.item()}")
"""
"""An edited script that trains a little and says which devices it saw."""
