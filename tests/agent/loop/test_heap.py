"""What many threads freed returns to the system, also where blocks that live on lie between."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, platform, threading
from tunesmith.agent.loop.limits.heap import keep_heap_small, return_free_memory

def used_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

keep_heap_small()
kept = []

def work():
    blocks = [bytes(20_000 + n) for n in range(1_500)]
    kept.extend(blocks[::100])

before = used_mib()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
return_free_memory()
grown = used_mib() - before
print(grown if platform.libc_ver()[0] == "glibc" else 0.0)
"""


def test_what_threads_freed_returns_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) < 20.0
