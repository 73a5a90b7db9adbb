"use strict";
// The list of contents: beside the page where there is room, else folded above it.

const contents = document.querySelector("nav.contents details");
const hasMargin = matchMedia("(min-width: 116rem)");

function fitContents() {
  contents.open = hasMargin.matches;
}

function startContents() {
  if (!contents) return;
  fitContents();
  hasMargin.addEventListener("change", fitContents);
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !hasMargin.matches) contents.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !contents.open || hasMargin.matches) return;
    contents.open = false;
    contents.querySelector("summary").focus();
  });
}
