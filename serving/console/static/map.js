// The map: a picture of what the page says. Its state is the page's own; it keeps none.
// There is no base map and nothing from outside: outline, cells and plan are all there is.

import {
  LngLatBounds, Map as Canvas, Marker, NavigationControl, ScaleControl,
} from "./vendor/maplibre-gl/maplibre-gl.mjs";

const EMPTY = { type: "FeatureCollection", features: [] };
const RANKS = 10; // of the highest cells are written on the map
const BESIDE = { anchor: "bottom-left", offset: [3, -3] }; // so that the cell itself is seen
const PLACED = { "rank-mark": BESIDE, "stop-mark": BESIDE, "stop-mark station": { anchor: "top", offset: [0, 6] } };
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class RiskMap extends HTMLElement {
  #map;
  #marks = { city: [], cells: [], plan: [] };
  #shown = {};
  #cells = EMPTY;

  connectedCallback() {
    const canvas = document.createElement("div");
    canvas.className = "canvas";
    canvas.style.cssText = "position:absolute;inset:0";
    this.append(canvas);
    try {
      this.#map = this.#drawn(canvas);
    } catch {
      canvas.remove();
      this.querySelector(".no-map").hidden = false;
      return;
    }
    this.#map.on("load", () => {
      this.#layers();
      this.sync();
      document.addEventListener("htmx:after:swap", () => this.sync());
    });
    this.#map.on("click", (event) => this.#clicked(event.point));
  }

  #drawn(container) {
    const map = new Canvas({
      container,
      style: { version: 8, sources: {}, layers: [] },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: 0,
      renderWorldCopies: false,
      locale: {
        "Map.Title": this.dataset.title,
        "NavigationControl.ZoomIn": this.dataset.zoomIn,
        "NavigationControl.ZoomOut": this.dataset.zoomOut,
      },
    });
    map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
    map.keyboard.disableRotation();
    map.touchZoomRotate.disableRotation();
    return map;
  }

  #layers() {
    const map = this.#map;
    map.addImage("hatch", hatch());
    for (const name of ["city", "cells", "chosen", "plan"]) {
      map.addSource(name, { type: "geojson", data: EMPTY });
    }
    const kind = (name) => ["==", ["get", "kind"], name];
    const layers = [
      { id: "ground", type: "fill", source: "city", filter: kind("city"),
        paint: { "fill-color": colour("--ground"), "fill-antialias": false } },
      { id: "district", type: "line", source: "city", filter: kind("district"),
        paint: { "line-color": "#8b98a2", "line-width": 1.2 } },
      { id: "cells", type: "fill", source: "cells", filter: ["==", ["get", "grey"], false],
        paint: { "fill-color": colour("--risk-5"), "fill-antialias": false } },
      { id: "grey", type: "fill", source: "cells", filter: ["==", ["get", "grey"], true],
        paint: { "fill-pattern": "hatch" } },
      { id: "borders", type: "line", source: "cells",
        paint: { "line-color": "#54442c", "line-width": 0.6, "line-opacity": 0.75 } },
      { id: "chosen-halo", type: "line", source: "chosen",
        paint: { "line-color": "#ffffff", "line-width": 6, "line-offset": -2.5 } },
      { id: "chosen", type: "line", source: "chosen",
        paint: { "line-color": colour("--ink"), "line-width": 3, "line-offset": -2.5 } },
      { id: "route-halo", type: "line", source: "plan", filter: kind("route"),
        paint: { "line-color": "#ffffff", "line-width": 4.5, "line-opacity": 0.85 } },
      { id: "route", type: "line", source: "plan", filter: kind("route"),
        paint: { "line-color": colour("--bar"), "line-width": 2 } },
      { id: "stops", type: "circle", source: "plan", filter: ["!=", ["get", "kind"], "route"],
        paint: { "circle-radius": 4.5, "circle-color": colour("--bar"), "circle-stroke-color": "#ffffff",
          "circle-stroke-width": 1.5 } },
    ];
    for (const layer of layers) map.addLayer(layer);
  }

  // draw what the page says now
  async sync() {
    const board = document.querySelector("#board");
    if (!board) return;
    await Promise.all([this.#city(board.dataset.city), this.#risk(board.dataset.cells)]);
    this.#choose(document.querySelector("#explanation").dataset.cell);
    this.#plan(document.querySelector("#plan-drawn"));
    await this.#idle(); // until then no cell can be clicked
    this.dataset.drawn = board.dataset.cells; // for whoever waits for it
  }

  #idle() {
    return new Promise((resolve) => {
      this.#map.once("idle", resolve);
      this.#map.triggerRepaint(); // without a frame to come there would be no word of it
    });
  }

  async #city(address) {
    const drawn = await this.#fresh("city", address);
    if (!drawn) return;
    const [west, south, east, north] = drawn.bbox;
    this.#map.fitBounds(new LngLatBounds([west, south], [east, north]), { padding: 24, animate: false });
    this.#mark("city", drawn.features.filter((each) => each.properties.at).map((each) => (
      { text: each.properties.name, at: each.properties.at, as: "place-mark" })));
  }

  async #risk(address) {
    const drawn = await this.#fresh("cells", address);
    if (!drawn) return;
    this.#cells = drawn;
    this.#map.setPaintProperty("cells", "fill-color", classes());
  }

  async #fresh(name, address) {
    if (this.#shown[name] === address) return null;
    const answer = await fetch(address);
    if (!answer.ok) return null; // the page says why
    const drawn = await answer.json();
    this.#shown[name] = address;
    this.#map.getSource(name).setData(drawn);
    return drawn;
  }

  #choose(cell) {
    const features = this.#cells.features.filter((each) => each.id === cell);
    this.#map.getSource("chosen").setData({ ...EMPTY, features });
    const bounds = this.#map.getBounds();
    const at = features[0] && middle(features[0]);
    if (at && !bounds.contains(at)) this.#map.jumpTo({ center: at });
  }

  #plan(script) {
    const text = script?.textContent ?? "";
    const drawn = text ? JSON.parse(text) : EMPTY;
    // ranks and stops would lie on each other: while there is a plan, its stops are written
    const top = text ? [] : this.#cells.features.slice(0, RANKS);
    this.#mark("cells", top.map((each) => (
      { text: String(each.properties.rank), at: middle(each), as: "rank-mark" })));
    if (this.#shown.plan === text) return;
    this.#shown.plan = text;
    this.#map.getSource("plan").setData(drawn);
    const points = drawn.features.filter((each) => each.geometry.type === "Point");
    this.#mark("plan", points.map(({ geometry, properties: told }) => ({
      text: told.kind === "station" ? told.station : `${told.unit}.${told.order}`,
      at: geometry.coordinates,
      as: told.kind === "station" ? "stop-mark station" : "stop-mark",
    })));
  }

  #mark(name, marks) {
    for (const old of this.#marks[name]) old.remove();
    this.#marks[name] = marks.map(({ text, at, as }) => {
      const element = document.createElement("div");
      element.className = as;
      element.textContent = text;
      const marker = new Marker({ element, ...PLACED[as] }).setLngLat(at).addTo(this.#map);
      for (const one of ["role", "tabindex", "aria-label"]) element.removeAttribute(one);
      element.setAttribute("aria-hidden", "true"); // the list says it in words
      return marker;
    });
  }

  #clicked(point) {
    const [found] = this.#map.queryRenderedFeatures(point, { layers: ["cells", "grey"] });
    if (!found) return;
    const { cell } = found.properties;
    const address = `${document.querySelector("#board").dataset.page}&cell=${encodeURIComponent(cell)}`;
    const part = "#explanation";
    htmx.ajax("GET", address, { source: this, target: part, select: part, swap: "outerHTML", push: address });
  }
}

function classes() {
  const breaks = JSON.parse(document.querySelector("#legend").dataset.breaks);
  const colours = [1, 2, 3, 4, 5].slice(-1 - breaks.length).map((place) => colour(`--risk-${place}`));
  if (!breaks.length) return colours[0];
  const steps = breaks.flatMap((each, at) => [each, colours[at + 1]]);
  return ["step", ["get", "expected"], colours[0], ...steps];
}

function middle(feature) {
  const ring = feature.geometry.coordinates.flat(feature.geometry.type === "Polygon" ? 1 : 2);
  const mean = (axis) => ring.slice(0, -1).reduce((sum, one) => sum + one[axis], 0) / (ring.length - 1);
  return [mean(0), mean(1)];
}

// grey with darker lines from corner to corner
function hatch(side = 8) {
  const data = new Uint8Array(4 * side * side);
  for (let at = 0; at < side * side; at += 1) {
    const line = ((at % side) + Math.floor(at / side)) % side < 2;
    data.set(line ? [109, 119, 128, 255] : [209, 214, 218, 235], 4 * at);
  }
  return { width: side, height: side, data };
}

customElements.define("risk-map", RiskMap);
