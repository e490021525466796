"""The page in a real browser: no overlap, no overflow, no errors."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import pytest
from fakes.report.simulated import study
from fakes.report.studies import NAMES, made

from tunesmith.tools.report import write_html

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip

# Boxes of the elements that must not overlap: sections, and the parts of each section.
BOXES = """
const box = (e) => {
  const r = e.getBoundingClientRect();
  return [r.left, r.top, r.right, r.bottom, e.id || e.className];
};
const parts = ["h2", "h3", "p", "dl", "details", ".controls", ".command", "button"].map((part) => `:scope > ${part}`);
const inside = [...document.querySelectorAll("section")].map((section) =>
  [...section.querySelectorAll([...parts, ".scroll"].join())].filter((e) => e.offsetParent).map(box));
return [[...document.querySelectorAll("main > *")].map(box), ...inside];
"""
# Plots whose tick labels overlap or are cut off.
CROWDED = """
const hit = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
return [...document.querySelectorAll(".plot")].flatMap((plot) => ["x", "y"].flatMap((axis) => {
  const boxes = [...plot.querySelectorAll(`.${axis}tick text`)].map((e) => e.getBoundingClientRect());
  const clash = boxes.some((a, i) => boxes.slice(i + 1).some((b) => hit(a, b)));
  const frame = plot.getBoundingClientRect();
  const cut = boxes.some((a) => a.left < frame.left - 1 || a.bottom > frame.bottom + 1);
  return clash || cut ? [`${plot.id} ${axis}${clash ? " overlap" : ""}${cut ? " cut" : ""}`] : [];
}));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        missing = "chromium" if not chromium else "chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs the package {missing}")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def show(browser, report, folder, size="desktop"):
    file = folder / "report.html"
    write_html(report, file)
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())
    deadline = time.monotonic() + 30
    while browser.execute_script("return document.querySelector('.plot:not([data-drawn])') !== null"):
        assert time.monotonic() < deadline, "a plot was never drawn"
        time.sleep(0.05)


def with_gradients(report):
    """Return the report with a second series of each trial that reported a first one."""
    curves = {
        number: [*seen, *(replace(o, metric="grad_norm", value=o.value * 3) for o in seen)]
        for number, seen in report.curves.items()
    }
    return replace(report, curves=curves)


def test_other_series_are_drawn_when_they_are_opened(browser, tmp_path):
    report = next(with_gradients(made(name)) for name in NAMES if made(name).curves)
    write_html(report, tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    drawn = "return document.querySelector('#plot-series-0 .main-svg')?.clientWidth ?? 0"
    assert browser.execute_script(drawn) == 0
    browser.execute_script("document.querySelector('#series summary').click()")
    deadline = time.monotonic() + 30
    while browser.execute_script(drawn) < 100:
        assert time.monotonic() < deadline, "the series were never drawn"
        time.sleep(0.05)
    assert browser.get_log("browser") == []
    assert "1 series" in browser.execute_script("return document.querySelector('#series').innerText")
    assert browser.execute_script(CROWDED) == []


def overlaps(boxes):
    def meet(a, b):
        return a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1

    return [(a[4], b[4]) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if meet(a, b)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_drawn_without_overlap_overflow_or_errors(browser, name, size, tmp_path):
    show(browser, made(name), tmp_path, size)
    width = SIZES[size][0]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [found for group in browser.execute_script(BOXES) for found in overlaps(group)] == []
    plots = browser.execute_script(
        "return [...document.querySelectorAll('.plot')].map(p => [p.id, p.querySelector('.main-svg')?.clientWidth, "
        "p.querySelector('.main-svg')?.clientHeight])"
    )
    assert [p for p in plots if not (p[1] and p[2] and p[1] > 100 and p[2] > 100)] == []
    assert browser.execute_script(CROWDED) == []


def test_hostile_text_stays_text(browser, tmp_path):
    show(browser, made("hostile"), tmp_path)
    assert browser.title == "hostile · Tunesmith"
    assert browser.execute_script("return document.images.length") == 0
    assert "<script>document.title='owned'</script>" in browser.execute_script("return document.body.innerText")
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def column(browser, index):
    return browser.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].map(r => r.cells[arguments[0]].innerText)", index
    )


def test_the_table_sorts_on_a_click_and_filters_by_words(browser, tmp_path):
    show(browser, study(48), tmp_path)
    heads = browser.find_elements("css selector", "#table th button")
    names = [head.text.split(" ")[0] for head in heads]
    value = names.index("val_loss")
    for descending in (False, True):
        browser.execute_script("arguments[0].click()", heads[value])
        shown = [float(v) for v in column(browser, value) if v != "–"]
        assert shown == sorted(shown, reverse=descending)
        assert len(shown) > 20
    box = browser.find_element("id", "filter")
    box.send_keys("failed nan")
    assert set(column(browser, names.index("state"))) == {"failed"}
    assert browser.find_element("id", "count").text == "9 of 63 trials"


@pytest.mark.nightly
def test_five_thousand_trials_draw_in_time(browser, tmp_path):
    show(browser, study(5000), tmp_path)
    browser.execute_script("document.getElementById('more').click()")
    assert len(column(browser, 0)) == 550
    assert browser.get_log("browser") == []


def test_the_plots_follow_a_dark_theme(browser, tmp_path):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    show(browser, study(12), tmp_path)
    colour = "return getComputedStyle(document.querySelector('#plot-values .xtick text')).fill"
    light = browser.execute_script(colour)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        deadline = time.monotonic() + 10
        while browser.execute_script(colour) == light:
            assert time.monotonic() < deadline, "the plots kept the light theme"
            time.sleep(0.05)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
