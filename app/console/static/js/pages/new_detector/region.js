// What counts of an image: all of it, a region drawn once, or one that comes with each image.

import { fill, h } from "../../dom.js";
import { dropzone } from "../../parts/dropzone.js";
import { radios } from "../../parts/field.js";
import { polygon } from "../../parts/polygon.js";
import { say } from "../../parts/messages.js";

const CHOICES = [
  ["none", "The whole image", "The usual choice, where the part fills most of it."],
  ["fixed", "A region, the same in every image", "Where the camera also sees a belt, a frame or a clock. Drawn below on a sample image."],
  ["request", "A region that comes with each request", "Where the part lies elsewhere each time. Every fit, calibration and score then has to bring one: for programs that know it."],
];

/** Return {node, mask, problem}: what to choose, the API's word for it, and what is missing yet. */
export function region({ signal }) {
  let chosen = "none";
  let points = [];
  let address = "";
  const drawing = h("div", { class: "stack", hidden: true });
  const zone = dropzone({ title: "Drop a sample image", hint: "To draw on. It is not sent anywhere.", signal, onFiles: take });
  signal.addEventListener("abort", () => URL.revokeObjectURL(address));

  function take([{ file }]) {
    if (!file.type.startsWith("image/")) return say(`${file.name} is no image.`, "bad");
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    const image = h("img", { src: address, alt: "Sample image", draggable: false });
    image.addEventListener("error", () => say(`The browser cannot show ${file.name}: choose a PNG or JPEG.`, "bad"));
    const other = h("button", { type: "button", on: { click: () => fill(drawing, zone) } }, "Another image");
    return fill(drawing, polygon({ image, points, onChange: (next) => { points = next; } }), h("div", {}, other));
  }

  const choose = (value) => {
    chosen = value;
    drawing.hidden = value !== "fixed";
  };
  fill(drawing, zone);
  return {
    node: h("div", { class: "stack" }, radios("What counts of an image", CHOICES, { name: "mask", chosen, onChange: choose, attributes: { class: "plain" } }), drawing),
    mask: () => (chosen === "fixed" ? { polygons: [points] } : chosen),
    problem: () => (chosen === "fixed" && points.length < 3 ? "Draw the region on a sample image, three corners at least, or let the whole image count." : ""),
  };
}
