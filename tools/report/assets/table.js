// The table of all trials: a click on a column sorts it, words filter it, and it shows a page at a time. Text only, no HTML.
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const { columns, rows, colours } = report.table;
  const pageSize = 50;
  const state = { column: 0, ascending: true, words: [], shown: pageSize };
  const order = rows.map((_, index) => index);
  const body = table.tBodies[0], more = document.getElementById("more"), count = document.getElementById("count");
  const text = (cell) => (Array.isArray(cell) ? cell[0] : cell);
  const texts = rows.map((row) => row.map(text).join(" ").toLowerCase());

  function sortKey(cell, i) {
    if (Array.isArray(cell)) return cell[1];
    return columns[i].numeric && cell !== "" ? Number(cell) : cell;
  }
  function compare(a, b) {
    const x = sortKey(rows[a][state.column], state.column), y = sortKey(rows[b][state.column], state.column);
    const missing = (value) => value === null || value === "" || Number.isNaN(value);
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;  // missing values stay last in both orders
    const sign = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return (state.ascending ? sign : -sign) || a - b;
  }

  function makeCell(row, i) {
    const td = document.createElement("td"), shown = text(row[i]);
    td.textContent = shown;
    if (columns[i].numeric) td.className = "n";
    if (i === 2) td.className = shown;
    if (shown.length > 24) td.title = shown;
    if (i === 1) {
      const dot = document.createElement("i");
      dot.className = "dot";
      dot.style.background = colours[shown.split(" ")[0]] || "";
      td.prepend(dot);
    }
    return td;
  }

  function draw() {
    const found = order.filter((index) => state.words.every((word) => texts[index].includes(word)));
    const lines = found.slice(0, state.shown).map((index) => {
      const tr = document.createElement("tr");
      tr.append(...columns.map((_, i) => makeCell(rows[index], i)));
      return tr;
    });
    body.replaceChildren(...lines);
    more.hidden = found.length <= state.shown;
    count.textContent = state.words.length ? `${found.length} of ${rows.length} trials` : `${rows.length} trials`;
    [...table.tHead.rows[0].cells].forEach((th, i) => {
      if (i === state.column) th.setAttribute("aria-sort", state.ascending ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    });
  }

  function sortBy(i) {
    state.ascending = i === state.column ? !state.ascending : true;
    state.column = i;
    order.sort(compare);
    draw();
  }

  const head = table.tHead.insertRow();
  columns.forEach((column, i) => {
    const th = document.createElement("th"), button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    button.addEventListener("click", () => sortBy(i));
    if (column.numeric) th.className = "n";
    th.scope = "col";
    th.append(button);
    head.append(th);
  });
  document.getElementById("filter").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = pageSize;
    draw();
  });
  more.addEventListener("click", () => { state.shown += 10 * pageSize; draw(); });
  draw();
})();
