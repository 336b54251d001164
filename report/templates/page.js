"use strict";
// The figures, drawn by Vega where there is one to draw; the SVG in their place stays for print, and should this fail.
const settings = JSON.parse(document.getElementById("chart-settings")?.textContent ?? "null");

// As report/chart.py does for the SVG.
function fitLegends(panel, width) {
  for (const layer of panel.layer) {
    for (const channel of Object.values(layer.encoding).filter((each) => each.legend)) {
      const longest = Math.max(...channel.scale.domain.map((name) => name.length));
      channel.legend.columns = Math.max(1, Math.floor(width / (longest * 6.5 + 34)));
    }
  }
}

async function drawCharts() {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const place = figure.querySelector(".live");
    const panels = JSON.parse(figure.querySelector("script").textContent);
    figure.classList.add("is-live"); // a panel is as wide as its place, which must be there to be measured
    try {
      for (const panel of panels) {
        const view = document.createElement("div");
        place.append(view);
        fitLegends(panel, view.clientWidth);
        const fitted = { ...panel, width: "container", autosize: { type: "fit-x", contains: "padding" } };
        await vegaEmbed(view, fitted, {
          mode: "vega-lite", renderer: "svg", actions: false, config: settings.config,
          formatLocale: settings.numbers, tooltip: { theme: "page" },
        });
      }
    } catch (error) {
      figure.classList.remove("is-live");
      console.error(`${figure.id}: ${error}`);
    }
  }
  document.documentElement.dataset.charts = "drawn";
}

// Tables, sorted by the column whose head is pressed; pressed again, the other way round. Missing is last either way.
const UNITS = { "µs": 1e-6, ms: 1e-3, s: 1, min: 60, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

function key(cell) {
  const text = cell?.textContent.trim().replaceAll("\u202f", "") ?? "";
  if (text === "" || text === "\u2013") return null;
  const quantity = /^([+-]?\d[\d.]*(?:e[+-]?\d+)?)\s*(\S*)/.exec(text);
  if (quantity === null) return text;
  const minutes = /^(\d+) min (\d+) s/.exec(text);
  return minutes ? minutes[1] * 60 + +minutes[2] : quantity[1] * (UNITS[quantity[2]] ?? 1);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(table, column, head) {
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => [key(row.cells[column]), row]);
  const known = rows.filter(([value]) => value !== null).sort(([a], [b]) => direction * compare(a, b));
  table.tBodies[0].append(...[...known, ...rows.filter(([value]) => value === null)].map(([, row]) => row));
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column, head));
    head.append(button);
  }
}

drawCharts();
