"use strict";
// Figures: drawn by Plotly when they come into view, in the colours of the page, with a legend
// beside each that hides lines.

const isDark = matchMedia("(prefers-color-scheme: dark)");
const isPrint = matchMedia("print");
const SHAPES = {
  circle: "●",
  square: "■",
  diamond: "◆",
  "triangle-up": "▲",
  "triangle-down": "▼",
  cross: "✚",
  x: "✖",
  hexagon: "⬢",
  "triangle-left": "◀",
  "triangle-right": "▶",
  star: "★",
  "": "",
};
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const FADED = 0.18;
let page = null;

// What the page holds compressed, as text.
async function readPacked(id) {
  const binary = atob(document.getElementById(id).textContent.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = await readPacked("plotly");
  document.head.append(script);
}

async function unpack() {
  const [text] = await Promise.all([readPacked("data"), loadPlotly()]);
  return JSON.parse(text);
}

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    text: read("--text"),
    line: read("--line"),
    soft: read("--soft"),
    page: read("--page"),
    dark: isDark.matches && !isPrint.matches,
  };
}

// The colours of a figure for the page's theme: those of the palette have a counterpart on dark.
function recolour(value, theme) {
  if (Array.isArray(value)) return value.map((item) => recolour(item, theme));
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, recolour(item, theme)]),
    );
  return theme.dark && page.dark[value] ? page.dark[value] : value;
}

function applyTheme(layout, theme) {
  const themed = {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: "zoom",
    font: {
      family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
      size: 12,
      color: theme.text,
    },
    hoverlabel: {
      bgcolor: theme.page,
      bordercolor: theme.line,
      font: { color: theme.text },
      align: "left",
    },
  };
  for (const name of Object.keys(layout))
    if (/^[xy]axis/.test(name))
      themed[name] = {
        ...layout[name],
        gridcolor: theme.line,
        linecolor: theme.soft,
        showline: true,
      };
  return themed;
}

class FigureView {
  constructor(box) {
    this.box = box;
    this.spec = page.charts[box.dataset.chart];
    this.hidden = new Set();
    this.lines = (box.dataset.lines || "").split("; ").filter(Boolean);
    this.figures = this.spec.figures;
    this.grid = document.createElement("div");
    this.grid.className = "plots";
    box.replaceChildren(this.grid);
    this.plots = this.figures.map((_, index) => this.addColumn(index));
    if (this.spec.legends.length === 1 && this.spec.figures.length > 1)
      this.addLegend(box, this.spec.legends[0]);
    this.draw();
  }

  addColumn(index) {
    const column = document.createElement("div");
    column.className = "column";
    const plot = document.createElement("div");
    plot.className = "plot";
    column.append(plot);
    this.grid.append(column);
    const isOwn = this.spec.legends.length === this.spec.figures.length;
    if (isOwn) this.addLegend(column, this.spec.legends[index]);
    return plot;
  }

  addLegend(parent, entries) {
    const list = document.createElement("ul");
    list.className = "legend";
    const addText = (text) => {
      const item = document.createElement("li");
      item.className = "soft";
      item.textContent = text;
      list.append(item);
    };
    if (this.spec.legendTitle && entries.length) addText(this.spec.legendTitle);
    for (const entry of entries) {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const key = document.createElement("span");
      key.className = "key";
      key.style.color = `var(--c${entry.colour.slice(1)}, ${entry.colour})`;
      key.dataset.dash = entry.dash;
      key.dataset.symbol = SHAPES[entry.symbol] || "";
      button.type = "button";
      button.dataset.series = entry.series;
      button.setAttribute("aria-pressed", "true");
      button.append(key, entry.text);
      button.onclick = () => this.toggle(entry.series);
      item.append(button);
      list.append(item);
    }
    this.spec.notes.forEach(addText);
    parent.append(list);
  }

  toggle(series) {
    const isShown = this.hidden.delete(series);
    if (!isShown) this.hidden.add(series);
    for (const button of this.box.querySelectorAll(".legend button"))
      if (button.dataset.series === series) button.setAttribute("aria-pressed", isShown);
    this.draw();
  }

  isHidden(name) {
    return [...this.hidden].some((line) => name === line || name.startsWith(line + ": "));
  }

  // Whether a trace belongs to a line that the claim is about; without such a line all do.
  isHighlighted(name) {
    const names = this.figures.flatMap((figure) => figure.data.map((trace) => trace.meta));
    const lines = this.lines.filter((line) => names.some((other) => other.startsWith(line)));
    return !lines.length || lines.some((line) => name.startsWith(line));
  }

  draw() {
    const theme = readTheme();
    for (const [index, figure] of this.figures.entries()) {
      const data = recolour(figure.data, theme).map((trace) => ({
        ...trace,
        visible: !this.isHidden(trace.meta),
        opacity: this.isHighlighted(trace.meta) ? (trace.opacity ?? 1) : FADED,
      }));
      const layout = applyTheme(recolour(figure.layout, theme), theme);
      // A figure that is resized takes the height of its box.
      this.plots[index].style.height = `${layout.height}px`;
      Plotly.react(this.plots[index], data, layout, CONFIG);
    }
  }
}

const views = new Map();
function show(box) {
  if (!views.has(box) && page.charts[box.dataset.chart]) views.set(box, new FigureView(box));
}

function redrawAll() {
  for (const view of views.values()) view.draw();
}

function watchFigures() {
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) show(entry.target);
    },
    { rootMargin: "400px" },
  );
  for (const box of document.querySelectorAll(".chart")) observer.observe(box);
  isDark.addEventListener("change", redrawAll);
  isPrint.addEventListener("change", redrawAll);
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll(".study .chart")) show(box);
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.csv");
  if (button) download(`${button.dataset.chart}.csv`, page.charts[button.dataset.chart].csv);
});
