"use strict";
// The charts of the page (analysis/chart.py) as SVG: drag zooms, double click or the button resets, Ctrl + wheel zooms about the pointer,
// hovering shows the nearest value, a click on the legend hides a line with all that belongs to it. Nothing is loaded.
const SVG = "http://www.w3.org/2000/svg", DASH = {"-": "", "--": "7 4", "-.": "8 3 2 3", ":": "2 3", "": ""};
const SHAPES = {o: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", s: "M-3.6-3.6h7.2v7.2h-7.2z", D: "M0-5 5 0 0 5-5 0z", "^": "M0-4.8 4.6 3.6H-4.6z",
  v: "M0 4.8 4.6-3.6H-4.6z", P: "M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
  X: "M-4.4-2.6-2.6-4.4 0-1.8 2.6-4.4 4.4-2.6 1.8 0 4.4 2.6 2.6 4.4 0 1.8-2.6 4.4-4.4 2.6-1.8 0z",
  h: "M0-4.8 4.2-2.4V2.4L0 4.8-4.2 2.4V-2.4z", "<": "M-4.8 0 3.6-4.6V4.6z", ">": "M4.8 0-3.6-4.6V4.6z",
  "*": "M0-6 1.5-2 5.7-1.9 2.4.8 3.5 4.9 0 2.5-3.5 4.9-2.4.8-5.7-1.9-1.5-2z"};
const COLUMNS = ["x", "y", "lo", "hi", "left", "right", "mark", "part", "note"];
const colour = hex => `var(--c${hex.slice(1)}, ${hex})`;
const finite = value => typeof value === "number" && isFinite(value);
const make = (tag, attributes = {}, parent = null, text = null) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) name === "style" ? node.style.cssText = value : node.setAttribute(name, value);
  if (text !== null) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};

function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) {
    const exponent = Math.floor(Math.log10(size) + 1e-9), lead = +(value / 10 ** exponent).toPrecision(3);
    return (lead === 1 ? "" : lead + "·") + "10" + String(exponent).replace(/./g, c => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
  }
  return (+value.toPrecision(4)).toLocaleString("en-US", {maximumFractionDigits: 6}).replace("-", "−");
}

function ticks(axis, low, high, room) {
  if (axis.ticks) return axis.ticks.filter(([place]) => place >= low && place <= high);
  const most = Math.max(2, Math.floor(room));
  if (axis.log) {
    for (const subs of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const places = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
        for (const place of subs.map(sub => sub * 10 ** e))
          if (place >= low * 0.9999 && place <= high * 1.0001) places.push(+place.toPrecision(6));
      if (places.length <= most && places.length >= 2) return places.map(place => [place, number(place)]);
      if (subs.length === 1 && places.length >= 2)
        return places.filter((_, i) => i % Math.ceil(places.length / most) === 0).map(place => [place, number(place)]);
    }
  }
  const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].find(s => s * unit >= rough) * unit;
  const places = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12); i++) places.push(+(i * step).toPrecision(10));
  return places.map(place => [place, number(place)]);
}

function extent(panels, which) {
  const axis = panels[0][which], fits = value => finite(value) && (!axis.log || value > 0);
  if (axis.range) return [...axis.range];
  const values = [];
  for (const panel of panels) for (const s of panel.series)
    for (const name of which === "x" ? ["x", "left", "right"] : ["y", "lo", "hi"])
      for (const [i, value] of (s.data[name] || []).entries()) if (fits(value)) values.push(which === "y" && name === "y" && s.data.mark
        ? value * ({up: 1.7, down: 1 / 1.7}[s.data.mark[i]] || 1) : value);
  if (which === "y") for (const panel of panels) values.push(...panel.levels.map(([value]) => value).filter(fits));
  if (!values.length) return axis.log ? [1, 10] : [0, 1];
  let low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  if (axis.log) {
    const pad = Math.max((high / low) ** 0.06, 1.02);
    [low, high] = [low / pad, high * pad];
    const middle = Math.sqrt(low * high);
    return which === "y" && high < 10 * low ? [middle / Math.sqrt(10), middle * Math.sqrt(10)] : [low, high];
  }
  const pad = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - pad, high + pad];
}

function scale(log, low, high, from, to) {
  const share = log ? value => Math.log(value / low) / Math.log(high / low) : value => (value - low) / (high - low);
  const back = log ? part => low * (high / low) ** part : part => low + (high - low) * part;
  return [value => from + (to - from) * share(value), place => back((place - from) / (to - from))];
}

class Chart {
  constructor(box) {
    this.box = box;
    this.spec = JSON.parse(box.querySelector("script").textContent);
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.plots = document.createElement("div");
    this.plots.className = "plots";
    this.hidden = new Set();
    this.zoom = new Map();
    box.append(this.plots, this.tip);
    if (this.spec.legend === "figure") this.legend(box, this.spec.columns);
    this.columns = this.spec.columns.map(stack => {
      const column = document.createElement("div");
      column.className = "column";
      this.plots.append(column);
      const holder = document.createElement("div");
      column.append(holder);
      if (this.spec.legend === "column") this.legend(column, [stack]);
      return holder;
    });
    this.reset = box.parentNode.querySelector("button.reset");
    this.reset.onclick = () => { this.zoom.clear(); this.draw(); };
    box.parentNode.querySelector("button.csv").onclick = () => this.csv();
    this.draw();
    let width = box.clientWidth;
    new ResizeObserver(() => { if (Math.abs(box.clientWidth - width) > 4) { width = box.clientWidth; this.draw(); } }).observe(box);
  }

  legend(parent, columns) {
    const list = document.createElement("ul"), seen = new Set();
    list.className = "legend";
    const say = text => {
      const item = document.createElement("li");
      item.className = "soft";
      item.textContent = text;
      list.append(item);
    };
    if (this.spec.legendTitle) say(this.spec.legendTitle);
    for (const s of columns.flat().flatMap(panel => panel.series)) if (s.legend && !seen.has(s.legend)) {
      seen.add(s.legend);
      const item = document.createElement("li"), button = document.createElement("button");
      const icon = make("svg", {viewBox: "-14 -7 28 14", width: 28, height: 14, "aria-hidden": "true"});
      const ink = colour(s.colour), fill = s.form === "ring" ? "none" : ink;
      if (s.form !== "ring" && s.dash)
        make("path", {d: "M-13 0H13", "stroke-dasharray": DASH[s.dash], style: `stroke:${ink};stroke-width:1.6`}, icon);
      if (s.form !== "line" && SHAPES[s.marker]) make("path", {d: SHAPES[s.marker], style: `fill:${fill};stroke:${ink}`}, icon);
      button.type = "button";
      button.append(icon, s.legend);
      button.setAttribute("aria-pressed", "true");
      button.onclick = () => {
        const show = this.hidden.delete(s.name);
        if (!show) this.hidden.add(s.name);
        for (const other of this.box.querySelectorAll(".legend button"))
          if (other.dataset.name === s.name) other.setAttribute("aria-pressed", show);
        this.draw();
      };
      button.dataset.name = s.name;
      item.append(button);
      list.append(item);
    }
    this.spec.notes.forEach(say);
    parent.append(list);
  }

  shown(series) { return ![...this.hidden].some(name => series.name === name || series.name.startsWith(name + ": ")); }

  range(column, row, which) {
    const {columns, sameY} = this.spec;
    const shared = which === "x" ? columns[column] : sameY ? columns.map(stack => stack[row]).filter(Boolean) : [columns[column][row]];
    const key = which === "x" ? `x${column}` : sameY ? `y${row}` : `y${column}/${row}`;
    return [key, this.zoom.get(key) || extent(shared, which)];
  }

  draw() {
    this.tip.hidden = true;
    this.reset.disabled = !this.zoom.size;
    for (const [column, holder] of this.columns.entries()) {
      const stack = this.spec.columns[column], width = Math.max(260, holder.clientWidth);
      const heights = this.spec.heights.slice(0, stack.length).map(h => 88 * h), total = heights.reduce((a, b) => a + b) + 26;
      const svg = make("svg", {viewBox: `0 0 ${width} ${total}`, role: "img", "aria-label": stack[0].title || stack[0].y.label});
      let top = 0;
      for (const [row, panel] of stack.entries()) {
        this.panel(svg, panel, {column, row, left: 62, right: width - (panel.levels.length ? 46 : 12), top: top + (panel.title ? 24 : 10),
          bottom: top + heights[row] - 14, last: row === stack.length - 1});
        top += heights[row];
      }
      holder.replaceChildren(svg);
    }
  }

  panel(svg, panel, at) {
    const [xKey, [x0, x1]] = this.range(at.column, at.row, "x"), [yKey, [y0, y1]] = this.range(at.column, at.row, "y");
    const [X, fromX] = scale(panel.x.log, x0, x1, at.left, at.right), [Y, fromY] = scale(panel.y.log, y0, y1, at.bottom, at.top);
    const group = make("g", {class: "panel"}, svg), id = `clip${Chart.count = (Chart.count || 0) + 1}`;
    make("rect", {x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top}, make("clipPath", {id}, group));
    for (const [place, text] of ticks(panel.y, y0, y1, (at.bottom - at.top) / 26)) {
      make("path", {class: "grid", d: `M${at.left} ${Y(place)}H${at.right}`}, group);
      make("text", {x: at.left - 6, y: Y(place) + 4, "text-anchor": "end"}, group, text);
    }
    let free = -1e9;
    for (const [place, text] of ticks(panel.x, x0, x1, (at.right - at.left) / 52)) {
      make("path", {class: "grid", d: `M${X(place)} ${at.top}V${at.bottom}`}, group);
      if (at.last && X(place) - 3.5 * text.length > free) {
        make("text", {x: X(place), y: at.bottom + 16, "text-anchor": "middle"}, group, text);
        free = X(place) + 3.5 * text.length + 4;
      }
    }
    make("path", {class: "axis", d: `M${at.left} ${at.top}V${at.bottom}H${at.right}`}, group);
    const middle = (at.left + at.right) / 2;
    if (panel.title) make("text", {class: "title", x: middle, y: at.top - 9, "text-anchor": "middle"}, group, panel.title);
    if (at.last) make("text", {x: middle, y: at.bottom + 34, "text-anchor": "middle"}, group, panel.x.label);
    make("text", {transform: `translate(13 ${(at.top + at.bottom) / 2}) rotate(-90)`, "text-anchor": "middle"}, group, panel.y.label);
    const inside = make("g", {"clip-path": `url(#${id})`}, group);
    for (const [value, text] of panel.levels) if (value >= y0 && value <= y1) {
      make("path", {class: "level", d: `M${at.left} ${Y(value)}H${at.right}`}, inside);
      make("text", {x: at.right + 4, y: Y(value) + 4}, group, text);
    }
    const dots = [];
    for (const s of panel.series) if (this.shown(s)) this.series(inside, s, X, Y, panel, dots);
    const catcher = make("rect", {class: "catch", x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top}, group);
    this.hover(catcher, svg, dots, panel);
    this.zooming(catcher, svg, at, [xKey, fromX], [yKey, fromY]);
  }

  series(parent, s, X, Y, panel, dots) {
    const data = s.data, group = make("g", {class: s.faint ? "faint" : "series", style: `--ink:${colour(s.colour)}`}, parent);
    const ok = (x, y) => finite(x) && finite(y) && (!panel.x.log || x > 0) && (!panel.y.log || y > 0);
    const edge = (value, open) => finite(value) && (!panel.y.log || value > 0) ? Y(value) : open;
    if (s.form === "band") {
      const rows = data.x.map((x, i) => [x, data.lo[i], data.hi[i]]).filter(([x, lo, hi]) => ok(x, hi) && (finite(lo) || panel.y.log));
      const upper = rows.map(([x, , hi]) => `${X(x)} ${Y(hi)}`), lower = rows.reverse().map(([x, lo]) => `${X(x)} ${edge(lo, 1e4)}`);
      if (rows.length) make("path", {class: "band", d: `M${[...upper, ...lower].join("L")}Z`}, group);
      return;
    }
    if (s.form === "line" || s.form === "curve") {
      let path = "", part = null, pen = "M";
      for (const [i, x] of data.x.entries()) {
        if (data.part && data.part[i] !== part) { part = data.part[i]; pen = "M"; }
        if (!ok(x, data.y[i])) { pen = "M"; continue; }
        path += `${pen}${X(x).toFixed(1)} ${Y(data.y[i]).toFixed(1)}${pen === "M" ? "h0" : ""}`;
        pen = "L";
        if (s.form === "curve" || (!s.faint && !SHAPES[s.marker])) dots.push([X(x), Y(data.y[i]), s, i]);
      }
      make("path", {class: "line", d: path || "M0 0", "stroke-dasharray": DASH[s.dash]}, group);
      if (s.form === "line") return;
    }
    const every = s.form === "curve" ? Math.max(1, Math.floor(data.x.length / 9)) : 1;
    for (const [i, x] of data.x.entries()) {
      const y = data.y[i], mark = data.mark ? data.mark[i] : "";
      if (!ok(x, y)) continue;
      if (s.form !== "curve") {
        dots.push([X(x), Y(y), s, i]);
        let lo = data.lo ? data.lo[i] : null, hi = data.hi ? data.hi[i] : null;
        if (mark === "up") { hi = y; make("path", {class: "bar", d: `M${X(x)} ${Y(y)}V${Y(y) - 20}m-3.5 1l3.5-8l3.5 8z`}, group); }
        if (mark === "down") { lo = y; make("path", {class: "bar", d: `M${X(x)} ${Y(y)}V${Y(y) + 20}m-3.5-1l3.5 8l3.5-8z`}, group); }
        if (finite(lo) || finite(hi))
          make("path", {class: "bar", d: `M${X(x)} ${edge(lo, mark ? Y(y) : 1e4)}V${edge(hi, mark ? Y(y) : -1e4)}`}, group);
        if (data.left && ok(data.left[i], y) && ok(data.right[i], y))
          make("path", {class: s.form === "ring" ? "bar" : "reach", d: `M${X(data.left[i])} ${Y(y)}H${X(data.right[i])}`}, group);
      }
      const size = s.form === "curve" || data.left && s.form === "points" ? " scale(.75)" : "";
      if (i % every === 0) make("path", {class: s.form === "ring" || mark ? "marker open" : "marker", d: SHAPES[s.marker] || SHAPES.o,
        transform: `translate(${X(x).toFixed(1)} ${Y(y).toFixed(1)})${size}`}, group);
    }
  }

  place(event, svg) {
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    return [(event.clientX - box.left) * view.width / box.width, (event.clientY - box.top) * view.height / box.height];
  }

  hover(catcher, svg, dots, panel) {
    catcher.addEventListener("pointermove", event => {
      const [px, py] = this.place(event, svg);
      let best = null, nearest = 30 ** 2;
      for (const dot of dots) {
        const distance = (dot[0] - px) ** 2 + (dot[1] - py) ** 2;
        if (distance < nearest) [best, nearest] = [dot, distance];
      }
      if (!best) { this.tip.hidden = true; return; }
      this.tip.replaceChildren(...this.words(best[2], best[3], panel).map((text, row) => {
        const line = document.createElement(row ? "div" : "strong");
        line.textContent = text;
        return line;
      }));
      this.tip.hidden = false;
      const box = this.box.getBoundingClientRect(), left = event.clientX - box.left, width = this.tip.offsetWidth;
      this.tip.style.left = `${left + 16 + width > box.width ? Math.max(0, left - width - 12) : left + 16}px`;
      this.tip.style.top = `${event.clientY - box.top + 14}px`;
    });
    catcher.addEventListener("pointerleave", () => { this.tip.hidden = true; });
  }

  words(s, i, panel) {
    const d = s.data, own = Object.keys(d).find(name => !COLUMNS.includes(name)), x = own ? d[own][i] : d.x[i];
    const names = Object.fromEntries((panel.x.ticks || []).map(([place, text]) => [place, text]));
    const end = value => finite(value) ? number(value) : "…", range = (low, high) => ` [${end(low)}, ${end(high)}]`;
    const interval = d.lo && (finite(d.lo[i]) || finite(d.hi[i])) ? range(d.lo[i], d.hi[i]) : "";
    const reach = s.form === "ring" && d.left && finite(d.left[i]) ? range(d.left[i], d.right[i]) : "";
    const sign = {up: "> ", down: "< "}[d.mark && d.mark[i]] || "";
    const place = typeof x === "number" ? names[x] ?? names[Math.round(x)] ?? number(x) : x;
    return [s.name, `${panel.x.label}: ${place}${reach}`, `${panel.y.label}: ${sign}${number(d.y[i])}${interval}`,
      ...(d.note && d.note[i] ? [d.note[i].replaceAll("_", "-")] : [])];
  }

  zooming(catcher, svg, at, [xKey, fromX], [yKey, fromY]) {
    const keep = (from, to) => {
      this.zoom.set(xKey, [fromX(from[0]), fromX(to[0])]);
      this.zoom.set(yKey, [fromY(to[1]), fromY(from[1])]);
      this.draw();
    };
    catcher.addEventListener("dblclick", () => { this.zoom.clear(); this.draw(); });
    catcher.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const [px, py] = this.place(event, svg), factor = Math.exp(event.deltaY / 400);
      const ends = (low, high, p) => [p - (p - low) * factor, p + (high - p) * factor];
      const [left, right] = ends(at.left, at.right, px), [top, bottom] = ends(at.top, at.bottom, py);
      keep([left, top], [right, bottom]);
    }, {passive: false});
    catcher.addEventListener("pointerdown", event => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      const start = this.place(event, svg), frame = make("rect", {class: "frame"}, svg);
      catcher.setPointerCapture(event.pointerId);
      const corners = moved => {
        const [px, py] = this.place(moved, svg), within = (low, high, value) => Math.min(high, Math.max(low, value));
        const x = within(at.left, at.right, px), y = within(at.top, at.bottom, py);
        return [[Math.min(start[0], x), Math.min(start[1], y)], [Math.max(start[0], x), Math.max(start[1], y)]];
      };
      const move = moved => {
        const [[left, top], [right, bottom]] = corners(moved);
        const box = {x: left, y: top, width: right - left, height: bottom - top};
        for (const [name, value] of Object.entries(box)) frame.setAttribute(name, value);
      };
      catcher.addEventListener("pointermove", move);
      catcher.addEventListener("pointerup", moved => {
        catcher.removeEventListener("pointermove", move);
        frame.remove();
        const [low, high] = corners(moved);
        if (high[0] - low[0] > 8 && high[1] - low[1] > 8) keep(low, high);
      }, {once: true});
    });
  }

  csv() {
    const label = (stack, panel) => [stack[0].title, panel.y.label].filter(Boolean).join(", ");
    const series = this.spec.columns.flatMap(stack => stack.flatMap(panel => panel.series.map(s => [label(stack, panel), s])));
    const names = [...new Set(["x", "y", ...series.flatMap(([, s]) => Object.keys(s.data))])];
    const row = (panel, s, i) => [panel, s.name, s.form, ...names.map(name => s.data[name] ? s.data[name][i] : null)];
    const rows = series.flatMap(([panel, s]) => s.data.x.map((_, i) => row(panel, s, i)));
    save(`${this.box.id}.csv`, [["panel", "series", "form", ...names], ...rows]);
  }
}
