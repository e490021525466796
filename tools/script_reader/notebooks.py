"""The program that runs a notebook's code without Jupyter; `init` writes it next to study.toml."""

from __future__ import annotations

RUNNER = "run_notebook.py"
"""Name of the program."""
_TEXT = '''"""Runs a notebook's code as a script: python run_notebook.py NOTEBOOK. Magics are skipped."""

import json
import re
import sys

MAGIC = re.compile(r"^(\\s*)([%!?].*|.*\\?\\s*$|\\w+\\s*=\\s*!.*)$")


def code(path):
    with open(path, encoding="utf-8") as stream:
        cells = json.load(stream)["cells"]
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and not text.lstrip().startswith("%%"):
            yield "\\n".join(MAGIC.sub(r"\\1pass", line) for line in text.split("\\n"))


if __name__ == "__main__":
    notebook = sys.argv[1]
    try:
        import matplotlib

        matplotlib.use("Agg")
    except ImportError:
        pass
    names = {"__name__": "__main__", "display": print}
    for number, text in enumerate(code(notebook), start=1):
        exec(compile(text, f"{notebook} cell {number}", "exec"), names)
'''


def runner_text() -> str:
    """Return the program."""
    return _TEXT
