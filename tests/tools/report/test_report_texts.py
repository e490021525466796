import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fakes.report.simulated import complete, record, report, study
from fakes.report.studies import NAMES, hostile, made

from tunesmith.study.config.record import Lesson
from tunesmith.tools.report import to_json, to_markdown, write_html


class Page(HTMLParser):
    """Collects the tags, addresses and handlers of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.handlers = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "action", "data", "srcset") and v]
        self.handlers += [k for k, _ in attrs if k.startswith("on")]


@pytest.mark.parametrize("name", NAMES)
def test_every_study_gives_a_page_that_loads_nothing(name, tmp_path):
    file = tmp_path / "deep" / "report.html"
    write_html(made(name), file)
    page = Page(file.read_text(encoding="utf-8"))
    assert page.loads == ["data:,"]
    assert page.handlers == []
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert [f.name for f in file.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("name", NAMES)
def test_every_study_gives_json_without_nan_and_markdown(name):
    made_report = made(name)
    found = json.loads(json.dumps(to_json(made_report), allow_nan=False))
    assert len(found["trials"]) == len(made_report.trials)
    assert found["summary"]["headline"] in to_markdown(made_report)


def test_the_report_compares_on_fresh_seeds_and_says_how_much_of_a_gain_remained():
    made_report = study(40)
    found = to_json(made_report)
    best, default = found["summary"]["best"], found["summary"]["default"]
    against = next(p for p in found["pairs"] if (p["number"], p["other"]) == (best["number"], default["number"]))
    assert against["difference"]["probability"] == found["summary"]["versus_default"]["probability"]
    shrunk = next(s for s in found["shrinkage"] if s["number"] == best["number"])
    assert shrunk["loss"] == pytest.approx(best["confirmed"]["mean"] - best["value"])
    promised, left = default["value"] - best["value"], default["confirmed"]["mean"] - best["confirmed"]["mean"]
    assert shrunk["kept"] == pytest.approx(left / promised)
    text = to_markdown(made_report)
    assert f"- #{best['number']} is better than the default with probability > 0.999" in text
    assert "of the gain over the default remained" in text


def test_advice_follows_from_the_trials():
    steps = to_json(study(40))["next_steps"]
    assert steps[0].startswith("Run more trials: the best, #37, was found late")
    assert "8 of 40 trials failed as nan" in steps[1]
    unconfirmed = to_json(study(40, confirm=False))["next_steps"]
    assert unconfirmed[0].startswith("Run again with more time")
    narrow = {"lr": {"type": "float", "low": 1e-5, "high": 3e-3, "log": True, "default": 1e-3}}
    trials = [complete(n, {"val_loss": 1.0 - n / 100}, params={"lr": 1e-5 * 300 ** (n / 29)}) for n in range(30)]
    rec = record(space=narrow, run={"command": "python train.py --lr {lr}"})
    edge = to_json(report(rec, trials))["next_steps"]
    assert any(step.startswith("Widen lr: the best value, 0.003, is at the upper end") for step in edge)
    assert to_json(made("nothing yet"))["next_steps"] == []


def test_the_page_shows_no_empty_sections(tmp_path):
    file = tmp_path / "report.html"
    write_html(made("nothing yet"), file)
    text = file.read_text(encoding="utf-8")
    assert re.findall(r'<section[^>]*id="(\w+)"', text) == ["result", "spent", "again"]
    assert "No trial has run yet." in text


def test_environment_values_are_never_shown(tmp_path):
    secret, file = study(5), tmp_path / "report.html"
    write_html(secret, file)
    for text in (file.read_text(encoding="utf-8"), to_markdown(secret), json.dumps(to_json(secret))):
        assert "s3cret" not in text


def test_markdown_keeps_hostile_text_out_of_its_markup():
    text = to_markdown(hostile())
    prose = re.sub(r"`+.*?`+|^    .*$", "", text, flags=re.MULTILINE)
    assert not re.search(r"(?<!\\)<(script|img)", prose)


def test_markdown_holds_the_figures_of_the_summary():
    text = to_markdown(study(48))
    assert text.startswith("# digits\n\nBest: val_loss 0.2146 -> 0.2191 ± 0.0041 (95%) on 5 fresh seeds")
    assert "| trial #40 (llm)     | 0.2146   | 0.2191 ± 0.0041        | 38% better on fresh seeds |" in text
    assert "- **nan** (9): val\\_loss" in text or "- **nan** (9): val_loss is nan at step 4 (#1 #3" in text
    assert "- trials: 40 of 40" in text


def test_every_form_has_the_lessons_and_the_credit_of_the_llm(tmp_path):
    lessons = (Lesson(text="rates above 0.1 <b>diverge</b>", trials=(2, 9)),)
    report_with_lessons = replace(study(20, confirm=False), lessons=lessons)
    write_html(report_with_lessons, tmp_path / "report.html")
    page, text, found = (
        (tmp_path / "report.html").read_text("utf-8"),
        to_markdown(report_with_lessons),
        to_json(report_with_lessons),
    )
    assert "rates above 0.1 &lt;b&gt;diverge&lt;/b&gt;" in page
    assert "1. rates above 0.1 \\<b\\>diverge\\</b\\> (#2 #9)" in text
    assert found["lessons"] == [{"text": "rates above 0.1 <b>diverge</b>", "trials": [2, 9]}]
    credit = next(line for line in found["llm_worth"] if line.startswith("llm: "))
    assert credit in page
    assert f"- {credit}" in text


def test_json_has_the_improvements_of_each_source():
    found = to_json(study(48))
    assert {s["source"]: s["improved"] for s in found["sources"]} == {
        "default": [0], "sampler": [11, 37], "llm": [4, 17, 31, 40],
    }  # fmt: skip
    assert found["summary"]["best"]["confirmed"]["mean"] == pytest.approx(0.2191, abs=1e-4)
    assert [len(group["trials"]) for group in found["failures"]] == [9, 1]


def test_the_same_study_gives_the_same_page(tmp_path):
    for name in ("a", "b"):
        write_html(study(12), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.slow
def test_five_thousand_trials_stay_a_small_file(tmp_path):
    file = tmp_path / "report.html"
    write_html(study(5000), file)
    assert file.stat().st_size < 8e6
