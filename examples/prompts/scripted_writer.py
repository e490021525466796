"""A model without a model, for trying text parameters out: an OpenAI-compatible server that rewrites a prompt by rules.

It reads what was said of the weak examples and adds the rule that is missing. Put a real model into study.toml for real
prompts.

    python scripted_writer.py       # serves on 127.0.0.1:8766 until Ctrl-C
"""

import argparse
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RULES = {
    "there must be nothing else": "Write only the number.",
    "must be: unknown": "If the text does not say it, write: unknown.",
    "is a year": "A year is never the answer.",
    "not converted": "Convert kilometres to metres.",
}
FIRST_LINE = "Answer the question from the text."


def answer(prompt: str) -> dict:
    """Return an idea: the rule for what was said most often and that the shown text does not have yet."""
    shown = prompt.partition("# Its results")[0]
    said = re.findall(r"~{3,}feedback\n\| (.*)", prompt)
    missing = {rule: sum(sign in text for text in said) for sign, rule in RULES.items() if rule not in shown}
    rule = max(missing, key=missing.get, default="Be brief.")
    block = {"path": "prompt.md", "search": FIRST_LINE, "replace": f"{FIRST_LINE}\n{rule}"}
    why = f"{missing.get(rule, 0)} answers went wrong because the prompt does not say: {rule}"
    idea = {"rationale": why, "direction": "other", "parent": None, "edits": [block], "params": {}}
    return {"ideas": [{**idea, "new_params": [], "predicted": None}], "joins": [], "trials": []}


class Writer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = request["messages"][-1]["content"]
        message = {"role": "assistant", "content": json.dumps(answer(prompt))}
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 80, "total_tokens": len(prompt) // 4 + 80}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted-writer", "choices": [choice]}
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8766)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Writer).serve_forever()
