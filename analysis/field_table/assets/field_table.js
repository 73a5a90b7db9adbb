// The matrix: search, methods that know more than samples, and the entry that is selected.

const matrix = document.querySelector("table.matrix");
const panel = document.getElementById("entry");

function filterRows() {
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  const rows = [...matrix.tBodies[0].rows];
  for (const row of rows) {
    const text = row.cells[0].textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  document.getElementById("matches").textContent =
    count === rows.length ? "" : `${count} of ${rows.length} targets`;
}

function filterColumns() {
  const isPlain = document.getElementById("plain").checked;
  for (const [index, head] of [...matrix.tHead.rows[0].cells].entries()) {
    const isHidden = isPlain && Boolean(head.dataset.uses);
    for (const row of matrix.rows) row.cells[index].hidden = isHidden;
  }
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
}

function showTrainings(key) {
  const box = panel.querySelector(".trainings");
  box.replaceChildren();
  const table = page.trainings[key];
  if (!table) return;
  const names = Object.keys(table);
  const count = table[names[0]].length;
  const rows = Array.from({ length: count }, (_, i) => names.map((name) => table[name][i]));
  appendTrainings(box, { names, rows }, "", `trainings-${key.replace("/", "-")}.csv`);
}

unpack().then((data) => {
  page = data;
  document.getElementById("search").addEventListener("input", filterRows);
  document.getElementById("plain").addEventListener("change", filterColumns);
  for (const button of matrix.querySelectorAll("button.entry"))
    button.addEventListener("click", () => showEntry(button));
  watchFigures();
  document.documentElement.dataset.ready = "yes";
});
