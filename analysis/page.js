// Sorts and saves the tables of the page, and draws its charts.
function save(name, rows) {
  const quoted = value => value === null || value === undefined ? ""
    : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.map(row => row.map(quoted).join(",") + "\n").join("")], {type: "text/csv"}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function compare(a, b) {
  const known = text => text !== "" && !isNaN(text);
  if (known(a) && known(b)) return +a === +b ? 0 : +a - +b;
  return known(b) - known(a) || (a === "") - (b === "") || a.localeCompare(b, undefined, {numeric: true});
}
for (const head of document.querySelectorAll("th")) head.querySelector("button").onclick = () => {
  const index = head.cellIndex, up = head.getAttribute("aria-sort") !== "ascending", body = head.closest("table").tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(a.cells[index].dataset.sort, b.cells[index].dataset.sort) * (up ? 1 : -1));
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
};
for (const button of document.querySelectorAll("button.save")) button.onclick = () => {
  const table = button.closest(".table").querySelector("table");
  save(`${button.dataset.name}.csv`, [...table.rows].map(row => [...row.cells].map(cell => cell.textContent.trim())));
};
for (const box of document.querySelectorAll(".chart")) new Chart(box);
