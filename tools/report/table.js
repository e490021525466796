// The table of all trials: sorts by a click on a column, filters by words, shows a page at a time. Text only, no HTML.
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const { columns, rows, colours } = report.table;
  const pageSize = 100;
  const state = { column: 0, ascending: true, words: [], shown: pageSize };
  const texts = rows.map((row) => row.map((cell) => cell[0]).join(" ").toLowerCase());
  const order = rows.map((_, index) => index);
  const body = table.tBodies[0], more = document.getElementById("more"), count = document.getElementById("count");
  const isNumeric = columns.map((column, i) => column.numeric ||
    (rows.some((row) => row[i].length > 1 && row[i][1] !== null) && rows.every((row) => row[i].length > 1)));

  const sortKey = (row, i) => (row[i].length > 1 ? row[i][1] : row[i][0]);
  function compare(a, b) {
    const x = sortKey(rows[a], state.column), y = sortKey(rows[b], state.column);
    const missing = (value) => value === null || value === "";
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;  // what is missing stays last either way
    const sign = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return (state.ascending ? sign : -sign) || a - b;
  }

  function cell(row, i) {
    const td = document.createElement("td");
    td.textContent = row[i][0];
    if (isNumeric[i]) td.className = "n";
    if (columns[i].name === "state") td.className = row[i][0];
    if (row[i][0].length > 24) td.title = row[i][0];
    if (columns[i].name === "source") {
      const dot = document.createElement("i");
      dot.className = "dot";
      dot.style.background = colours[row[i][0].split(" ")[0]] || "";
      td.prepend(dot);
    }
    return td;
  }

  function draw() {
    const found = order.filter((index) => state.words.every((word) => texts[index].includes(word)));
    const lines = found.slice(0, state.shown).map((index) => {
      const tr = document.createElement("tr");
      tr.append(...columns.map((_, i) => cell(rows[index], i)));
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
    if (isNumeric[i]) th.className = "n";
    th.scope = "col";
    th.append(button);
    head.append(th);
  });
  document.getElementById("filter").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = pageSize;
    draw();
  });
  more.addEventListener("click", () => { state.shown += 5 * pageSize; draw(); });
  draw();
})();
