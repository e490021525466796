"""Answers questions with a prompt, scores each answer, and says what is wrong with it.

The "model" is a rule, so that the example runs without a key: it does what it is asked for, and no more. Put a call
to a real model into `model`.
"""

import argparse
import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def model(prompt: str) -> str:
    """Return the answer of a model that does only what the prompt says."""
    rules, _, rest = prompt.lower().partition("text:")
    text = rest.partition("question:")[0]
    numbers = re.findall(r"\d+(?:\.\d+)?", text)
    if "year" in rules:
        numbers = [n for n in numbers if not re.fullmatch(r"(1[6-9]|20)\d\d", n)]
    if not numbers:
        return "unknown" if "unknown" in rules else "It is about 10 metres."
    value, unit = float(numbers[0]), "km" if f"{numbers[0]} km" in text else "metres"
    if unit == "km" and "convert" in rules:
        value, unit = value * 1000, "metres"
    number = f"{value:g}"
    return number if "only the number" in rules else f"It is {number} {unit}."


def judged(answer: str, wanted: str) -> tuple[float, str]:
    """Return the score of an answer, from 0 to 1, and what is wrong with it."""
    if answer == wanted:
        return 1.0, ""
    found = re.search(r"\d+(?:\.\d+)?", answer)
    if wanted == "unknown":
        return 0.0, "the text does not say it, so the answer must be: unknown"
    if found is None:
        return 0.0, f"the text says it: {wanted}"
    if found[0] == wanted:
        return 0.5, "the number is right, but there must be nothing else in the answer"
    if re.fullmatch(r"(1[6-9]|20)\d\d", found[0]):
        return 0.0, f"{found[0]} is a year, not a length"
    return 0.2, "kilometres were not converted to metres"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompt", type=Path, default=HERE / "prompt.md")
    parser.add_argument("--out", type=Path, default=Path("outputs.jsonl"))
    asked = parser.parse_args()
    template, scores = asked.prompt.read_text(), []
    with asked.out.open("w") as file:
        for line in (HERE / "questions.jsonl").read_text().splitlines():
            row = json.loads(line)
            answer = model(template.format(text=row["text"], question=row["question"]))
            score, feedback = judged(answer, row["answer"])
            scores.append(score)
            shown = {"id": row["id"], "input": f"{row['text']} {row['question']}", "output": answer}
            file.write(json.dumps({**shown, "score": score, "feedback": feedback}) + "\n")
    print(f"score={sum(scores) / len(scores):.4f}")


if __name__ == "__main__":
    main()
