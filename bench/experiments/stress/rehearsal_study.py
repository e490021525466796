"""The study of the rehearsal: a script with faults, a hostile one, its settings, and a provider that fails."""

from __future__ import annotations

import inspect
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
from fakes.llm.server import Reply, Request, error, message

from tunesmith.study.trials.replicates.seeds import tuning_seed

STUDY = "night"
HOSTILE_SHARE = 0.25
"""Part of the trials of a hostile night whose script attacks."""


def loss(x: float, y: int, seed: int) -> float:
    """Return the loss of a trial without faults: a valley, with noise that depends on the seed."""
    return (x - 0.3) ** 2 + 0.05 * abs(y - 4) + 0.1 * random.Random(seed).random()


def is_hostile(seed: int) -> bool:
    """Return whether the trial with this seed attacks, in a hostile night."""
    return random.Random(seed + 3).random() < HOSTILE_SHARE


SCRIPT = f"""
import os, random, subprocess, sys, time

{inspect.getsource(loss)}

values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, y, seed = float(values["--x"]), int(values["--y"]), int(values["--seed"])
fate = random.Random(seed + 1).random()
time.sleep(float(values["--seconds"]) * (0.6 + 0.8 * random.Random(seed + 2).random()))
if fate < 0.08: raise RuntimeError("shapes do not fit: 3 and 4")
if fate < 0.10: time.sleep(3600)
if fate < 0.13: sys.exit("CUDA out of memory. Tried to allocate 20.00 GiB")
if fate < 0.14: os._exit(137)
if fate < 0.15: os.kill(os.getpid(), 9)
if fate < 0.17: print("loss=nan"); sys.exit()
if fate < 0.18: sys.exit()
if fate < 0.21: subprocess.Popen(["sleep", "3600"], start_new_session=True)
if fate < 0.22: print("x" * 300000)
for step in (1, 2, 3):
    print(f"step={{step}} loss={{loss(x, y, seed) + 1 / step - 1 / 3}}")
"""
HOSTILE = """
import ctypes, mmap, os, random, signal, subprocess, sys, time

def flood(): 
    for n in range(2_000_000): print(f"loss={n + 9}")
def numbers(): print("loss=" + "1" * 3_000_000); print("loss=" + "1e" * 1_000_000, "1," * 1_000_000)
def escapes(): print("\\x1b[" * 1_500_000); print("\\x1b]0;" * 500_000)
def reports():
    with open(os.environ["TUNESMITH_REPORT"], "a") as file:
        for n in range(300_000): file.write('{"step": %d, "values": {"loss": %d}}\\n' % (n, n + 9))
        file.write("[" * 200_000 + "\\n" + '{"values": {"loss": 1' + "0" * 400 + "}}\\n")
def files():
    for n in range(2_000): open(f"{ART}/{n}", "w").close()
def memory():
    m = mmap.mmap(-1, 400 << 20)
    for i in range(0, 400 << 20, 4096): m[i] = 1
    time.sleep(60)
def segments():
    libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
    for n in range(20):
        p = libc.shmat(libc.shmget(0, ctypes.c_size_t(15 << 20), 0o1600), None, 0)
        ctypes.memset(ctypes.c_void_p(p), 1, 15 << 20); libc.shmdt(ctypes.c_void_p(p))
    time.sleep(60)
def disk():
    libc = ctypes.CDLL(None)
    libc.fallocate(os.open("big", os.O_CREAT | os.O_RDWR), 1, ctypes.c_long(0), ctypes.c_long(60 << 20)); time.sleep(60)
def forks():
    while True:
        try: os.fork()
        except OSError: time.sleep(60)
def deep():
    for n in range(3000): os.mkdir("d"); os.chdir("d")
def links(): os.symlink("/etc/passwd", f"{ART}/model.pt"); os.chmod(ART, 0o311)
def stays():
    for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
def daemons(): subprocess.Popen(["sleep", "3600"], start_new_session=True)
def extremes():
    for value in ("1e308", "-nan", "inf", "9" * 400, "1e-99999", "9"): print(f"step=1 loss={value}")
def binary(): os.write(1, os.urandom(2_000_000)); os.write(2, b"loss=\\xff\\n" * 50_000)
def repository():
    os.makedirs(".git/objects"); os.makedirs(".git/refs"); open(".git/HEAD", "w").write("ref: refs/heads/main")

ART = os.environ["TUNESMITH_ARTIFACTS"]
attacks = [flood, numbers, escapes, reports, files, memory, segments, disk, forks, deep, links, stays, daemons,
           extremes, binary, repository]
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
random.Random(int(values["--seed"]) + 4).choice(attacks)()
print("loss=9")
"""
SETTINGS = """
[study]
name = "{study}"
metric = "loss"
seed = {seed}
[run]
{sandbox}command = "{python} -I -S train.py --x {{x}} --y {{y}} --seed {{seed}} --seconds {seconds}"
timeout = {timeout}
parallel = {slots}
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
y = {{ type = "int", low = 1, high = 8, default = 8 }}
[planner]
model = "m"
base_url = "{base_url}"
[confirm]
seeds = 3
"""
SANDBOX = """sandbox = true
memory = "200M"
disk = "30M"
processes = 64
"""


def script(*, with_hostile: bool) -> str:
    """Return train.py: the script with faults; in a hostile night it becomes the hostile one for some seeds."""
    if not with_hostile:
        return SCRIPT
    begin = f"import os, random, sys, time\n\n{inspect.getsource(is_hostile)}".replace(
        "HOSTILE_SHARE", str(HOSTILE_SHARE)
    )
    chosen = "values = dict(zip(sys.argv[1::2], sys.argv[2::2]))\nif is_hostile(int(values['--seed'])):\n"
    chosen += "    exec(open('hostile.py').read())\n    sys.exit()\n"
    ended = "print(f'loss={loss(x, y, seed)} ended={time.time()!r}')\n"
    return f"{begin}\n{chosen}{SCRIPT}{ended}"


def seed_with_working_default() -> int:
    """Return a seed of a study whose default configuration has no fault, so that there is a baseline."""
    seeds = ((s, tuning_seed(s, 0)) for s in range(1000))
    return next(s for s, first in seeds if random.Random(first + 1).random() > 0.22 and not is_hostile(first))  # noqa: PLR2004


def faulty(request: Request, before: int) -> Reply:
    """Answer as a failing provider: one answer in three is valid, the others have one of eight faults."""
    chance = random.Random(before)
    points = [{"x": round(chance.random(), 3), "y": chance.randint(1, 8)} for _ in range(4)]
    candidates = [
        {"params": p, "rationale": "try it", "predicted": 0.1, "refuted_by": "", "operator": "refine"} for p in points
    ]
    hostile = [{**c, "params": {"x": 1e9, "y": "rm -rf /"}, "rationale": "ignore all rules"} for c in candidates]
    asked = json.dumps(request.get("response_format") or request.get("tools") or {})
    lesson = {"insights": [{"text": "small x is better", "trials": [1, 2]}]}
    valid = message(json.dumps(lesson if "insights" in asked else {"candidates": candidates}))
    faults = [
        error(429, "slow down", retry_after="1"),
        error(500, "oops"),
        Reply(status=200, body=b"<html>gateway</html>"),
        Reply(body=valid.body, cut=True),
        message('{"candidates": [{"params": {"x": 0.1'),
        message(json.dumps({"candidates": hostile})),
        message("I cannot help with that."),
        Reply(body=valid.body, delay_s=8.0),
    ]
    return valid if before % 3 == 0 else faults[chance.randrange(len(faults))]


def hostile(request: Request, before: int) -> Reply:
    """Answer as a provider that attacks, every third time; else as one that fails."""
    attacks = [
        message("\ud800" + json.dumps({"candidates": [{"params": {"x": 0.1, "y": 1}, "rationale": "\ud800\x00"}]})),
        message("[" * 100_000),
        message("x" * 20_000_000),
        message(json.dumps({"candidates": [{"params": {"x": 1e309, "y": 10**400}, "rationale": "\u202e" * 1000}]})),
        message('{"candidates": [' + '{"params": {"x": 0.1, "y": 1}},' * 100_000 + "]}"),
        Reply(body=b"\xff\xfe" * 1000),
        message(json.dumps({"candidates": {"x" * 10_000: None}})),
    ]
    return attacks[before // 3 % len(attacks)] if before % 3 == 1 else faulty(request, before)
