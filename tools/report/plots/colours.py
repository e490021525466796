"""The colours of all plots and tables, one per meaning, from Okabe and Ito's palette for colour-blind readers.

Each has a medium lightness, visible on white and on near-black. Sources also differ by the shape of their mark.
"""

from __future__ import annotations

from tunesmith.study.trials.trial import Source

BEST = "#009e73"
DEFAULT = "#c2649a"
FAILED = "#d55e00"
QUIET = "#8a8f98"
PLAIN = "#3d8bc9"

SOURCES: dict[str, str] = {
    Source.DEFAULT.value: DEFAULT,
    Source.USER.value: "#a78b00",
    Source.SAMPLER.value: PLAIN,
    Source.LLM.value: "#e69f00",
    Source.FALLBACK.value: "#7d6fd1",
    Source.CONFIRM.value: BEST,
    Source.RACE.value: QUIET,
    Source.IMPORT.value: QUIET,
}
MARKS: dict[str, str] = {
    Source.DEFAULT.value: "diamond",
    Source.USER.value: "square",
    Source.SAMPLER.value: "circle",
    Source.LLM.value: "star",
    Source.FALLBACK.value: "circle-open",
    Source.CONFIRM.value: "cross",
    Source.RACE.value: "circle-open",
    Source.IMPORT.value: "x",
}
RANKED = ("#e8973a", "#b9a04f", "#7fa67d", "#439aa3", "#2f7fb8")
"""One colour per fifth of the trials, from the worst to the best."""
