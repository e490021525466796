"""A judge without a model, for trying [judge] out: an OpenAI-compatible server that compares summaries by a rule.

It counts figures and names, takes points off for words, and prefers what is shown first where both are close, as many
models do. Put a real model into study.toml for real summaries.

    python scripted_judge.py            # serves on 127.0.0.1:8765 until Ctrl-C
    python scripted_judge.py --label    # writes labels.csv by the same rule without the preference, with a few slips
"""

import argparse
import csv
import json
import random
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
FIRST_IS_BETTER = 0.6
"""Points that the text shown first gets for its place."""


def worth(text: str) -> float:
    figures = len(re.findall(r"\d[\d,.:]*", text))
    names = len(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text))
    return 2.0 * figures + names - 0.12 * len(text.split())


def answer(prompt: str) -> dict:
    """Return the verdict on the two texts that a prompt shows between lines of ~~~."""
    shown = re.findall(r"^~{3,}text\n(.*?)\n~{3,}$", prompt, flags=re.DOTALL | re.MULTILINE)
    first, second = (worth(text) for text in shown)
    better = "A" if first + FIRST_IS_BETTER > second else "B"
    return {"reason": f"{first:.1f} points against {second:.1f}", "better": better}


class Judge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = request["messages"][-1]["content"]
        message = {"role": "assistant", "content": json.dumps(answer(prompt))}
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 20, "total_tokens": len(prompt) // 4 + 20}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted-judge", "choices": [choice]}
        body = json.dumps({**reply, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def write_labels(count: int = 40) -> None:
    """Write labels.csv: pairs of random summaries, judged by the rule; one in twelve is a slip."""
    rng = random.Random(0)
    articles = [json.loads(line) for line in (HERE / "articles.jsonl").read_text().splitlines()]
    with (HERE / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["input", "a", "b", "label"])
        for _ in range(count):
            article = rng.choice(articles)
            sentences = re.split(r"(?<=[.!?]) ", article["text"])
            a, b = (" ".join(sorted(rng.sample(sentences, rng.randint(1, 3)), key=sentences.index)) for _ in "ab")
            gap = worth(a) - worth(b)
            label = "tie" if abs(gap) < 0.3 else "a" if (gap > 0) == (rng.random() > 1 / 12) else "b"
            rows.writerow([article["text"], a, b, label])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label", action="store_true")
    parser.add_argument("--port", type=int, default=8765)
    asked = parser.parse_args()
    if asked.label:
        write_labels()
    else:
        ThreadingHTTPServer(("127.0.0.1", asked.port), Judge).serve_forever()
