"use strict";
// Search and filters of the claims: what fits is shown, and a study or paper without any is hidden.

const PAUSE = 150; // milliseconds without a key before a search begins
const claims = [...document.querySelectorAll("details.claim")];
const search = document.getElementById("search");
const chips = [...document.querySelectorAll("button.chip")];
const selects = [...document.querySelectorAll(".filters select")];
const entries = claims.map((claim) => ({
  claim,
  text: claim.textContent.toLowerCase(),
  methods: claim.dataset.methods.split("; "),
  parents: [claim.closest(".group"), claim.closest("section.paper")],
}));
let timer = 0;

// A test of one entry by all that is chosen; no verdict chosen means every verdict.
function makeTest() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdicts = new Set(listVerdicts());
  const chosen = selects
    .filter((select) => select.value)
    .map((select) => [select.id.replace("filter-", ""), select.value]);
  return ({ claim, text, methods }) =>
    (!verdicts.size || verdicts.has(claim.dataset.verdict)) &&
    words.every((word) => text.includes(word)) &&
    chosen.every(([name, value]) =>
      name === "method" ? methods.includes(value) : claim.dataset[name] === value,
    );
}

function listVerdicts() {
  return chips
    .filter((chip) => chip.getAttribute("aria-pressed") === "true")
    .map((chip) => chip.dataset.verdict)
    .filter(Boolean);
}

function chooseVerdicts(verdicts) {
  for (const chip of chips) {
    const { verdict } = chip.dataset;
    chip.setAttribute("aria-pressed", verdict ? verdicts.includes(verdict) : !verdicts.length);
  }
}

function toggleVerdict(verdict) {
  const chosen = listVerdicts();
  const others = chosen.filter((other) => other !== verdict);
  if (!verdict) chooseVerdicts([]);
  else chooseVerdicts(others.length < chosen.length ? others : [...chosen, verdict]);
}

function setHidden(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

function filterClaims() {
  clearTimeout(timer);
  const isChosen = makeTest();
  const shownIn = new Map();
  let count = 0;
  for (const entry of entries) {
    const isShown = isChosen(entry);
    setHidden(entry.claim, !isShown);
    count += isShown;
    for (const parent of entry.parents)
      shownIn.set(parent, (shownIn.get(parent) || false) || isShown);
  }
  for (const [parent, isShown] of shownIn) setHidden(parent, !isShown);
  document.getElementById("matches").textContent =
    count === claims.length ? "" : `${count} of ${claims.length} claims`;
}

function filterSoon() {
  clearTimeout(timer);
  timer = setTimeout(filterClaims, PAUSE);
}

function clearFilters({ paper = "", verdict = "" } = {}) {
  search.value = "";
  chooseVerdicts(verdict ? [verdict] : []);
  for (const select of selects) select.value = select.id === "filter-paper" ? paper : "";
  filterClaims();
}

function startFilters() {
  if (!search) return;
  search.addEventListener("input", filterSoon);
  for (const select of selects) select.addEventListener("change", filterClaims);
  for (const chip of chips)
    chip.addEventListener("click", () => {
      toggleVerdict(chip.dataset.verdict);
      filterClaims();
    });
  for (const link of document.querySelectorAll("a.count"))
    link.addEventListener("click", () => clearFilters(link.dataset));
  document.getElementById("clear").addEventListener("click", () => clearFilters());
  const fold = document.getElementById("fold");
  fold.addEventListener("click", () => {
    const groups = [...document.querySelectorAll(".group")];
    const isOpen = groups.some((group) => group.open);
    for (const group of groups) group.open = !isOpen;
    fold.textContent = isOpen ? "Unfold" : "Fold";
  });
}
