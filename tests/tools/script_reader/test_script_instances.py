"""`tunesmith init` proposes [instances] where a script runs on one fold, data set or workload of several."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.study.config.load import load_spec
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml

HEAD = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
TAIL = "a = p.parse_args()\nprint(f'val_loss={a.lr}')\n"

FOLD = "p.add_argument('--fold', type=int, default=0)\n"
CASES = [
    (f"{FOLD}p.add_argument('--n-folds', type=int, default=5)\n", "fold", range(5)),
    (f"{FOLD}from sklearn.model_selection import KFold\nKFold(10)\n", "fold", range(10)),
    (f"{FOLD}import sklearn\nsklearn.StratifiedKFold(n_splits=7)\n", "fold", range(7)),
    ("p.add_argument('--fold_idx', type=int, default=1)\np.add_argument('--k_fold', type=int, default=3)\n",
     "fold-idx", range(1, 4)),
    ("p.add_argument('--dataset', choices=['iris', 'wine', 'digits'], default='iris')\n",
     "dataset", ["iris", "wine", "digits"]),
    ("p.add_argument('--workload', choices=['read', 'write'], default='read')\n", "workload", ["read", "write"]),
    ("p.add_argument('--split', choices=[0, 1, 2], type=int, default=0)\n", "split", [0, 1, 2]),
    ("p.add_argument('--data_set', choices=list('abc'), default='a')\n", "data-set", None),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "option", "values"), CASES)
def test_an_option_for_one_of_several_becomes_instances(
    tmp_path: Path, lines: str, option: str, values: object
) -> None:
    (tmp_path / "train.py").write_text(HEAD + lines + TAIL)
    text = study_toml(read_script(tmp_path / "train.py"), name="toy")
    (tmp_path / "study.toml").write_text(text)
    spec = load_spec(tmp_path)
    if values is None:
        assert spec.instances is None or "{instance}" in spec.run.command
        return
    assert spec.instances is not None
    assert spec.instances.values == list(values)  # type: ignore[call-overload]
    assert f"--{option}" in spec.run.command.replace("_", "-")
    assert "{instance}" in spec.run.command
    assert (spec.instances.hold_out > 0) == (len(spec.instances.values) >= 6) == (spec.confirm is not None)


@pytest.mark.parametrize(
    "lines",
    [
        "p.add_argument('--fold', type=int, default=0)\n",
        "p.add_argument('--folds', type=int, default=5)\n",
        "p.add_argument('--optimizer', choices=['adam', 'sgd'], default='adam')\n",
        "p.add_argument('--dataset', default='iris')\n",
        "p.add_argument('--dataset', choices=['iris'], default='iris')\n",
        "p.add_argument('--unfold', type=int, default=0)\np.add_argument('--folds', type=int, default=5)\n",
    ],
)
def test_other_options_do_not(tmp_path: Path, lines: str) -> None:
    (tmp_path / "train.py").write_text(HEAD + lines + TAIL)
    assert "[instances]" not in study_toml(read_script(tmp_path / "train.py"), name="toy")
