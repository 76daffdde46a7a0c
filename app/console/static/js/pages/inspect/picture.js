// The picture under inspection with its map and the oddest place, each of which can be taken off.

import { fill, h, svg } from "../../dom.js";
import { check, field } from "../../parts/field.js";
import { heatmap, outside } from "./heatmap.js";

/** What is laid over pictures, kept from one image to the next. */
export const shown = { map: true, outline: true, opacity: 0.75 };

export class Picture {
  constructor() {
    this.image = h("img", { alt: "" });
    this.layers = h("div", { class: "layers" });
    this.stage = h("div", { class: "picture" }, this.image, this.layers);
    this.note = h("p", { class: "small muted" });
    this.map = null;
    this.outline = null;
    this.address = null;
    this.mapSwitch = h("input", { checked: shown.map, on: { change: () => this.set({ map: this.mapSwitch.checked }) } });
    this.outlineSwitch = h("input", { checked: shown.outline, on: { change: () => this.set({ outline: this.outlineSwitch.checked }) } });
    this.opacity = h("input", { type: "range", min: 10, max: 100, step: 5, value: 100 * shown.opacity, on: { input: () => this.set({ opacity: this.opacity.value / 100 }) } });
    this.mapControl = check("Heatmap", this.mapSwitch);
    this.outlineControl = check("Outline of the oddest place", this.outlineSwitch);
    this.opacityControl = h("div", { class: "beside" }, field("Heatmap opacity", this.opacity));
    this.controls = h("div", { class: "row picture-controls" }, this.mapControl, this.outlineControl, this.opacityControl);
    this.image.addEventListener("load", () => {
      const ratio = this.image.naturalWidth / this.image.naturalHeight;
      this.stage.style.aspectRatio = String(ratio);
      this.stage.style.maxWidth = `min(100%, ${70 * ratio}vh)`;
      this.canShow(true);
    });
    this.image.addEventListener("error", () => {
      this.canShow(false);
      fill(this.note, "This browser cannot show the file. The service reads some kinds that browsers do not: see the verdict.");
    });
    this.element = h("figure", { class: "card stack inspected" }, this.stage, h("figcaption", { class: "stack tight" }, this.controls, this.legend(), this.note));
  }

  /** Show another file, without a map yet. */
  show(item) {
    this.release();
    this.address = URL.createObjectURL(item.file);
    this.image.src = this.address;
    this.image.alt = item.name;
    this.map = this.outline = null;
    this.canShow(true);
    fill(this.layers);
    fill(this.note);
    this.offer(false, "");
  }

  /** Whether the browser could read the file; without picture or map no room is kept. */
  canShow(isShown) {
    this.isShown = isShown;
    this.image.hidden = !isShown;
    if (!isShown) this.stage.style.aspectRatio = "1"; // of the map, whose picture's is not known
    this.stage.hidden = !isShown && this.map === null;
  }

  /** Lay the map of an explanation over it. */
  explain({ map, result }) {
    const { region, threshold, p_value: pValue } = result;
    const isScaled = threshold > 0 && pValue !== null;
    this.map = map && isScaled ? heatmap(map, threshold) : null;
    this.outline = region && frame(region);
    const dark = map && outside(map);
    fill(this.layers, dark, this.map, this.outline);
    this.canShow(this.isShown);
    this.offer(this.map !== null, why(map, isScaled));
    this.apply();
  }

  toggle(what) {
    this.set({ [what]: !shown[what] });
  }

  set(change) {
    Object.assign(shown, change);
    this.mapSwitch.checked = shown.map;
    this.outlineSwitch.checked = shown.outline;
    this.apply();
  }

  apply() {
    if (this.map) {
      this.map.hidden = !shown.map;
      this.map.style.opacity = String(shown.opacity);
    }
    if (this.outline) this.outline.classList.toggle("off", !shown.outline);
  }

  offer(hasMap, why) {
    this.mapControl.hidden = this.opacityControl.hidden = !hasMap;
    this.outlineControl.hidden = !this.outline;
    this.legendRow.hidden = !hasMap;
    if (why) fill(this.note, why);
  }

  legend() {
    this.legendRow = h("p", { class: "small muted picture-legend" },
      swatch("clear", "below 0.8 of the threshold"), swatch("yellow", "at the threshold"), swatch("red", "from 1.6 times the threshold"));
    return this.legendRow;
  }

  release() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
  }
}

function why(map, isScaled) {
  if (!map) return "This detector's scorer has no map. The scorers fusion and regional have one.";
  if (!isScaled) return "The heatmap's colours are tied to the threshold: calibrate the detector to see them.";
  return "";
}

function frame({ left, top, width, height }) {
  const box = { x: left, y: top, width, height };
  return svg("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "halo", ...box }), svg("rect", { class: "region-frame", ...box }));
}

function swatch(which, text) {
  return h("span", { class: "legend-item" }, h("span", { class: `swatch ${which}`, aria: { hidden: "true" } }), text);
}
