"""Counts phrases that make a sentence hard to read, so that they do not come back. Run by `make lint`.

    python tests/lint/phrases.py [--list] [PATH ...]

Each phrase is fine once in a while; a text full of them is a dialect that a reader has to learn. The check fails when
the repository holds more than `LIMIT` of them in all, and names the files that hold the most.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

PHRASES = (
    "so many",
    "so much",
    "stands",
    "stands in for",
    "told",
    "goes on",
    "went on",
    "is no",
    "beside",
    "alone",
    "of its own",
    "whoever",
    "whatever",
    "turns the crank",
    "begun",
    "heed",
    "obey",
)
LIMIT = 100
"""Largest number of listed phrases in all Python and Markdown files."""

# "there is no trial 9" and "is no longer pinned" are plain English; "3 is no number" is not.
PLAIN = r"(?<!there )is no(?! longer)"
PATTERN = re.compile(
    r"\b(" + "|".join(PLAIN if phrase == "is no" else phrase.replace(" ", r"\s+") for phrase in PHRASES) + r")\b",
    re.IGNORECASE,
)


def tracked_files(paths: list[str]) -> list[Path]:
    """Return the tracked Python and Markdown files under `paths`, without the changelog and this file."""
    listed = subprocess.run(["git", "ls-files", "--", *paths], capture_output=True, text=True, check=True).stdout
    files = (Path(line) for line in listed.splitlines())
    skipped = {Path("CHANGELOG.md"), Path("tests/lint/phrases.py")}
    return [path for path in files if path.suffix in {".py", ".md"} and path not in skipped and path.is_file()]


def found_in(path: Path) -> list[tuple[int, str]]:
    """Return the line number and the text of each line that holds a listed phrase, once per phrase."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    numbers = [text.count("\n", 0, match.start()) for match in PATTERN.finditer(text)]
    return [(number + 1, lines[number].strip()) for number in numbers]


def main() -> int:
    """Print the count, and each place with `--list`; return 1 when there are more than `LIMIT`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", default=["."])
    parser.add_argument("--list", action="store_true", help="print each place")
    arguments = parser.parse_args()
    found = {path: found_in(path) for path in tracked_files(arguments.paths)}
    counts = Counter({str(path): len(places) for path, places in found.items() if places})
    if arguments.list:
        for path, places in found.items():
            for number, line in places:
                print(f"{path}:{number}: {line}")
    total = sum(counts.values())
    if total <= LIMIT:
        print(f"{total} listed phrases (at most {LIMIT})")
        return 0
    print(f"{total} listed phrases, but at most {LIMIT} are allowed; write a plain sentence instead (CONTRIBUTING.md):")
    for name, count in counts.most_common(15):
        print(f"  {count:4} {name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
