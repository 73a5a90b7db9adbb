"use strict";
// Claims: links that open one, what unfolds below it, and the page's start.

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

function openFromAddress() {
  const place = document.getElementById(location.hash.slice(1));
  if (!place?.matches("details.claim, details.group")) return;
  if (place.hidden) clearFilters();
  place.closest(".group").open = true;
  place.open = true;
  place.scrollIntoView({ block: "start" });
}

// What unfolds low on the screen is brought into view, as far as the heading of the claim allows.
function showOpened(claim) {
  const behavior = isStill.matches ? "auto" : "smooth";
  claim.scrollIntoView({ block: "nearest", behavior });
}

// What is linked to stops below the bars that stay at the top, which wrap where it is narrow.
function measureBars() {
  const bars = [document.querySelector(".contents"), document.querySelector(".filters")];
  const heights = bars.map((bar) =>
    bar && getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0,
  );
  const { style } = document.documentElement;
  style.setProperty("--contents", `${heights[0]}px`);
  style.setProperty("--bars", `${heights[0] + heights[1]}px`);
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
      if (!claim.open) return;
      openClaim(claim);
      showOpened(claim);
    });
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

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.file");
  if (!link || !page) return;
  event.preventDefault();
  const name = link.getAttribute("href");
  download(name, page.files[name]);
});

startFilters();
startContents();
measureBars();
addEventListener("resize", measureBars);
unpack().then((data) => {
  page = data;
  startClaims();
  watchFigures();
  document.documentElement.dataset.ready = "yes";
});
