"""Population-based training against full runs at equal epochs, on a small network for 8x8 digits.

    python bench/experiments/quality/population.py --seeds 5

Both ways spend the epochs of 8 full runs of 24 epochs: 8 full runs by the sampler, and a population of 8 whose
generations train 3 epochs. Both choose by the validation loss; the chosen networks are compared by their loss on digits
that neither used.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np

from tunesmith.history.read import History

SCRIPT = """\
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import tunesmith

args = SimpleNamespace(**tunesmith.params())
table = np.loadtxt(Path(find_spec("sklearn").origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
order = np.random.default_rng(1797).permutation(len(table))
x, y = table[order, :64] / 16, table[order, 64].astype(int)
train, val, test = slice(0, 700), slice(700, 1200), slice(1200, None)
rng = np.random.default_rng(args.seed)
epoch, sizes = 0, (64, 64, 10)
w = [rng.normal(size=s) / np.sqrt(s[0]) for s in zip(sizes, sizes[1:])] + [np.zeros(n) for n in sizes[1:]]
v = [np.zeros_like(a) for a in w]
if folder := tunesmith.resume_from():
    kept = np.load(folder / "last.npz")
    w, v, epoch = [kept[f"w{i}"] for i in range(4)], [kept[f"v{i}"] for i in range(4)], int(kept["epoch"])


def forward(x):
    hidden = np.tanh(x @ w[0] + w[2])
    logits = hidden @ w[1] + w[3]
    logits = logits - logits.max(axis=1, keepdims=True)
    return hidden, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def loss(part):
    return float(-forward(x[part])[1][np.arange(len(y[part])), y[part]].mean())


while epoch < args.epochs:
    epoch += 1
    shuffled = rng.permutation(700)
    for first in range(0, 700, args.batch):
        rows = shuffled[first : first + args.batch]
        seen = x[rows] + args.noise * rng.normal(size=(len(rows), 64))
        hidden, logs = forward(seen)
        error = np.exp(logs)
        error[np.arange(len(rows)), y[rows]] -= 1
        error /= len(rows)
        back = (error @ w[1].T) * (1 - hidden**2)
        grads = [seen.T @ back, hidden.T @ error, back.sum(axis=0), error.sum(axis=0)]
        for i in range(4):
            v[i] = args.momentum * v[i] - args.lr * (grads[i] + args.decay * w[i] * (i < 2))
            w[i] = w[i] + v[i]
    tunesmith.report(step=epoch, val_loss=loss(val), test_loss=loss(test))
state = {f"{name}{i}": array for name, arrays in (("w", w), ("v", v)) for i, array in enumerate(arrays)}
np.savez(tunesmith.artifacts() / "last.npz", epoch=epoch, **state)
"""
STUDY = """\
[study]
name = "digits"
metric = "val_loss"
seed = {seed}
[run]
command = "{python} train.py"
parallel = {slots}
env = {{ OMP_NUM_THREADS = "1", OPENBLAS_NUM_THREADS = "1" }}
[fidelity]
name = "epochs"
min = 3
max = 24
[schedule]
kind = "{kind}"
[space]
lr = {{ type = "float", low = 1e-3, high = 2.0, log = true, default = 0.03 }}
momentum = {{ type = "float", low = 0.0, high = 0.97, default = 0.0 }}
decay = {{ type = "float", low = 1e-6, high = 0.1, log = true, default = 1e-4 }}
noise = {{ type = "float", low = 0.0, high = 0.5, default = 0.0 }}
batch = {{ type = "int", low = 8, high = 256, log = true, default = 64 }}
[budget]
trials = {trials}
"""
GENERATIONS = 8


def main() -> None:
    """Run both ways on every seed and print the chosen networks' loss on unseen digits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=1)
    args = parser.parse_args()
    losses: dict[str, list[tuple[float, float]]] = {"full": [], "pbt": []}
    for seed in range(args.seeds):
        for kind in losses:
            losses[kind].append(chosen(kind, seed, args.slots))
            val, test = losses[kind][-1]
            print(f"seed {seed}  {kind:5}  val_loss {val:.4f}  test_loss {test:.4f}", flush=True)
    for kind, found in losses.items():
        print(f"{kind:5}  mean val_loss {mean(v for v, _ in found):.4f}  test_loss {mean(t for _, t in found):.4f}")
    gaps = np.array([pbt[1] - full[1] for pbt, full in zip(losses["pbt"], losses["full"], strict=True)])
    draws = np.random.default_rng(0).choice(gaps, size=(10_000, len(gaps))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    print(f"pbt - full in test_loss: {gaps.mean():.4f} [{low:.4f}, {high:.4f}]")


def chosen(kind: str, seed: int, slots: int) -> tuple[float, float]:
    """Run one study; return the best network's loss on validation and on unseen digits."""
    trials = 8 if kind == "full" else 8 * GENERATIONS
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        text = STUDY.format(seed=seed, python=sys.executable, kind=kind, trials=trials, slots=slots)
        (project / "study.toml").write_text(text, encoding="utf-8")
        (project / "train.py").write_text(SCRIPT, encoding="utf-8")
        command = [sys.executable, "-m", "tunesmith.cli.main", "run", str(project)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with History.open(project / ".tunesmith" / "history.db") as history:
            best = history.best(history.study("digits"))
        if best is None:
            raise SystemExit(f"{kind}, seed {seed}: no trial ran to the end")
        return best.values["val_loss"], best.values["test_loss"]


if __name__ == "__main__":
    main()
