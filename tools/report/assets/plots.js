"use strict";
// Draws the figures in the colours of the page's theme, and again when the theme changes. All data come from #data.
const report = JSON.parse(document.getElementById("data").textContent);

(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function themed(layout, width) {
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid");
    const copy = structuredClone(layout);
    delete copy.template;
    Object.assign(copy, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, dragmode: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: soft, align: "left", font: { size: 13, color: ink } },
    });
    for (const key of Object.keys(copy).filter((name) => /^[xy]axis/.test(name))) {
      const axis = copy[key];
      axis.gridcolor = grid;
      axis.linecolor = grid;
      axis.tickfont = { size: 12, color: soft };
      if (axis.title) axis.title = { ...(axis.title.text ? axis.title : { text: axis.title }), font: { size: 13, color: soft } };
      axis.fixedrange = true;
    }
    for (const key of Object.keys(copy.ternary ?? {}).filter((name) => /^[abc]axis/.test(name))) {
      const axis = copy.ternary[key];
      Object.assign(axis, { gridcolor: grid, linecolor: grid, tickfont: { size: 12, color: soft } });
      axis.title = { ...axis.title, font: { size: 13, color: soft } };
    }
    if (copy.ternary) copy.ternary.bgcolor = "rgba(0,0,0,0)";
    if (width < 520) {
      if (copy.margin.l < 70) copy.margin.l = Math.min(copy.margin.l, 54);
      copy.margin.r = Math.min(copy.margin.r, 12);
      if (copy.legend) copy.legend = { ...copy.legend, font: { size: 12 }, entrywidth: 0 };
    }
    return copy;
  }

  function growForLegend(element, layout) {
    // A legend of several rows needs a larger top margin, which plotly does not set.
    const box = element.querySelector(".legend .bg");
    if (!box || layout.showlegend === false) return;
    const needed = Math.ceil(box.getBoundingClientRect().height) + (layout.annotations ? 40 : 14);
    if (needed > layout.margin.t) {
      const grown = needed - layout.margin.t;
      element.style.height = `${element.clientHeight + grown}px`;
      return Plotly.relayout(element, { "margin.t": needed, height: element.clientHeight });
    }
  }

  async function draw(key) {
    const element = document.getElementById(`plot-${key}`);
    // A closed part has no width to draw in; it is drawn when it is opened.
    if (!element || element.closest("details:not([open])")) return;
    element.style.height = element.dataset.height ||= element.style.height;
    const figure = report.plots[key];
    const layout = themed(figure.layout, element.clientWidth);
    await Plotly.react(element, structuredClone(figure.data), layout, { responsive: true, displayModeBar: false });
    await growForLegend(element, layout);
    element.dataset.drawn = "yes";
  }

  const all = () => Object.keys(report.plots).forEach(draw);
  all();
  dark.addEventListener("change", all);
  for (const part of document.querySelectorAll("details")) {
    part.addEventListener("toggle", () => {
      part.querySelectorAll(".plot").forEach((element) => draw(element.id.slice("plot-".length)));
    });
  }

  const copy = document.getElementById("copy");
  copy?.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(range.toString());
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Selected";  // a page from disk may not write to the clipboard, so the text is selected
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
})();
