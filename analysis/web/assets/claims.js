"use strict";
// Claims: search and filters, folding, links that open a claim, and the trainings behind it.

const claims = [...document.querySelectorAll("details.claim")];
const search = document.getElementById("search");
const chips = [...document.querySelectorAll("button.chip")];
const selects = [...document.querySelectorAll(".filters select")];

function matches(claim) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = claim.textContent.toLowerCase();
  const isChosen = chips.some(
    (chip) =>
      chip.dataset.verdict === claim.dataset.verdict &&
      chip.getAttribute("aria-pressed") === "true",
  );
  return (
    isChosen &&
    words.every((word) => text.includes(word)) &&
    selects.every((select) => {
      const name = select.id.replace("filter-", "");
      if (!select.value) return true;
      return name === "method"
        ? claim.dataset.methods.split("; ").includes(select.value)
        : claim.dataset[name] === select.value;
    })
  );
}

function filterClaims() {
  let count = 0;
  for (const claim of claims) {
    claim.hidden = !matches(claim);
    count += !claim.hidden;
  }
  for (const group of document.querySelectorAll(".group, section.paper"))
    group.hidden = ![...group.querySelectorAll(".claim")].some((claim) => !claim.hidden);
  document.getElementById("matches").textContent =
    count === claims.length ? "" : `${count} of ${claims.length} claims`;
}

function clearFilters() {
  search.value = "";
  for (const chip of chips) chip.setAttribute("aria-pressed", "true");
  for (const select of selects) select.value = "";
  filterClaims();
}

function openFromAddress() {
  const claim = document.getElementById(location.hash.slice(1));
  if (!claim || !claim.matches("details.claim")) return;
  if (claim.hidden) clearFilters();
  claim.closest(".group").open = true;
  claim.open = true;
  claim.scrollIntoView({ block: "start" });
}

function selectTrainings(box) {
  const table = page.trainings[box.dataset.study];
  if (!table) return null;
  const names = Object.keys(table).filter((name) => name !== "cell_id");
  const cells = new Set(box.dataset.cells.split(" ").filter(Boolean));
  const methods = box.dataset.methods.split("; ").filter(Boolean);
  const isBehind = (i) =>
    cells.size
      ? cells.has(table.cell_id[i])
      : !methods.length || methods.some((method) => String(table.line[i]).startsWith(method));
  const rows = [];
  for (let i = 0; i < table.line.length; i++)
    if (isBehind(i)) rows.push(names.map((name) => table[name][i]));
  return { names, rows };
}

function showTrainings(box) {
  if (box.childElementCount) return;
  const selected = selectTrainings(box);
  if (!selected) {
    appendNote(box, "The trainings are in trainings.csv.");
    return;
  }
  const source = box.dataset.cells
    ? "of the cells that this claim was judged from"
    : "of these methods in the study";
  appendTrainings(box, selected, ` ${source}`, `trainings-${box.dataset.name}.csv`);
}

function openClaim(claim) {
  for (const box of claim.querySelectorAll(".chart")) show(box);
  for (const box of claim.querySelectorAll(".trainings")) showTrainings(box);
}

function startClaims() {
  for (const claim of claims)
    claim.addEventListener("toggle", () => {
      if (claim.open) openClaim(claim);
    });
  if (search) {
    search.addEventListener("input", filterClaims);
    for (const select of selects) select.addEventListener("change", filterClaims);
    for (const chip of chips)
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") !== "true");
        filterClaims();
      });
    document.getElementById("clear").addEventListener("click", clearFilters);
    const fold = document.getElementById("fold");
    fold.addEventListener("click", () => {
      const groups = [...document.querySelectorAll(".group")];
      const isOpen = groups.some((group) => group.open);
      for (const group of groups) group.open = !isOpen;
      fold.textContent = isOpen ? "Unfold studies" : "Fold studies";
    });
  }
  addEventListener("hashchange", openFromAddress);
  openFromAddress();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  navigator.clipboard?.writeText(button.dataset.text).then(
    () => {
      button.textContent = "Copied";
    },
    () => {},
  );
});

unpack().then((data) => {
  page = data;
  startClaims();
  watchFigures();
  document.documentElement.dataset.ready = "yes";
});
