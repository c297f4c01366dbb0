// Draws what a table says beside it. Without this the tables stand alone, and lack nothing.
//
// <table data-chart="line|steps" data-x-log data-y-log data-diagonal>: the first column is x, each
// further one with data-value a series; a cell's data-low and data-high are its interval.
import uPlot from "./vendor/uplot/uPlot.esm.js";

const COLOURS = ["#17557f", "#b5541c", "#1d6b45", "#6a3d9a"];
const HEIGHT = 220;
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4]; // nobody is half a case
const number = (cell) => (cell?.dataset.value ? Number(cell.dataset.value) : null);

function read(table) {
  const heads = [...table.tHead.rows[0].cells];
  // a row without x has no place
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells]).filter(([x]) => number(x) !== null);
  const drawn = heads.map((_, at) => at).filter((at) => rows.some((row) => number(row[at]) !== null));
  const name = (at) => heads[at].dataset.short ?? heads[at].textContent.trim();
  const end = (which) => drawn.map((at) => rows.map((row) => {
    const found = row[at]?.dataset[which];
    return found === undefined ? null : Number(found);
  }));
  return {
    names: drawn.map(name),
    data: drawn.map((at) => rows.map((row) => number(row[at]))),
    low: end("low"),
    high: end("high"),
  };
}

// the interval of each point, as a whisker
function whiskers(found) {
  return (plot) => {
    const { ctx } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    found.low.forEach((lows, series) => {
      if (!series) return;
      ctx.strokeStyle = COLOURS[series - 1];
      lows.forEach((low, at) => {
        if (low === null) return;
        const x = plot.valToPos(found.data[0][at], "x", true);
        const ends = [low, found.high[series][at]].map((value) => Math.max(value, plot.scales.y.min));
        ctx.beginPath();
        for (const value of ends) ctx.lineTo(x, plot.valToPos(value, "y", true));
        ctx.stroke();
      });
    });
    ctx.restore();
  };
}

// where a forecast that is right would lie
function diagonal(plot) {
  const { ctx, scales } = plot;
  const from = Math.max(scales.x.min, scales.y.min), to = Math.min(scales.x.max, scales.y.max);
  ctx.save();
  ctx.strokeStyle = "#7d8c99";
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  for (const value of [from, to]) {
    ctx.lineTo(plot.valToPos(value, "x", true), plot.valToPos(value, "y", true));
  }
  ctx.stroke();
  ctx.restore();
}

const short = (value) => (value === null ? "" : String(Number(value.toPrecision(2))));
const shown = (_, splits) => splits.map((value) => (value === null ? "" : short(value)));
const family = getComputedStyle(document.body).fontFamily;

function axis(label) {
  return {
    label, values: shown, font: `12px ${family}`, labelFont: `12px ${family}`, labelSize: 22,
    stroke: "#51606e", grid: { stroke: "#e3e8ec", width: 1 }, ticks: { stroke: "#d3dae0", width: 1 },
  };
}

function series(label, at, stepped, dotted) {
  return {
    label,
    stroke: COLOURS[at],
    width: 2,
    spanGaps: true,
    dash: at ? [6, 3] : undefined,
    points: { show: dotted, size: 6 },
    paths: stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
    value: (_, value) => (value === null ? "–" : short(value)),
  };
}

function draw(table) {
  const found = read(table);
  if (found.data.length < 2 || found.data[0].length < 2) return;
  const stepped = table.dataset.chart === "steps";
  if (stepped) found.data.forEach((row, at) => row.push(row.at(-1) + (at ? 0 : 1))); // the last one's end
  const log = (given) => (given !== undefined ? 3 : 1);
  const hooks = [whiskers(found), ...(table.dataset.diagonal === undefined ? [] : [diagonal])];
  const place = document.createElement("div");
  place.className = "chart";
  place.setAttribute("aria-hidden", "true"); // the table says it all
  const beside = table.closest("details") ?? table;
  beside.before(place);
  const plot = new uPlot({
    width: Math.max(240, place.clientWidth),
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { time: false, distr: log(table.dataset.xLog) },
      y: {
        distr: log(table.dataset.yLog),
        range: table.dataset.yLog === undefined ? (_, low, high) => [Math.min(0, low), high * 1.08 || 1] : undefined,
      },
    },
    axes: [
      { ...axis(found.names[0]), ...(stepped && { incrs: [1, 2, 3, 6] }) },
      { ...axis(table.dataset.y ?? ""), size: 56, ...(stepped && { incrs: COUNTS }) },
    ],
    series: [{ label: found.names[0], value: (_, value) => (value === null ? "–" : short(value)) },
      ...found.names.slice(1).map((label, at) => series(label, at, stepped, !stepped))],
    hooks: { draw: hooks },
  }, found.data, place);
  new ResizeObserver(() => {
    const width = Math.max(240, place.clientWidth);
    if (Math.abs(width - plot.width) > 1) plot.setSize({ width, height: HEIGHT });
  }).observe(place);
}

function all() {
  for (const table of document.querySelectorAll("table[data-chart]:not([data-charted])")) {
    table.dataset.charted = "";
    draw(table);
  }
}

all();
document.addEventListener("htmx:after:swap", all);
