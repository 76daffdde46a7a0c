// A region of an image, drawn as a polygon by pointer, touch or keyboard.

import { fill, h, svg } from "../dom.js";

const STEP = 0.01;
const LONG_STEP = 0.05;
const HIGHEST_REM = 28;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Return an image with a polygon over it that can be changed.
 *
 * @param {{image: HTMLImageElement|string, points?: Array<[number, number]>,
 *   onChange: (points: Array<[number, number]>) => void}} what
 *   `image` is an element or an address; `points` are corners as fractions of the image's width and
 *   height. `onChange` gets them after each change, once a drag has ended; fewer than three are no
 *   region yet.
 */
export function polygon({ image, points = [], onChange }) {
  let corners = points.map(([x, y]) => [x, y]);
  let chosen = corners.length - 1;
  const shape = svg("polygon", { class: "region" });
  const handles = h("div", {});
  const told = h("p", { class: "small muted", role: "status" });
  const remove = button("", () => take(chosen));
  const clear = button("Start again", () => {
    corners = [];
    changed(-1);
  });
  const add = button("Add a corner", () => {
    const edge = longestEdge(corners);
    insert(edge.at, edge.middle);
    handles.children[chosen].focus();
  });
  const picture = image instanceof Element ? image : h("img", { src: image, alt: "The image the region is drawn on", draggable: false });
  const stage = h("div", { class: "polygon-stage", on: { click: onClick } },
    picture,
    svg("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, shape),
    handles);

  /** As large as there is room for, small images enlarged: corners are hard to place on them. */
  function fit() {
    if (picture.naturalWidth === 0) return;
    const widest = (HIGHEST_REM * picture.naturalWidth) / picture.naturalHeight;
    stage.style.width = `min(100%, ${widest}rem, max(20rem, ${picture.naturalWidth}px))`;
  }

  function onClick(event) {
    if (event.target.closest("button")) return;
    const point = fractions(event);
    insert(corners.length < 3 ? corners.length : nearestEdge(corners, point), point);
  }

  function fractions(event) {
    const box = stage.getBoundingClientRect();
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  }

  function insert(at, point) {
    corners.splice(at, 0, point);
    changed(at);
  }

  function take(at) {
    corners.splice(at, 1);
    const hadFocus = stage.contains(document.activeElement);
    changed(Math.min(at, corners.length - 1));
    if (hadFocus) (handles.children[chosen] ?? add).focus();
  }

  /** Show other corners, and say so. */
  function changed(at) {
    chosen = at;
    fill(handles, corners.map((_, i) => handle(i)));
    draw();
    onChange(corners.map(([x, y]) => [x, y]));
  }

  function move(i, point) {
    corners[i] = point.map(within);
    draw();
  }

  function draw() {
    shape.setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));
    corners.forEach(([x, y], i) => {
      const each = handles.children[i];
      each.style.left = `${100 * x}%`;
      each.style.top = `${100 * y}%`;
      each.setAttribute("aria-label", `Corner ${i + 1}: ${place(corners[i])}`);
      each.classList.toggle("chosen", i === chosen);
    });
    remove.disabled = chosen < 0;
    clear.disabled = corners.length === 0;
    fill(remove, chosen < 0 ? "Remove corner" : `Remove corner ${chosen + 1}`);
    fill(told, status());
  }

  function status() {
    if (chosen < 0) return "No region yet: the whole image counts.";
    const missing = Math.max(0, 3 - corners.length);
    const at = `Corner ${chosen + 1} of ${corners.length}: ${place(corners[chosen])}.`;
    return missing ? `${at} ${missing} more to make a region.` : at;
  }

  function handle(i) {
    const each = h("button", { type: "button", class: "polygon-corner" }, i + 1);
    let isDragged = false;
    const choose = () => {
      chosen = i;
      draw();
    };
    each.addEventListener("focus", choose);
    each.addEventListener("pointerdown", (event) => {
      each.setPointerCapture(event.pointerId);
      choose();
    });
    each.addEventListener("pointermove", (event) => {
      if (!each.hasPointerCapture(event.pointerId)) return;
      isDragged = true;
      move(i, fractions(event));
    });
    each.addEventListener("lostpointercapture", () => {
      if (isDragged) onChange(corners.map(([x, y]) => [x, y]));
      isDragged = false;
    });
    each.addEventListener("keydown", (event) => {
      const way = MOVES[event.key];
      if (way) {
        event.preventDefault();
        const by = event.shiftKey ? LONG_STEP : STEP;
        move(i, corners[i].map((value, axis) => value + by * way[axis]));
        onChange(corners.map(([x, y]) => [x, y]));
      } else if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        take(i);
      }
    });
    return each;
  }

  picture.addEventListener("load", fit);
  fit();
  fill(handles, corners.map((_, i) => handle(i)));
  draw();
  return h("div", { class: "polygon stack", role: "group", aria: { label: "Region of the image" } },
    h("p", { class: "small" }, "Click the image to add corners and drag them. By keyboard: Add a corner, then the arrow keys move it (with Shift in longer steps) and Delete removes it."),
    stage, told, h("div", { class: "row" }, add, remove, clear));
}

function button(text, onPress) {
  return h("button", { type: "button", on: { click: onPress } }, text);
}

const within = (value) => Math.round(10_000 * Math.min(1, Math.max(0, value))) / 10_000;
const percent = (value) => `${Math.round(100 * value)} %`;
const place = ([x, y]) => `${percent(x)} from the left, ${percent(y)} from the top`;

/** Where a corner comes when no place is given: the first three make a wide triangle. */
function longestEdge(corners) {
  if (corners.length < 3) return { at: corners.length, middle: [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]][corners.length] };
  const lengths = corners.map((corner, i) => distance(corner, corners[(i + 1) % corners.length]));
  const i = lengths.indexOf(Math.max(...lengths));
  const next = corners[(i + 1) % corners.length];
  return { at: i + 1, middle: corners[i].map((value, axis) => within((value + next[axis]) / 2)) };
}

/** The place in the list at which a corner stands on the edge that is nearest to it. */
function nearestEdge(corners, point) {
  const away = corners.map((from, i) => toSegment(point, from, corners[(i + 1) % corners.length]));
  return away.indexOf(Math.min(...away)) + 1;
}

function toSegment(point, from, to) {
  const along = [to[0] - from[0], to[1] - from[1]];
  const length2 = along[0] ** 2 + along[1] ** 2;
  const share = length2 && Math.min(1, Math.max(0, ((point[0] - from[0]) * along[0] + (point[1] - from[1]) * along[1]) / length2));
  return distance(point, [from[0] + share * along[0], from[1] + share * along[1]]);
}

function distance([x0, y0], [x1, y1]) {
  return Math.hypot(x1 - x0, y1 - y0);
}
