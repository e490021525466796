"""Metrics out of files: what frameworks write is read, what lay there before is not."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path, PurePath
from typing import Any

import pytest
from fakes.studies import make_spec
from fakes.trials import PYTHON, Bench
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.readers.event_file import scalars
from tunesmith.evaluator.readers.file_formats import read_points
from tunesmith.evaluator.readers.metric_files import MetricFiles
from tunesmith.study.errors import SpecError


def field(number: int, kind: int, data: bytes) -> bytes:
    length = bytes([len(data)]) if kind == 2 else b""  # noqa: PLR2004  # a message or text
    return bytes([number << 3 | kind]) + length + data


def event(tag: str, step: int, value: float, *, as_tensor: bool = False) -> bytes:
    """Return a record as TensorBoard's writer writes it: simple_value by PyTorch, a tensor by TensorFlow 2."""
    tensor = field(1, 0, b"\x01") + field(4, 2, struct.pack("<f", value))
    scalar = field(8, 2, tensor) if as_tensor else field(2, 5, struct.pack("<f", value))
    summary = field(1, 2, field(1, 2, tag.encode()) + scalar)
    data = field(1, 1, struct.pack("<d", 1e9)) + field(2, 0, bytes([step])) + field(5, 2, summary)
    return struct.pack("<Q", len(data)) + b"crc." + data + b"crc."


@pytest.mark.parametrize(
    ("name", "content", "points"),
    [
        (
            "metrics.csv",
            "epoch,step,val_loss,train_loss\n0,9,,0.9\n0,9,0.5,\n1,19,0.41,\n",
            [(0.5, None), (0.41, None)],
        ),
        ("log.csv", "epoch,accuracy,loss,val_loss\n0,0.1,2,0.5\n1,0.2,1,0.41\n", [(0.5, None), (0.41, None)]),
        ("log.csv", "sep=;\nepoch;val_loss\n0;0,5\n1;0,41\n", [(0.5, None), (0.41, None)]),
        ("log.tsv", "epoch\tval_loss\r\n0\t0.5\r\n1\t0.41\r\n", [(0.5, None), (0.41, None)]),
        ("r.json", '{"val_loss": 0.41, "x": null}', [(0.41, None)]),
        ("r.json", '{"val": {"loss": 0.41}}', [(0.41, None)]),
        ("history.json", '{"val_loss": [0.5, 0.41], "loss": [1, 2]}', [(0.5, 1), (0.41, 2)]),
        ("r.json", '[{"val_loss": 0.5}, {"val_loss": 0.41}]', [(0.5, None), (0.41, None)]),
        (
            "trainer_state.json",
            '{"epoch": 2, "log_history": [{"loss": 1}, {"val_loss": 0.41, "epoch": 2}]}',
            [(0.41, None)],
        ),
        ("m.jsonl", '{"val_loss": 0.5}\nnoise\n{"val_loss": 0.41}\n{"val_lo', [(0.5, None), (0.41, None)]),
        ("mlruns/0/ab/metrics/val/loss", "1700000000 0.5 1\n1700000001 0.41 2\n", [(0.5, 1), (0.41, 2)]),
    ],
)
def test_the_files_of_frameworks_are_read(name: str, content: str, points: list[tuple[float, float | None]]) -> None:
    found = read_points(PurePath(name), content.encode())
    values = [(p.values.get("val_loss", p.values.get("val/loss")), p.step) for p in found]
    assert [pair for pair in values if pair[0] is not None] == points


@pytest.mark.parametrize("as_tensor", [False, True])
def test_tensorboard_scalars_are_read_without_tensorboard(as_tensor: bool) -> None:
    content = b"".join(event("val/loss", step, step / 4, as_tensor=as_tensor) for step in range(1, 4))
    assert list(scalars(content)) == [("val/loss", step, step / 4) for step in range(1, 4)]
    assert list(scalars(content[:-7])) == [("val/loss", 1, 0.25), ("val/loss", 2, 0.5)]


@given(
    content=st.binary(max_size=300),
    name=st.sampled_from(["a.csv", "a.json", "a.jsonl", "events.out.tfevents.1", "metrics/x"]),
)
def test_no_file_raises(content: bytes, name: str) -> None:
    for point in read_points(PurePath(name), content):
        assert all(isinstance(value, float) for value in point.values.values())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


WRITES = """
import json, os
os.makedirs("out/deep", exist_ok=True)
with open("out/deep/metrics.csv", "w") as out:
    out.write("epoch,val,loss\\n0,1,0.9\\n1,2,0.41")
"""


def test_a_trial_has_the_metric_of_its_file_with_its_curve(bench: Bench) -> None:
    outcome = bench.run(WRITES, f"{PYTHON} train.py", metrics_from=["out/**/metrics.csv"])
    assert outcome.values["loss"] == 0.41
    assert [(o.step, o.value) for o in bench.seen if o.metric == "loss"] == [(0, 0.9), (1, 0.41)]


def test_a_file_among_the_artifacts_is_read(bench: Bench) -> None:
    script = "import json, os, sys; json.dump({'eval': 1, 'loss': 0.41}, open(sys.argv[1] + '/r.json', 'w'))"
    run: dict[str, Any] = {"metrics_from": ["{artifacts}/r.json", "stdout"]}
    assert bench.run(script, f"{PYTHON} train.py {{artifacts}}", **run).values["loss"] == 0.41


def test_what_lay_in_the_project_is_not_the_trials_result(bench: Bench) -> None:
    bench.write('{"loss": 0.1}', "r.json")
    outcome = bench.run("print('done')", metrics_from="r.json")
    assert outcome.failure is not None
    assert outcome.failure.kind.value == "no_metric"
    bench.write("epoch,loss\n1,0.1\n", "log.csv")
    outcome = bench.run("open('log.csv', 'a').write('2,0.41\\n')", metrics_from=["log.csv"])
    assert [(o.step, o.value) for o in bench.seen] == [(2, 0.41)]


def test_the_first_source_counts(bench: Bench) -> None:
    script = "print('loss=0.9'); open('r.json', 'w').write('{\"loss\": 0.41}')"
    assert bench.run(script, metrics_from=["r.json", "stdout"]).values["loss"] == 0.41
    assert bench.run(script, metrics_from=["stdout", "r.json"]).values["loss"] == 0.9


def test_pipes_links_out_of_the_folder_and_folders_are_not_opened(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    files = MetricFiles(["*.json", "../*.json"], {"": work})
    (tmp_path / "secret.json").write_text('{"loss": 1}')
    os.mkfifo(work / "pipe.json")
    (work / "folder.json").mkdir()
    (work / "link.json").symlink_to(tmp_path / "secret.json")
    (work / "r.json").write_text(json.dumps({"loss": 0.5}))
    assert [point.values for _, point in files.new_points(is_over=True)] == [{"loss": 0.5}]


def test_a_growing_file_gives_each_point_once(tmp_path: Path) -> None:
    files = MetricFiles(["m.jsonl"], {"": tmp_path})
    seen = []
    for step in range(3):
        with (tmp_path / "m.jsonl").open("a") as out:
            out.write(json.dumps({"step": step, "loss": 1}) + "\n")
        files._next_look_at = time.monotonic()
        seen += [point.values["step"] for _, point in files.new_points(is_over=False)]
    seen += [point.values["step"] for _, point in files.new_points(is_over=True)]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("sources", [[], ["/abs.json"], ["../x.json"], ["~/x.json"], ["run.wandb"], [3]])
def test_a_source_that_cannot_be_read_is_a_mistake_in_the_study(sources: list[Any]) -> None:
    with pytest.raises(SpecError, match="metrics_from"):
        make_spec(run={"command": "x", "metrics_from": sources})
