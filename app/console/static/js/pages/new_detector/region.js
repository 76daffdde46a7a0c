// What counts of a picture: all of it, a region drawn once, or one that comes with each picture.

import { fill, h } from "../../dom.js";
import { dropzone } from "../../parts/dropzone.js";
import { polygon } from "../../parts/polygon.js";
import { say } from "../../parts/messages.js";

const CHOICES = [
  ["none", "The whole picture", "The usual choice, where the part fills most of it."],
  ["fixed", "A region, the same in every picture", "Where the camera also sees a belt, a frame or a clock. Drawn below on a sample picture."],
  ["request", "A region that comes with each request", "Where the part lies elsewhere each time. Every fit, calibration and score then has to bring one: for programs that know it."],
];

/** Return {node, mask, problem}: what to choose, the API's word for it, and what is missing yet. */
export function region({ signal }) {
  let chosen = "none";
  let points = [];
  let address = "";
  const drawing = h("div", { class: "stack", hidden: true });
  const zone = dropzone({ title: "Drop a sample picture", hint: "To draw on. It is not sent anywhere.", signal, onFiles: take });
  signal.addEventListener("abort", () => URL.revokeObjectURL(address));

  function take([{ file }]) {
    if (!file.type.startsWith("image/")) return say(`${file.name} is no picture.`, "bad");
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    const image = h("img", { src: address, alt: "Sample picture", draggable: false });
    image.addEventListener("error", () => say(`The browser cannot show ${file.name}: choose a PNG or JPEG.`, "bad"));
    const other = h("button", { type: "button", on: { click: () => fill(drawing, zone) } }, "Another picture");
    return fill(drawing, polygon({ image, points, onChange: (next) => { points = next; } }), h("div", {}, other));
  }

  const choose = (value) => {
    chosen = value;
    drawing.hidden = value !== "fixed";
  };
  fill(drawing, zone);
  return {
    node: h("fieldset", { class: "plain" }, h("legend", {}, "What counts of a picture"), CHOICES.map((each) => radio(each, choose)), drawing),
    mask: () => (chosen === "fixed" ? { polygons: [points] } : chosen),
    problem: () => (chosen === "fixed" && points.length < 3 ? "Draw the region on a sample picture, three corners at least, or let the whole picture count." : ""),
  };
}

function radio([value, text, hint], choose) {
  const input = h("input", { type: "radio", name: "mask", value, id: `mask-${value}`, checked: value === "none", on: { change: () => choose(value) }, aria: { describedby: `mask-${value}-hint` } });
  return h("div", { class: "check" }, input,
    h("div", {}, h("label", { htmlFor: input.id }, text), h("div", { id: `mask-${value}-hint`, class: "muted small" }, hint)));
}
