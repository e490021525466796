"""A day of a small web shop on SQLite, squeezed into a second: orders come in, some change, and pages read them.

The work is the same for every setting; `--seed` only shuffles it. Each run checks that it read and kept what it should,
so a setting cannot win by losing data while the process lives. What a power cut would lose is not measured: README.md
says which settings risk it.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from pathlib import Path

ORDERS = 6000
CUSTOMERS = 300
PAGES = 7000
INDEXES = {"customer": "customer", "state": "customer, state", "covering": "customer, state, cents"}
STATES = ("new", "paid", "packed", "sent")
NOTE = "ring twice, then leave it with the neighbour on the left. " * 8


def main() -> None:
    args = parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        database = open_database(Path(folder) / "shop.db", args)
        started = time.perf_counter()
        kept = take_orders(database, chance, args.batch)
        read = show_pages(database, chance, args.batch)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seconds = time.perf_counter() - started
        database.close()
    if kept != ORDERS:
        raise SystemExit(f"{kept} of {ORDERS} orders are there")
    operations = ORDERS + PAGES
    print(f"{operations} operations, {read} rows read")
    print(f"seconds={seconds:.4f} ops_per_s={operations / seconds:.1f}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--batch", type=int, default=10, help="writes per transaction")
    parser.add_argument("--page-size", type=int, default=4096, help="bytes")
    parser.add_argument("--cache-kib", type=int, default=2000)
    parser.add_argument("--mmap-mib", type=int, default=0)
    parser.add_argument("--journal", choices=["delete", "truncate", "persist", "wal"], default="delete")
    parser.add_argument("--wal-pages", type=int, default=1000, help="pages in the log that start a checkpoint")
    parser.add_argument("--synchronous", choices=["normal", "full"], default="full")
    parser.add_argument("--temp-store", choices=["file", "memory"], default="file")
    parser.add_argument("--index", choices=list(INDEXES), default="customer")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def open_database(path: Path, args: argparse.Namespace) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA page_size = {args.page_size}")
    database.execute(f"PRAGMA journal_mode = {args.journal}")
    database.execute(f"PRAGMA wal_autocheckpoint = {args.wal_pages}")
    database.execute(f"PRAGMA synchronous = {args.synchronous}")
    database.execute(f"PRAGMA cache_size = {-args.cache_kib}")
    database.execute(f"PRAGMA mmap_size = {args.mmap_mib * 2**20}")
    database.execute(f"PRAGMA temp_store = {args.temp_store}")
    database.execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, state TEXT, note TEXT)"
    )
    database.execute(f"CREATE INDEX by_customer ON orders ({INDEXES[args.index]})")
    return database


def take_orders(database: sqlite3.Connection, chance: random.Random, batch: int) -> int:
    """Insert all orders, and move an earlier order on after every third; return how many are there."""
    for first in range(0, ORDERS, batch):
        database.execute("BEGIN IMMEDIATE")
        for number in range(first, min(first + batch, ORDERS)):
            order = (number, chance.randrange(CUSTOMERS), chance.randrange(500, 20_000), STATES[0], NOTE)
            database.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", order)
            if number % 3 == 2:
                move_on(database, chance, below=number)
        database.execute("COMMIT")
    return int(database.execute("SELECT count(*) FROM orders").fetchone()[0])


def show_pages(database: sqlite3.Connection, chance: random.Random, batch: int) -> int:
    """Read the pages of random customers, with one order moved on per ten pages; return how many rows were read."""
    rows = 0
    for page in range(PAGES):
        customer = (chance.randrange(CUSTOMERS),)
        totals = "SELECT state, count(*), sum(cents) FROM orders WHERE customer = ? GROUP BY state"
        rows += len(database.execute(totals, customer).fetchall())
        if page % 5 == 0:
            latest = "SELECT id, note FROM orders WHERE customer = ? ORDER BY id DESC LIMIT 5"
            rows += len(database.execute(latest, customer).fetchall())
        if page % (10 * batch) == 0:
            database.execute("BEGIN IMMEDIATE")
            for _ in range(batch):
                move_on(database, chance, below=ORDERS)
            database.execute("COMMIT")
    return rows


def move_on(database: sqlite3.Connection, chance: random.Random, *, below: int) -> None:
    order = (chance.choice(STATES[1:]), chance.randrange(below))
    database.execute("UPDATE orders SET state = ? WHERE id = ?", order)


if __name__ == "__main__":
    main()
