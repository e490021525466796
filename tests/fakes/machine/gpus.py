"""A machine with fake GPUs: a fake NVML, and a training script that fills their memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NVML = Path(__file__).with_name("nvml")
GIB = 2**30

# Runs out of memory as CUDA does: when what all trials hold on the GPU is more than it has.
TRAIN = """
import json, os, sys, time
from pathlib import Path
gpu, gib, seconds = int(os.environ["CUDA_VISIBLE_DEVICES"]), float(sys.argv[1]), float(sys.argv[2])
file = Path(os.environ["FAKE_NVML"])
held = file.with_name("held")
(held / str(os.getpid())).write_text(f"{gpu} {int(gib * 2**30)}")
began = time.monotonic()
while time.monotonic() - began < seconds:
    sizes = [p.read_text().split() for p in held.iterdir() if Path("/proc", p.name).exists()]
    used = sum(int(words[1]) for words in sizes if len(words) == 2 and int(words[0]) == gpu)
    if used > json.loads(file.read_text())[gpu]["memory"]:
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
    time.sleep(0.02)
print(f"loss={gib}")
"""


@contextmanager
def played_gpus(folder: Path, *gpus: dict[str, Any]) -> Iterator[Path]:
    """Let NVML report GPUs, each `{"memory": GiB, "watt": ..., "busy": percent}`; yield the file with them."""
    (folder / "held").mkdir(parents=True)
    file = folder / "gpus.json"
    described = [
        {"uuid": f"GPU-{index}", "name": "Played 9000", **gpu, "memory": int(gpu["memory"] * GIB)}
        for index, gpu in enumerate(gpus)
    ]
    file.write_text(json.dumps(described))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(NVML)
        patch.delitem(sys.modules, "pynvml", raising=False)
        patch.setenv("FAKE_NVML", str(file))
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        yield file
        sys.modules.pop("pynvml", None)
