"""Five workloads on SQLite, one per run, for pragmas that should suit all of them; no dependency except Python.

The work is the same for every setting. Each run checks what it read, so that a setting cannot win by losing data while
the process lives.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROWS = 20_000
TEXT = "ring twice, then leave it with the neighbour on the left. " * 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page-size", type=int, default=4096)
    parser.add_argument("--cache-kib", type=int, default=2000)
    parser.add_argument("--mmap-mib", type=int, default=0)
    parser.add_argument("--journal", choices=["delete", "truncate", "persist", "wal"], default="delete")
    parser.add_argument("--synchronous", choices=["normal", "full"], default="full")
    parser.add_argument("--temp-store", choices=["file", "memory"], default="file")
    parser.add_argument("--workload", choices=list(WORKLOADS), default="lookup")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        database = open_database(Path(folder) / "data.db", args)
        started = time.perf_counter()
        operations = WORKLOADS[args.workload](database, random.Random(0))
        seconds = time.perf_counter() - started
        database.close()
    print(f"seconds={seconds:.4f} us_per_op={1e6 * seconds / operations:.3f}")


def open_database(path: Path, args: argparse.Namespace) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA page_size = {args.page_size}")
    database.execute(f"PRAGMA journal_mode = {args.journal}")
    database.execute(f"PRAGMA synchronous = {args.synchronous}")
    database.execute(f"PRAGMA cache_size = {-args.cache_kib}")
    database.execute(f"PRAGMA mmap_size = {args.mmap_mib * 2**20}")
    database.execute(f"PRAGMA temp_store = {args.temp_store}")
    database.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, owner INTEGER, cents INTEGER, note TEXT)")
    rows = ((n, n * 7919 % 500, n * 104_729 % 10_000, TEXT) for n in range(ROWS))
    database.execute("BEGIN")
    database.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
    database.execute("COMMIT")
    return database


def lookup(database: sqlite3.Connection, chance: random.Random) -> int:
    """Read single rows by key."""
    for _ in range(20_000):
        key = chance.randrange(ROWS)
        check(database.execute("SELECT id FROM items WHERE id = ?", (key,)).fetchone() == (key,))
    return 20_000


def scan(database: sqlite3.Connection, chance: random.Random) -> int:
    """Read the whole table again and again."""
    for _ in range(20):
        (total,) = database.execute("SELECT count(*) FROM items WHERE cents >= ?", (chance.randrange(9),)).fetchone()
        check(total > 0)
    return 20 * ROWS


def insert(database: sqlite3.Connection, chance: random.Random) -> int:
    """Add rows, ten in a transaction."""
    for first in range(ROWS, ROWS + 3000, 10):
        database.execute("BEGIN IMMEDIATE")
        for key in range(first, first + 10):
            database.execute("INSERT INTO items VALUES (?, ?, ?, ?)", (key, 0, chance.randrange(10_000), TEXT))
        database.execute("COMMIT")
    return 3000


def update(database: sqlite3.Connection, chance: random.Random) -> int:
    """Change single rows, one in a transaction."""
    for _ in range(400):
        database.execute("UPDATE items SET cents = cents + 1 WHERE id = ?", (chance.randrange(ROWS),))
    return 400


def group(database: sqlite3.Connection, chance: random.Random) -> int:
    """Sort and group with temporary tables."""
    for _ in range(8):
        sums = "SELECT owner, sum(cents) FROM items WHERE id > ? GROUP BY owner ORDER BY 2 DESC"
        check(bool(database.execute(sums, (chance.randrange(100),)).fetchall()))
    return 8 * ROWS


def check(is_sound: bool) -> None:
    if not is_sound:
        raise SystemExit("rows are missing")


WORKLOADS: dict[str, Callable[[sqlite3.Connection, random.Random], int]] = {
    "lookup": lookup, "scan": scan, "insert": insert, "update": update, "group": group,
}  # fmt: skip

if __name__ == "__main__":
    main()
