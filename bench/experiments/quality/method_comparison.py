"""How often `tunesmith compare` claims a difference: one method under two names, and a crippled one.

    python bench/experiments/quality/method_comparison.py [--against two] [--comparisons 40] [--repeats 5] [--jobs 2]

Each comparison tunes two methods anew, 5 repeats of 6 trials and 3 fresh seeds, on a script that costs milliseconds: a
loss with an optimum in one parameter, and noise that depends on the seed and on the method's name. The crippled method
ends half of its updates early, which costs it .15; the noise of a run has a standard deviation of .1.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

SCRIPT = """\
import random, sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
random.seed(values["--seed"] + values["--method"])
behind = 0.15 if values["--method"] == "crippled" else 0.0
print("loss", (float(values["--x"]) - 0.3) ** 2 + behind + random.gauss(0, 0.1))
"""
STUDY = """\
[study]
name = "toy"
metric = "loss"
seed = {seed}
[run]
command = "{python} -I -S train.py --x {{x}} --method {{method}} --seed {{seed}}"
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
method = {{ type = "choice", choices = ["one", "{other}"], default = "one" }}
[budget]
trials = 6
"""
WANTED = {"two": "ties", "crippled": "finds the crippled method"}
"""What a comparison of the method `one` with another should say."""


def main() -> None:
    """Print in how many comparisons each verdict came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=tuple(WANTED), action="append", help="one of them only; repeatable")
    parser.add_argument("--comparisons", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    for other, wanted in WANTED.items():
        if args.against and other not in args.against:
            continue
        with ThreadPoolExecutor(args.jobs) as pool:
            ask = partial(is_clear, other=other, repeats=args.repeats)
            clear = list(pool.map(ask, range(0, 1000 * args.comparisons, 1000)))
        count = len(clear) - sum(clear) if other == "two" else sum(clear)
        low, high = wilson(count, len(clear))
        print(f"one against {other}: {wanted} in {count} of {len(clear)} ({low:.0%} to {high:.0%})", flush=True)


def is_clear(seed: int, other: str, repeats: int) -> bool:
    """Return whether a comparison calls one of the methods better."""
    with TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "train.py").write_text(SCRIPT, encoding="utf-8")
        text = STUDY.format(seed=seed, python=sys.executable, other=other)
        (project / "study.toml").write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "tunesmith.cli.main", "compare", ".", "--by", "method", "--seeds", "3", "--json"]
        words += ["--repeats", str(repeats)]
        done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True)
        return bool(json.loads(done.stdout)["verdicts"][0]["clear"])


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95% interval of a proportion (Wilson 1927)."""
    z, share = 1.96, count / total
    centre = share + z**2 / (2 * total)
    margin = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return (centre - margin) / (1 + z**2 / total), (centre + margin) / (1 + z**2 / total)


if __name__ == "__main__":
    main()
