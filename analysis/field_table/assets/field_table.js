// The matrix: search, filters, the keyboard, and the entry that is selected.

const matrix = document.querySelector("table.matrix");
const panel = document.getElementById("entry");
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function readFilters() {
  const value = (id) => document.getElementById(id)?.value ?? "";
  return {
    words: value("search").toLowerCase().split(/\s+/).filter(Boolean),
    status: value("status"),
    agreement: value("agreement"),
    isPlain: document.getElementById("plain").checked,
  };
}

function isMatching(filters, row, head, cell) {
  const text = `${row.cells[0].dataset.sort} ${head.dataset.title}`.toLowerCase();
  return (
    filters.words.every((word) => text.includes(word)) &&
    (!filters.status || cell.dataset.status === filters.status) &&
    (!filters.agreement || cell.dataset.agreement === filters.agreement) &&
    !(filters.isPlain && head.dataset.uses)
  );
}

// Hides the entries that do not match, and the rows and columns that are left without one.
function filterEntries() {
  const filters = readFilters();
  const heads = [...matrix.tHead.rows[0].cells];
  const rows = [...matrix.tBodies[0].rows];
  const columns = new Set([0]);
  let count = 0;
  for (const row of rows) {
    const before = count;
    for (const [index, head] of heads.entries()) {
      if (index === 0) continue;
      const cell = row.cells[index];
      const matches = isMatching(filters, row, head, cell);
      cell.classList.toggle("unmatched", !matches);
      if (matches) columns.add(index);
      count += matches;
    }
    row.hidden = count === before;
  }
  for (const row of matrix.rows)
    for (const [index, cell] of [...row.cells].entries()) cell.hidden = !columns.has(index);
  const total = rows.length * (heads.length - 1);
  document.getElementById("matches").textContent =
    count === total ? "" : `${count} of ${total} entries`;
}

function moveFocus(event) {
  const step = ARROWS[event.key];
  const start = event.target.closest("button.entry");
  if (!step || !start) return;
  event.preventDefault();
  let { rowIndex } = start.closest("tr");
  let { cellIndex } = start.closest("td");
  let next = start;
  do {
    rowIndex += step[0];
    cellIndex += step[1];
    next = matrix.rows[rowIndex]?.cells[cellIndex]?.querySelector("button.entry");
  } while (next && !next.checkVisibility({ visibilityProperty: true }));
  next?.focus();
}

function showEntry(button) {
  for (const other of matrix.querySelectorAll("button.entry"))
    other.setAttribute("aria-pressed", other === button);
  panel.hidden = false;
  panel.querySelector(".whole").textContent = button.title;
  const holder = panel.querySelector(".chart-holder");
  holder.replaceChildren();
  if (button.dataset.chart) {
    const box = document.createElement("div");
    box.className = "chart";
    box.dataset.chart = button.dataset.chart;
    box.dataset.lines = button.dataset.method;
    holder.append(box);
    show(box);
  }
  showTrainings(button.dataset.key);
  panel.scrollIntoView({ block: "nearest" });
  panel.querySelector("h2").focus({ preventScroll: true });
}

function closeEntry() {
  const button = matrix.querySelector("button.entry[aria-pressed=true]");
  button?.setAttribute("aria-pressed", false);
  button?.focus();
  panel.hidden = true;
}

function showTrainings(key) {
  const box = panel.querySelector(".trainings");
  box.replaceChildren();
  const table = page.trainings[key];
  if (table === null) appendNote(box, "Its trainings are too many for a page; the store has them.");
  if (!table) return;
  const names = Object.keys(table);
  const count = table[names[0]].length;
  const rows = Array.from({ length: count }, (_, i) => names.map((name) => table[name][i]));
  appendTrainings(box, { names, rows }, "", `trainings-${key.replace("/", "-")}.csv`);
}

unpack().then((data) => {
  page = data;
  for (const input of document.querySelectorAll(".filters :is(input, select)"))
    input.addEventListener("input", filterEntries);
  for (const button of matrix.querySelectorAll("button.entry"))
    button.addEventListener("click", () => showEntry(button));
  matrix.addEventListener("keydown", moveFocus);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) closeEntry();
  });
  watchFigures();
  document.documentElement.dataset.ready = "yes";
});
