"""`init` makes arms of a choice whose values have settings of their own, and leaves any other model to the user."""

from __future__ import annotations

import pytest

from tunesmith.tools.script_reader.meanings.algorithms import algorithm_choice
from tunesmith.tools.script_reader.meanings.roles import sort_out
from tunesmith.tools.script_reader.reading import Setting


def choice(name: str, *choices: str, when: str = "") -> Setting:
    return Setting(name=name, kind="str", default=choices[0], choices=choices, when=when)


def number(name: str, when: str = "") -> Setting:
    return Setting(name=name, kind="float", default=0.1, when=when)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ([choice("model", "svm", "knn"), number("c", "model == 'svm'"), number("k", "model == 'knn'")], "model"),
        ([choice("clf", "a", "b", "c"), number("x", "clf in ['a', 'b']")], "clf"),
        ([choice("kind", "a", "b"), number("x", "kind != 'a'"), number("y", "kind == 'a'")], "kind"),
        ([choice("model", "a", "b", "c"), number("x", "model == 'a'")], None),
        ([choice("model", "a", "b"), number("x")], None),
        ([choice("model", "a", "b"), number("x", "model in ['a', 'b']")], None),
        ([choice("head", "a", "b", when="model == 'x'"), number("x", "head == 'a'"), number("y", "head == 'b'")], None),
        ([choice("model", "a", "b"), number("x", "model == 'a' and deep > 1"), number("deep")], None),
    ],
)
def test_most_values_must_have_settings_of_their_own(settings: list[Setting], found: str | None) -> None:
    chosen = algorithm_choice(settings)
    assert (chosen.name if chosen else None) == found


def test_the_choice_is_tuned_as_arms_whatever_its_name() -> None:
    settings = [choice("model", "svm", "knn"), number("lr", "model == 'svm'"), number("dropout", "model == 'knn'")]
    tuned = {t.setting.name: t.parameter for t in sort_out(settings).tuned}
    assert tuned["model"].arms is True  # type: ignore[union-attr]
    left = {one.name for one in sort_out([choice("model", "svm", "knn"), number("lr")]).left_alone}
    assert left == {"model"}
