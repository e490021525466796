"""Measures the delay of the first word of a chat answer, from the server's first byte of it to the terminal's screen.

    python bench/experiments/latency/chat_latency.py [--rounds 20]

Needs tmux. The target is 0.3 s. The screen is read every few milliseconds through tmux, which takes about 5 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from fakes.llm.server import Reply, Request, serving, streamed
from fakes.machine.terminal import TMUX, terminal
from fakes.projects import command, make_project

TARGET_S = 0.3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    if TMUX is None:
        sys.exit("tmux is not installed")
    words = [f"Word{n}first" for n in range(rounds)]

    def reply(request: Request, before: int) -> Reply:  # noqa: ARG001
        return streamed(words[before], *(" and so on" for _ in range(10)), pause_s=0.05)

    with tempfile.TemporaryDirectory() as folder, serving(reply) as server:
        project = make_project(Path(folder) / "p", trials=3)
        command("run", cwd=project)
        options = ["chat", "--model", "m", "--base-url", server.base_url]
        with terminal(*options, cwd=project) as shown:
            seconds = []
            for n in range(rounds):
                shown.wait_for_prompt()
                before = len(server.sent_at)
                shown.type("hello")
                while words[n] not in shown.screen():
                    time.sleep(0.002)
                # The first event of a stream only opens it; the second holds the first word.
                seconds.append(time.time() - server.sent_at[before + 1])
    print(f"delay of the first word on the screen, {rounds} answers:")
    print(f"median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s, target {TARGET_S} s")


if __name__ == "__main__":
    main()
