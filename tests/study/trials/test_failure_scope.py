"""Tests of what a failure says something about: its configuration, or the study for every configuration."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.failure_scope import study_failures, with_scopes
from tunesmith.study.trials.trial import (
    Failure,
    FailureKind,
    FailureScope,
    Outcome,
    Proposal,
    Source,
    Trial,
    TrialState,
)

MISSING = "ModuleNotFoundError: No module named 'data_tools'"


def made(number: int, params: Mapping[str, Value], reason: str = "", kind: FailureKind = FailureKind.CRASH) -> Trial:
    failure = Failure(kind=kind, reason=reason) if reason else None
    outcome = Outcome(
        state=TrialState.FAILED if failure else TrialState.COMPLETE,
        values={} if failure else {"loss": 1.0},
        failure=failure,
    )
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=number)
    return Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)


def spread(count: int, seed: int = 0) -> list[dict[str, Value]]:
    draw = random.Random(seed)
    return [{"width": draw.randint(8, 128), "lr": draw.uniform(0.001, 0.1)} for _ in range(count)]


def history(*runs: tuple[Sequence[Mapping[str, Value]], str]) -> list[Trial]:
    """Return trials of the configurations of each run, in order, that failed for its reason ("" for none)."""
    flat = [(params, reason) for configurations, reason in runs for params in configurations]
    return [made(number, params, reason) for number, (params, reason) in enumerate(flat)]


@pytest.mark.parametrize(
    "reason",
    [
        MISSING,
        "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory",
        "SyntaxError: invalid syntax (train.py, line 3)",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.bin'",
        "python3.14 was not found on PATH; correct [run].command",
        "sh: 1: torchrun: not found",
        "RuntimeError: CUDA error: invalid device ordinal",
        "RuntimeError: No CUDA GPUs are available",
        "PermissionError: [Errno 13] Permission denied: '/scratch/out'",
        "OSError: [Errno 28] No space left on device",
        "train.py: error: unrecognized arguments: --wdith 64",
        "cannot start: Resource temporarily unavailable",
    ],
)
def test_a_message_of_the_environment_is_the_studys_from_its_first_failure(reason: str) -> None:
    assert study_failures([made(0, {"width": 64}, reason)]) == {0}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FailureKind.OOM, "CUDA out of memory. Tried to allocate 20.00 MiB"),
        (FailureKind.NAN, "loss ended as nan"),
        (FailureKind.TIMEOUT, "ran longer than 1 min ([run].timeout)"),
        (FailureKind.CRASH, "ValueError: shapes do not match"),
        (FailureKind.NO_METRIC, "it exited with status 0, but never reported loss"),
    ],
)
def test_other_first_failures_are_the_configurations(kind: FailureKind, reason: str) -> None:
    assert not study_failures([made(0, {"width": 64}, reason, kind), made(1, {"width": 65}, reason, kind)])


@pytest.mark.parametrize("reason", ["RuntimeError: no data", "it exited with status 0, but never reported loss"])
def test_the_same_message_whatever_the_parameters_is_the_studys(reason: str) -> None:
    assert study_failures(history((spread(3), reason))) == {0, 1, 2}


def test_three_failures_of_one_configuration_are_not_whatever_the_parameters() -> None:
    assert not study_failures(history(([{"width": 64}] * 3, "RuntimeError: no data")))


def test_messages_that_differ_in_numbers_only_are_the_same() -> None:
    trials = [made(i, params, f"RuntimeError: worker {i * 77} died at 0x7f{i}a") for i, params in enumerate(spread(3))]
    assert study_failures(trials) == {0, 1, 2}


def test_a_message_that_names_the_parameter_is_the_configurations() -> None:
    assert not study_failures(history((spread(6), "ValueError: width must be divisible by 3")))
    named = [made(i, p, f"ValueError: {p['width']} is not divisible by heads") for i, p in enumerate(spread(6))]
    assert not study_failures(named)


def test_memory_that_never_suffices_stays_the_configurations() -> None:
    trials = [made(i, p, "CUDA out of memory", FailureKind.OOM) for i, p in enumerate(spread(8))]
    assert not study_failures(trials)


# -- the data ------------------------------------------------------------------------------------------------------


def optimizers(names: str) -> list[Trial]:
    """Return a trial per letter: L fails as a package is missing for this optimizer, A works."""
    draw = random.Random(1)
    reason = "ModuleNotFoundError: No module named 'third_party'"
    return [
        made(
            i,
            {"optimizer": "lion" if letter == "L" else "adam", "lr": draw.random(), "width": draw.randint(8, 99)},
            reason if letter == "L" else "",
        )
        for i, letter in enumerate(names)
    ]


def test_an_import_error_under_one_choice_only_is_that_choices() -> None:
    assert not study_failures(optimizers("ALALAALAA"))


def test_two_import_errors_under_one_choice_are_no_evidence_yet() -> None:
    assert study_failures(optimizers("ALLA")) == {1, 2}


def test_an_import_error_that_names_the_choice_is_that_choices_once_another_works() -> None:
    reason = "ModuleNotFoundError: No module named 'lion_pytorch'"
    failed = [made(i, {"optimizer": "lion", "width": i}, reason) for i in range(2)]
    assert study_failures(failed) == {0, 1}
    assert not study_failures([*failed, made(2, {"optimizer": "adam", "width": 5})])


def test_a_missing_file_above_a_threshold_is_the_regions() -> None:
    reason = "FileNotFoundError: [Errno 2] No such file or directory: 'embeddings.bin'"
    draw = random.Random(3)
    widths = [draw.randint(8, 128) for _ in range(30)]
    trials = [made(i, {"width": w, "lr": draw.random()}, reason if w > 90 else "") for i, w in enumerate(widths)]
    assert not study_failures(trials)


def test_a_package_that_was_missing_for_a_time_teaches_nothing_even_if_the_later_trials_lie_elsewhere() -> None:
    early = spread(10)
    later = [{"width": 8 + i % 9, "lr": 0.001 * (i + 1)} for i in range(20)]
    assert study_failures(history((early, MISSING), (later, ""))) == set(range(10))


def test_an_outage_in_the_middle_is_the_studys() -> None:
    trials = history((spread(12), ""), (spread(5, 1), "RuntimeError: no data"), (spread(9, 2), ""))
    assert study_failures(trials) == set(range(12, 17))


def test_a_flaky_file_system_that_fails_here_and_there_is_the_studys() -> None:
    draw = random.Random(5)
    reason = "OSError: [Errno 5] Permission denied: '/data'"
    trials = [made(i, p, reason if draw.random() < 0.3 else "") for i, p in enumerate(spread(40))]
    assert study_failures(trials) == {t.number for t in trials if t.failure}


def test_an_ordinary_message_is_the_studys_once_the_same_configuration_works() -> None:
    default = {"width": 64, "lr": 0.01}
    failed = history(([default, *spread(2)], "RuntimeError: no data"))
    assert study_failures([*failed, made(3, default)]) == {0, 1, 2}


def test_later_evidence_changes_the_scope_of_earlier_failures() -> None:
    trials = optimizers("LLL")
    assert study_failures(trials) == {0, 1, 2}
    assert not study_failures(optimizers("LLLALAALAAA"))


def test_an_ordinary_failing_region_found_early_is_the_regions_once_something_works() -> None:
    wide = [{"width": w, "lr": lr} for w, lr in ((90, 0.01), (110, 0.03), (120, 0.002))]
    trials = [*history((wide, "RuntimeError: too large")), made(3, {"width": 12, "lr": 0.004})]
    assert not study_failures(trials)


def test_forgotten_trials_are_no_evidence() -> None:
    trials = [replace(t, forgotten=True) for t in history((spread(3), "RuntimeError: no data"))]
    assert not study_failures(trials)


def test_an_edit_that_breaks_the_code_is_the_edits() -> None:
    broken = made(1, {"width": 9}, "SyntaxError: invalid syntax")
    edited = replace(broken, proposal=replace(broken.proposal, variant="edit-12ab"))
    assert not study_failures([made(0, {"width": 8}), edited])
    outage = [made(0, {"width": 8}, MISSING), replace(edited, outcome=made(1, {}, MISSING).outcome)]
    assert study_failures(outage) == {0, 1}


def test_scopes_are_set_on_the_trials() -> None:
    scopes = [t.failure.scope for t in with_scopes(history((spread(2), MISSING))) if t.failure]
    assert scopes == [FailureScope.STUDY] * 2
    assert [t.counts for t in with_scopes(history((spread(1), MISSING), (spread(1), "")))] == [False, True]


def test_thousands_of_trials_are_classed_quickly_enough_to_do_it_after_each() -> None:
    trials = history((spread(1500), ""), (spread(500, 1), MISSING))
    assert len(study_failures(trials)) == 500
