"""[confirm] scale: the study's choice and the default run larger at the end, and the result says what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project

from tunesmith.study.config.load import load_spec
from tunesmith.study.config.record import Event
from tunesmith.study.config.scaling import scaled_proposal, scaled_spec
from tunesmith.study.errors import SpecError
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.tools.analysis.confirmation.at_scale import SCALE_ENDED, ScaleVerdict, scale_detail, scale_results

# The loss falls with y only; at DEPTH above 1 only a KEPT part of that gain is left.
TRAIN = """\
import os, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
y, seed, depth = int(given["--y"]), int(given["--seed"]), float(os.environ["DEPTH"])
gain = min(y, 8) / 10 * (1 if depth == 1 else KEPT)
if float(given["--x"]) > 50: sys.exit("out of memory at scale")
open("../../../../ran.txt", "a").write(f"{y} {depth:g} {given['--x']} {given['--y']} {given['--epochs']}\\n")
print(f"loss={2 - gain + seed % 7 * 1e-3}")
"""


def project(folder: Path, *, kept: float, scale: str, seeds: int = 2, more: str = "--seed {seed}") -> Path:
    tables = (
        f'[fidelity]\nname = "epochs"\nmin = 1\nmax = 4\n[confirm]\nseeds = 2\nscale = {scale}\nscale_seeds = {seeds}'
    )
    made = make_project(folder, script=TRAIN.replace("KEPT", str(kept)), trials=4, more=more, tables=tables)
    text = (made / "study.toml").read_text(encoding="utf-8")
    text = text.replace("default = 8 }", "default = 1 }").replace("[space]", 'env = { DEPTH = "1" }\n[space]')
    text = text.replace("{y}", "{y} --epochs {epochs}")
    (made / "study.toml").write_text(text, encoding="utf-8")
    return made


@pytest.mark.parametrize(("kept", "words"), [(1.0, "holds: "), (0.4, "shrinks to "), (-0.2, "does not hold")])
def test_the_end_the_status_the_report_and_models_say_what_is_kept(tmp_path: Path, kept: float, words: str) -> None:
    made = project(tmp_path / "p", kept=kept, scale='{ DEPTH = "x3", epochs = "x2" }')
    done = invoke("run", cwd=made)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "At scale (DEPTH x3, epochs x2), " in said
    assert words in said
    larger = [line.split() for line in (made / ".tunesmith" / "ran.txt").read_text().splitlines()]
    larger = [line for line in larger if line[1] == "3"]
    assert len(larger) == 4, "the choice and the default, on two seeds each"
    assert {line[4] for line in larger} == {"8"}
    assert words in " ".join(invoke("status", cwd=made).stdout.split())
    assert words in (made / ".tunesmith" / "toy" / "report.md").read_text(encoding="utf-8")
    found = json.loads(invoke("report", "--json", cwd=made).stdout)["at_scale"]
    assert len(found) == 1
    invoke("run", cwd=made)
    assert len((made / ".tunesmith" / "ran.txt").read_text().splitlines()) == 4 + 2 + 4 + 4, "nothing runs twice"


def test_a_configuration_that_fails_at_scale_says_why(tmp_path: Path) -> None:
    made = project(tmp_path / "p", kept=1.0, scale="{ x = 99.0 }", seeds=1)
    said = " ".join(invoke("run", cwd=made).stdout.split())
    assert "has no value: " in said
    assert "out of memory at scale" in said


def test_factors_multiply_what_a_configuration_has_and_values_replace_it(tmp_path: Path) -> None:
    made = project(tmp_path / "p", kept=1.0, scale='{ y = "x2", x = 7.5, DEPTH = "4x", epochs = 20 }')
    spec = load_spec(made)
    mine = scaled_proposal(Proposal(params={"x": 0.5, "y": 6}, source=Source.USER, seed=1, fidelity=4.0), spec, 9)
    assert (dict(mine.params), mine.fidelity, mine.seed) == ({"x": 7.5, "y": 12}, 20.0, 9)
    assert scaled_spec(spec).run.env == {"DEPTH": "4"}


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("{ z = 2 }", "confirm.scale.z  is neither a parameter, the fidelity nor a variable of [run].env"),
        ('{ y = "big" }', 'confirm.scale.y  "big" is not valid here; expected a number or a factor such as "x2"'),
        ("{ y = [1] }", "confirm.scale"),
        ('{ y = "x0" }', "a factor above 0"),
        (f'{{ x = "x{"9" * 400}" }}', "a factor above 0 and up to 1e9"),
        ("{ y = 2.5 }", "confirm.scale.y  2.5 is not valid here; expected a whole number"),
        ("{ epochs = 0 }", "confirm.scale.epochs  0 is not valid here; expected a number above 0"),
    ],
)
def test_mistakes_name_the_key_and_the_fix(tmp_path: Path, scale: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(project(tmp_path / "p", kept=1.0, scale=scale))
    assert message in str(caught.value)


def test_what_no_factor_can_multiply_is_refused_before_the_study_runs(tmp_path: Path) -> None:
    made = project(tmp_path / "p", kept=1.0, scale='{ "mix.a" = "x2", DEPTH = "x2" }')
    text = (made / "study.toml").read_text(encoding="utf-8").replace('DEPTH = "1"', 'DEPTH = "inf"')
    text = text.replace("{y} ", "{y} --a {mix.a} --b {mix.b} ")
    text = text.replace("[space]", '[space]\nmix = { type = "shares", of = ["a", "b"] }')
    (made / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(made)
    assert "confirm.scale.mix.a  is a share of a mixture, which sums to 1 at every scale" in str(caught.value)
    assert "confirm.scale.DEPTH" in str(caught.value)


def complete(loss: float) -> Outcome:
    return Outcome(state=TrialState.COMPLETE, values={"loss": loss})


def test_noise_makes_a_small_gain_at_scale_unclear(tmp_path: Path) -> None:
    spec = load_spec(project(tmp_path / "p", kept=1.0, scale="{ DEPTH = 2 }"))

    def trial(number: int, y: int, loss: float, source: Source = Source.USER, again: int | None = None) -> Trial:
        proposal = Proposal(
            params={"x": 0.9, "y": y}, source=source, seed=2**30 + number, fidelity=4.0, replicate_of=again
        )
        return Trial(
            number=number,
            proposal=proposal,
            state=TrialState.COMPLETE,
            outcome=complete(loss),
        )

    trials = [trial(0, 1, 2.0, Source.DEFAULT), trial(1, 8, 1.8)]

    def results(mine: list[float], default: list[float]) -> list[ScaleVerdict]:
        runs = [(trials[1], value) for value in mine] + [(trials[0], value) for value in default]
        events = [
            Event(at=0.0, kind=SCALE_ENDED, detail=scale_detail(t, seed, {"DEPTH": 2}, complete(value)))
            for seed, (t, value) in enumerate(runs)
        ]
        return [found.verdict for found in scale_results(trials, spec, events)]

    assert results([1.79, 1.81, 1.80], [2.01, 1.99, 2.0]) == [ScaleVerdict.HOLDS]
    assert results([1.94, 1.95, 1.945], [2.0, 2.01, 2.005]) == [ScaleVerdict.SHRINKS]
    assert results([2.0, 2.01, 2.005], [2.0, 2.01, 2.005]) == [ScaleVerdict.FAILS]
    assert results([1.6, 2.2, 1.9], [2.3, 1.7, 2.0]) == [ScaleVerdict.UNCLEAR]
