"""Summarizes articles by choosing sentences; every setting is an option. Needs the standard library only."""

import argparse
import json
import math
import re
from collections import Counter
from pathlib import Path


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9,.]*[a-z0-9]", text.lower())


def summary(article: dict, rare: dict, asked: argparse.Namespace) -> str:
    """Return the chosen sentences in their order."""
    sentences = re.split(r"(?<=[.!?]) ", article["text"])
    title = set(words(article["title"]))

    def weight(index: int) -> float:
        found = words(sentences[index])
        numbers = sum(any(c.isdigit() for c in word) for word in found)
        score = asked.rare * sum(rare[word] for word in found) / len(found)
        score += asked.title * len(title & set(found)) + asked.numbers * numbers - asked.lead * index / len(sentences)
        return score

    best = sorted(range(len(sentences)), key=weight, reverse=True)[: asked.sentences]
    return " ".join(sentences[index] for index in sorted(best))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=1)
    parser.add_argument("--lead", type=float, default=1.0, help="how much earlier sentences count")
    parser.add_argument("--title", type=float, default=0.0, help="how much words of the title count")
    parser.add_argument("--numbers", type=float, default=0.0, help="how much numbers count")
    parser.add_argument("--rare", type=float, default=0.0, help="how much rare words count")
    parser.add_argument("--out", type=Path, default=Path("outputs.jsonl"))
    asked = parser.parse_args()
    here = Path(__file__).parent
    articles = [json.loads(line) for line in (here / "articles.jsonl").read_text().splitlines()]
    seen = Counter(word for article in articles for word in set(words(article["text"])))
    rare = {word: math.log(len(articles) / count) for word, count in seen.items()}
    with asked.out.open("w") as file:
        for article in articles:
            text = summary(article, rare, asked)
            file.write(json.dumps({"id": article["id"], "input": article["text"], "output": text}) + "\n")


if __name__ == "__main__":
    main()
