"""What a study names as its best once configurations ran again on fresh seeds, with and without a usable default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.named import named_by_doors
from fakes.projects import invoke, make_project

from tunesmith.study.trials.replicates.seeds import FIRST_FRESH, tuning_seed

SCRIPT = f"""\
import sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
y, fresh = int(given["--y"]), int(given["--seed"]) >= {FIRST_FRESH}
LOSSES
if loss is None: sys.exit("no luck")
print(f"loss={{loss + int(given['--seed']) % 7 * 1e-3}} mem={{y}}")
"""
LUCKY_ONE = "loss = (5 if fresh else 0) if y == 1 else y"
"""Configuration 1 is the best in tuning, and the worst on fresh seeds."""


def project(folder: Path, losses: str, *, trials: int = 4, tables: str = "", default: str = ", default = 4") -> Path:
    made = make_project(
        folder,
        script=SCRIPT.replace("LOSSES", losses),
        trials=trials,
        sampler="grid",
        more="--seed {seed}",
        tables=f"[confirm]\ntop = 1\nseeds = 2\n{tables}",
    )
    file = made / "study.toml"
    space = '[space]\ny = { type = "int", low = 1, high = 4DEFAULT }\n[budget]'.replace("DEFAULT", default)
    text = file.read_text(encoding="utf-8").replace("--x {x} ", "")
    head, _, tail = text.partition("[space]")
    file.write_text(f"{head}{space}{tail.partition('[budget]')[2]}", encoding="utf-8")
    return made


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("status", "--json", cwd=folder).stdout)
    return found


@pytest.mark.parametrize(
    ("losses", "tables", "default"),
    [
        (LUCKY_ONE, '[[constraints]]\nmetric = "mem"\nmax = 3', ", default = 4"),
        (f"{LUCKY_ONE} if y < 4 else None", "", ", default = 4"),
        (LUCKY_ONE, "", ""),
    ],
    ids=["the default breaks a bound", "the default fails", "no default"],
)
def test_without_a_usable_default_the_best_is_one_that_was_confirmed(
    tmp_path: Path, losses: str, tables: str, default: str
) -> None:
    folder = project(tmp_path / "p", losses, tables=tables, default=default)
    ended = invoke("run", cwd=folder)
    assert ended.returncode == 0, ended.stdout
    found = status(folder)
    assert found["best"]["params"] == {"y": 1}
    assert found["best_is_confirmed"]
    assert found["best_expected"] > 4.9


def test_a_lucky_default_of_a_small_study_runs_again_before_it_wins(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", f"loss = y if y < 4 or int(given['--seed']) != {tuning_seed(0, 0)} else 0")
    ended = invoke("run", cwd=folder)
    assert "Nothing beat the default" not in ended.stdout
    found = status(folder)
    assert (found["best"]["params"], found["best_is_confirmed"]) == ({"y": 1}, True)
    assert found["noise_between_seeds"] > 1


def test_a_new_leader_of_an_extended_study_is_confirmed_before_it_is_named(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", LUCKY_ONE, trials=3, tables='[[constraints]]\nmetric = "mem"\nmax = 3')
    assert invoke("run", cwd=folder).returncode == 0
    assert status(folder)["best"]["params"] == {"y": 1}
    assert invoke("run", "--trials", "4", cwd=folder).returncode == 0
    found = status(folder)
    assert (found["best"]["params"], found["best_is_confirmed"]) == ({"y": 2}, True)
    named = named_by_doors(folder)
    assert set(named.values()) == {found["best"]["trial"]}
