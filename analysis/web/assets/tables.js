"use strict";
// Tables: a click on a head sorts, a button saves as CSV.

const SHOWN_ROWS = 200;

function compare(a, b) {
  const isNumber = (text) => text !== "" && !isNaN(text);
  if (isNumber(a) && isNumber(b)) return +a === +b ? 0 : +a - +b;
  return (
    isNumber(b) - isNumber(a) ||
    (a === "") - (b === "") ||
    a.localeCompare(b, undefined, { numeric: true })
  );
}

function sortBy(head) {
  const index = head.cellIndex;
  const isAscending = head.getAttribute("aria-sort") !== "ascending";
  const body = head.closest("table").tBodies[0];
  const key = (row) => row.cells[index].dataset.sort;
  const rows = [...body.rows].sort((a, b) => compare(key(a), key(b)) * (isAscending ? 1 : -1));
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
  body.append(...rows);
}

function download(name, text, type = "text/csv") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function formatCsv(rows) {
  const quote = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

function makeTable(names, rows) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    cell.scope = "col";
    button.type = "button";
    button.textContent = name;
    cell.append(button);
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent =
        value === null ? "" : typeof value === "number" ? +value.toPrecision(4) : value;
      cell.dataset.sort = value === null ? "" : value;
      if (typeof value === "number") cell.className = "number";
    }
  }
  return table;
}

function appendNote(box, text) {
  const note = document.createElement("p");
  note.className = "soft";
  note.textContent = text;
  box.append(note);
}

// Trainings as a table with a button that saves all of them; source says which they are.
function appendTrainings(box, { names, rows }, source, file) {
  const more =
    rows.length > SHOWN_ROWS ? `; the first ${SHOWN_ROWS} are shown, the CSV has all` : "";
  appendNote(box, `${rows.length.toLocaleString("en")} trainings${source}${more}`);
  const holder = document.createElement("div");
  holder.className = "table";
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.append(makeTable(names, rows.slice(0, SHOWN_ROWS)));
  const button = document.createElement("button");
  button.type = "button";
  button.className = "save";
  button.dataset.trainings = "all";
  button.textContent = "CSV";
  button.onclick = () => download(file, formatCsv([names, ...rows]));
  holder.append(scroll, button);
  box.append(holder);
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("th");
  if (head && event.target.closest("button")) sortBy(head);
  const button = event.target.closest("button.save");
  if (button && !button.dataset.trainings) {
    const table = button.closest(".table").querySelector("table");
    const rows = [...table.rows].map((row) =>
      [...row.cells].map((cell) => cell.textContent.trim()),
    );
    download(`${button.dataset.name}.csv`, formatCsv(rows));
  }
});
