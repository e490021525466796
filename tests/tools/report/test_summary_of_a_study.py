import math
from dataclasses import replace

import pytest
from fakes.report.simulated import complete, failed, record, study

from tunesmith.study.trials.replicates.seeds import choosing_seed
from tunesmith.study.trials.trial import FailureKind, Source
from tunesmith.tools.analysis.confirmation.significance import sample
from tunesmith.tools.analysis.findings.figures import gain_text, plus_minus
from tunesmith.tools.analysis.findings.headline import StudyVerdict
from tunesmith.tools.analysis.findings.summary import summarize
from tunesmith.tools.report import ReportInput
from tunesmith.tools.report.facts import sources

X = {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.1}}


def toy(**changes):
    return record(space=X, run={"command": "python f.py --x {x} --epochs {epochs}"}, **changes)


def trials(default, best, *, default_seeds=(), best_seeds=()):
    found = [complete(0, {"val_loss": default}, source=Source.DEFAULT), complete(1, {"val_loss": best})]
    for of, values in ((0, default_seeds), (1, best_seeds)):
        for value in values:
            found.append(complete(len(found), {"val_loss": value}, source=Source.CONFIRM, of=of))
    return found


def test_a_confirmed_gain_is_said_with_its_interval_and_probability():
    found = summarize(
        toy(),
        trials(0.40, 0.20, default_seeds=[0.40, 0.41, 0.42, 0.40, 0.41], best_seeds=[0.21, 0.20, 0.22, 0.21, 0.21]),
    )
    assert found.verdict is StudyVerdict.CONFIRMED
    assert found.best is not None
    assert found.best.confirmed is not None
    assert found.headline == (
        "Best: val_loss 0.2000 -> 0.2100 ± 0.0088 (95%) on 5 fresh seeds "
        "(default 0.4080 ± 0.0104; 49% better with probability > 0.999)"
    )
    assert found.gain == 0.5
    assert round(found.confirmed_gain or 0, 3) == 0.485


def test_a_gain_within_noise_is_called_nothing():
    found = summarize(
        toy(), trials(0.40, 0.35, default_seeds=[0.40, 0.36, 0.44, 0.38], best_seeds=[0.39, 0.37, 0.43, 0.38])
    )
    assert found.verdict is StudyVerdict.WITHIN_NOISE
    assert found.headline.startswith("Nothing beat the default beyond noise (best candidate, trial 1: +0.6% ± ")
    assert found.headline.endswith("on 4 fresh seeds). Keep the default.")


def test_an_unconfirmed_gain_says_so():
    found = summarize(toy(), trials(0.40, 0.20))
    assert found.verdict is StudyVerdict.UNCONFIRMED
    assert found.headline == (
        "Best: val_loss 0.2000 (trial 1), 50% better than the default's 0.4000. "
        "Not confirmed on fresh seeds yet, so part of the gain may be noise."
    )


def test_larger_is_better_when_the_study_says_so():
    up = toy(study={"name": "up", "metric": "val_loss", "direction": "maximize"})
    found = summarize(up, trials(0.5, 0.75, default_seeds=[0.50, 0.51, 0.49], best_seeds=[0.74, 0.75, 0.74]))
    assert found.verdict is StudyVerdict.CONFIRMED
    assert found.gain == 0.5
    assert found.best is not None
    assert found.best.number == 1


def test_fresh_seeds_choose_between_the_leading_configurations():
    some = trials(0.40, 0.20, default_seeds=[0.41, 0.40], best_seeds=[0.30, 0.31])
    steady = complete(20, {"val_loss": 0.22})
    again = [complete(21 + i, {"val_loss": 0.22 + i / 100}, source=Source.CONFIRM, of=20) for i in range(2)]
    found = summarize(toy(), [*some, steady, *again])
    assert found.best is not None
    assert found.best.number == 20
    assert [c.number for c in found.replicated] == [1, 20, 0]


def test_a_trial_that_a_person_had_repeated_does_not_become_the_best_by_that():
    some = [*trials(0.40, 0.20), complete(2, {"val_loss": 0.3})]
    found = summarize(toy(), [*some, *asked_for(2, 10, [0.3, 0.3, 0.3])])
    assert found.best is not None
    assert found.best.number == 1
    assert found.verdict is StudyVerdict.UNCONFIRMED


def asked_for(number, first, values):
    """Return the repetitions of trial `number` that `confirm` starts, from number `first` on."""
    found = [complete(first + i, {"val_loss": v}, source=Source.CONFIRM, of=number) for i, v in enumerate(values)]
    return [replace(t, proposal=replace(t.proposal, seed=choosing_seed(0, i))) for i, t in enumerate(found)]


@pytest.mark.parametrize(
    ("values", "best", "mean"), [([0.22, 0.23, 0.21], 2, 0.22), ([0.52, 0.53], 1, 0.305), ([0.2], 1, 0.305)]
)
def test_what_a_person_had_repeated_after_the_confirmation_is_part_of_the_choice(values, best, mean):
    some = [complete(0, {"val_loss": 0.4}, source=Source.DEFAULT), *(complete(n, {"val_loss": 0.2}) for n in (1, 2))]
    confirmed = [(0, 0.41), (1, 0.3), (0, 0.4), (1, 0.31)]
    again = [complete(3 + i, {"val_loss": v}, source=Source.CONFIRM, of=of) for i, (of, v) in enumerate(confirmed)]
    found = summarize(toy(), [*some, *again, *asked_for(2, 7, values)])
    assert found.best is not None
    assert found.winner is not None
    assert (found.best.number, found.winner.is_confirmed) == (best, True)
    assert found.winner.expected == pytest.approx(mean)


def test_a_newer_incumbent_that_did_not_run_again_is_not_called_confirmed():
    some = trials(0.40, 0.20, default_seeds=[0.41, 0.40], best_seeds=[0.21, 0.20])
    found = summarize(toy(), [*some, complete(30, {"val_loss": 0.1})])
    assert found.best is not None
    assert found.best.number == 30
    assert found.verdict is StudyVerdict.UNCONFIRMED


def test_a_default_that_alone_has_repetitions_does_not_win_by_that():
    # The deadline came, or the chosen one's repetitions failed.
    some = trials(0.40, 0.20, default_seeds=[0.41, 0.40, 0.42], best_seeds=[0.21])
    found = summarize(toy(), some)
    assert found.best is not None
    assert found.best.number == 1
    assert found.verdict is StudyVerdict.UNCONFIRMED


def test_a_default_that_stays_best_is_said_to_be():
    found = summarize(toy(), trials(0.2, 0.4))
    assert found.headline == "Nothing beat the default (val_loss 0.2000) in 1 other complete trial. Keep the default."
    alone = summarize(toy(), trials(0.2, 0.4)[:1])
    assert alone.headline == "Only the default has completed: val_loss 0.2000."


def test_studies_without_a_result_say_what_happened():
    assert summarize(toy(), []).headline == "No trial has run yet."
    broken = [failed(0, FailureKind.OOM, "CUDA out of memory"), failed(1, FailureKind.CRASH, "boom")]
    assert summarize(toy(), broken).headline == "No trial completed: 2 failed (1 oom, 1 crash)."


def test_nan_never_wins():
    found = summarize(toy(), [complete(0, {"val_loss": math.nan}), complete(1, {"val_loss": 0.3})])
    assert found.best is not None
    assert found.best.number == 1
    assert found.headline.startswith("Best: val_loss 0.3000 (trial 1).")


def test_a_trial_beyond_a_constraint_is_not_the_best():
    bound = toy(constraints=[{"metric": "mem", "max": 70}])
    heavy, light = complete(0, {"val_loss": 0.1, "mem": 80.0}), complete(1, {"val_loss": 0.2, "mem": 60.0})
    found = summarize(bound, [heavy, light])
    assert found.best is not None
    assert found.best.number == 1
    assert "would have to be" in summarize(bound, [heavy]).headline
    shares = sources(ReportInput(record=bound, trials=[heavy, light], generated_at=0.0))
    assert [(s.source, s.best) for s in shares] == [("sampler", light.values["val_loss"])]
    assert [s.best for s in sources(ReportInput(record=bound, trials=[heavy], generated_at=0.0))] == [None]


def test_several_objectives_give_a_front():
    two = toy(study={"name": "two", "metric": ["val_loss", "ms"], "direction": ["minimize", "maximize"]})
    some = [
        complete(0, {"val_loss": 0.4, "ms": 1.0}, source=Source.DEFAULT),
        complete(1, {"val_loss": 0.2, "ms": 2.0}),
        complete(2, {"val_loss": 0.3, "ms": 3.0}),
        complete(3, {"val_loss": 0.35, "ms": 2.5}),
    ]
    found = summarize(two, some)
    assert [c.number for c in found.front] == [1, 2]
    assert found.headline == (
        "2 trials are on the Pareto front: val_loss 0.2000 to 0.3000, ms 2.000 to 3.000. "
        "2 beat the default in every objective."
    )


def test_figures_are_worded_for_people():
    assert gain_text(0.512) == "51% better"
    assert gain_text(-0.003) == "0.3% worse"
    assert gain_text(7.33) == "733% better"
    one = sample([0.25])
    assert one is not None
    assert plus_minus(one) == "0.2500"
    tiny = sample([1e-5, 2e-5])
    assert tiny is not None
    assert "e-5 ± " in plus_minus(tiny)


def test_what_matters_is_found_and_what_is_idle_is_not():
    report = study(300, seed=3)
    found = summarize(report.record, report.trials)
    assert found.important[0] in ("lr", "hidden")
    means = [share.mean for share in found.importance.whole.values()]
    assert abs(sum(means) - 1) < 1e-9
    assert means == sorted(means, reverse=True)
    assert found.importance == summarize(report.record, report.trials).importance


def test_importance_is_silent_about_few_or_equal_values(capfd):
    report = study(6, confirm=False)
    assert summarize(report.record, report.trials).importance.names == ()
    flat = [complete(n, {"val_loss": 0.5}, params={"x": n / 20}) for n in range(20)]
    assert summarize(toy(), flat).importance.names == ()
    assert capfd.readouterr() == ("", "")


def test_identical_repeats_are_one_measurement_and_prove_nothing():
    copies = trials(0.40, 0.20, default_seeds=[0.40] * 3, best_seeds=[0.20] * 3)
    found = summarize(toy(), copies)
    assert found.verdict is StudyVerdict.UNCONFIRMED
    assert found.versus_default is None
    assert "> 0.999" not in found.headline
    assert found.headline.endswith(
        "Its 3 repeats gave the same value, so they are one measurement: give the script an option for its seed and "
        "add {seed} to the command to see how much is luck."
    )
    seeded = record(space=X, run={"command": "python f.py --x {x} --epochs {epochs} --seed {seed}"})
    assert "the result does not depend on the seed" in summarize(seeded, copies).headline
    # One side that varies is enough to tell.
    mixed = summarize(toy(), trials(0.40, 0.20, default_seeds=[0.40, 0.41, 0.42], best_seeds=[0.20] * 3))
    assert mixed.verdict is StudyVerdict.CONFIRMED


def test_which_of_a_trial_s_values_counts_is_said():
    taking = toy(metrics={"val_loss": {"take": "mean-of-last-5"}})
    found = summarize(taking, trials(0.40, 0.20))
    assert found.headline.endswith(" val_loss is the mean of each trial's last 5 values.")
